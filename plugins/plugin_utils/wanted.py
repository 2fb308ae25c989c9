"""What a host is to have: what the preflight made of the variables, filled in by what was seen of the host.

Not in YAML, where each of these values would be worked out anew at each use, which took a tenth of a run that changes
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible.plugins.test.core import version_compare
from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._program import installed
from ansible_collections.homelab.mail.plugins.plugin_utils import templates

# The distributions leave the first of these out of master.cf.
_KEEPING_CONNECTIONS = {
    "tlsproxy/unix": "tlsproxy unix - - n - 0 tlsproxy",
    "scache/unix": "scache unix - - n - 1 scache",
}


def look(preflight: Mapping[str, Any]) -> dict[str, Any]:
    """What smarthost_info is told of the plan."""
    plan, watch = preflight["plan"], preflight["secrets"]["watch"]
    return {
        "families": {
            name: {key: family[key] for key in ("name", "packages", "ca_file") if key in family}
            for name, family in preflight["families"].items()
        },
        "hostname": plan.get("hostname") or "",
        "public_domains": preflight["public_domains"],
        "watch_minutes": watch.get("minutes", 0),
        "key": preflight["key"],
    }


def is_prepared(preflight: Mapping[str, Any], info: Mapping[str, Any]) -> bool:
    """Whether all is there that the configuration needs."""
    needs_user = _by_token(preflight["plan"]) and not info["user"]
    lines = [line for line in info["of_family"].get("lines", []) if line.get("not_on") != info["system"]]
    return not (info["missing"] or lines or needs_user)


def is_in_place(preflight: Mapping[str, Any], info: Mapping[str, Any]) -> bool:
    """Whether a host that is prepared is as it should be, by what was seen of it."""
    seen, key = info["seen"], preflight["key"]
    return (
        bool(seen)
        and preflight["plan"]["state"] == "present"
        and installed.is_installed(seen["program"], seen["interpreter"], key)
        and configuration.is_in_place(seen, arguments(preflight, info, {}, "", report=False), key)
    )


def _by_token(plan: Mapping[str, Any]) -> bool:
    """Whether an account logs in with a token."""
    return any(account["oauth"] for account in plan["accounts"])


def version(info: Mapping[str, Any], installed: Mapping[str, Any]) -> str:
    """That of the Postfix that is there, or, in a dry run, that will be."""
    known, release = info["of_family"]["versions"], info["release"].split(".")
    # By the first two numbers of the release, or its first, or newer than all that the family names.
    to_come = known.get(".".join(release[:2]), known.get(release[0], known["newer"]))
    return str(installed.get("version", info["version"]) or to_come)


def logins(preflight: Mapping[str, Any], info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each login is tried with, as Postfix will log in."""
    root = f"root@{info['origin']}"
    own = {"ca_file": info["of_family"]["ca_file"], "helo": info["hostname"]}
    return [{"sender": root, "recipient": root, **login, **own} for login in preflight["secrets"]["logins"]]


def variables(preflight: Mapping[str, Any], info: Mapping[str, Any], postfix: str) -> dict[str, Any]:
    """Those of the templates, for this version of Postfix."""
    plan, tried = preflight["plan"], logins(preflight, info)
    return {
        "__smarthost_plan": plan,
        "__smarthost_account": plan["accounts"][0],
        "__smarthost_logins": tried,
        "__smarthost_login": tried[0],
        "__smarthost_family": info["of_family"],
        "__smarthost_hostname": info["hostname"],
        "__smarthost_origin": info["origin"],
        "__smarthost_names": info["names"],
        "__smarthost_public_names": info["public_names"],
        "__smarthost_earlier_senders": info["earlier_senders"],
        # Of these, recipients may be elsewhere: mail goes there, or comes from there.
        "__smarthost_mail_domains": preflight["public_domains"],
        "__smarthost_version": postfix,
        # Before 3.4, Postfix could not keep a connection inside TLS.
        "__smarthost_keeps_connections": version_compare(postfix, "3.4", ">="),
        "__smarthost_service_manager": info["service_manager"],
    }


def _tables(plan: Mapping[str, Any]) -> list[str]:
    return [
        *("main.cf", "sasl_passwd", "generic", "header_checks", "sender", "virtual"),
        *(("foreign_sender", "foreign_header") if plan["rewrite"] == "all" else ()),
        *(("allowed", "refused") if plan["allowed"] else ()),
        *(("relay",) if len(plan["accounts"]) > 1 else ()),
        *(("oauth.json",) if _by_token(plan) else ()),
        *(("second_way",) if plan["second_way"] else ()),
    ]


def arguments(
    preflight: Mapping[str, Any], info: Mapping[str, Any], new: Mapping[str, Any], tried: str, report: bool
) -> dict[str, Any]:
    """Those of smarthost_configuration.

    `new` is what was installed in this run, `tried` what came of the logins in it. With `report` nothing is
    installed or tried.
    """
    plan, watch = preflight["plan"], preflight["secrets"]["watch"]
    known = variables(preflight, info, version(info, new))
    texts = templates.render(_tables(plan), known)
    named = [name for name in texts if name.startswith(f"{configuration.LOGINS}-") or name == configuration.OAUTH]
    passwords = {name: texts.pop(name) for name in named}
    # The password is in its table, and travels once.
    attempts = [
        {key: value for key, value in login.items() if key != "password"} for login in known["__smarthost_logins"]
    ]
    # What the program smarthost on the host cannot read out of main.cf.
    settings = {
        **plan["settings"],
        "service_manager": info["service_manager"],
        "sender": attempts[0]["sender"],
        "recipient": attempts[0]["recipient"],
    }
    return {
        "main_cf": texts.pop("main.cf"),
        "sasl_passwd": texts.pop(configuration.LOGINS),
        "passwords": passwords,
        "tables": {**texts, "settings.json": _json(settings)},
        "compiled": plan["compiled"],
        "services": {**(_KEEPING_CONNECTIONS if known["__smarthost_keeps_connections"] else {}), **plan["services"]},
        "map_types": [plan["map_type"]],
        "ca_file": info["of_family"]["ca_file"],
        "logins": [] if plan["verify_login"] == "no" or report else attempts,
        # Providers count logins: not again what was tried a moment ago.
        "login_accepted": tried == "accepted",
        # playbooks/check.yml installs nothing: there, what is missing is a fault.
        "installed": {} if report else info["missing"],
        "own_names": [*info["names"], *info["public_names"]],
        # Where nothing is said of root, the relay knows.
        "aliases": {"root": [f"root@{info['origin']}"], **plan["aliases"]},
        "take_over": plan["take_over"],
        "service_manager": info["service_manager"],
        "watch": _json(watch) if watch else "",
        "watch_minutes": watch.get("minutes", 0),
    }


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"
