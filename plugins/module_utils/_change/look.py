"""What a host is, what it has of Postfix and what is left to do there. Reads only; runs on the managed host."""

from __future__ import annotations

import glob
import os
import platform
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.module_utils._change import alternatives, host, surroundings
from ansible_collections.homelab.mail.plugins.module_utils._change.answering import Module
from ansible_collections.homelab.mail.plugins.module_utils._program import managers, services, system, tokens

# From when on a clock is off, and a CA bundle old.
SKEW_SECONDS = 120
OLD_SECONDS = 3 * 365 * 86400
# The domain that Debian's mail programs put behind the @.
MAILNAME = "/etc/mailname"
OPTIONS = {
    "families": {"type": "dict", "default": {}},
    "hostname": {"type": "str", "default": ""},
    "public_domains": {"type": "list", "elements": "str", "default": []},
    "config_directory": {"type": "path", "default": "/etc/postfix"},
    "watch_minutes": {"type": "int", "default": 0},
    "key": {"type": "str", "no_log": True},
    "now": {"type": "float", "default": 0},
}


def refusal(here: surroundings.System, manager: str, families: Mapping[str, Any]) -> str:
    """Why the role cannot work on such a host, and what to do; empty where it can."""
    if not here.family(families) or manager in managers.OTHERS:
        return (
            f"this host is {here.name} {here.release} with {manager}. "
            f"The role knows {', '.join(family['name'] for family in families.values())}, with "
            f"{', '.join(managers.MANAGERS)} or in a container with none of them."
        )
    return ""


def advice(here: host.Host, now: float, ca_file: str) -> list[str]:
    """What does not stop mail yet."""
    found = []
    skew = time.time() - now
    if now and abs(skew) > SKEW_SECONDS:
        found.append(
            f"The clock of this host is {system.span(abs(skew))} {'ahead of' if skew > 0 else 'behind'} the "
            "controller's. Certificates are judged by it, and mails by their date: let it follow a time server."
        )
    age = time.time() - os.stat(ca_file).st_mtime if os.path.isfile(ca_file) else 0
    if age > OLD_SECONDS:
        found.append(
            f"The CA bundle {ca_file} was last written {system.span(age)} ago. One day the provider's "
            "certificate will come from an authority that it does not have, and mail will wait: update the system."
        )
    # Another mailer may still have to make room.
    if here.installed and not alternatives.other():
        found += filter(None, [system.other_sendmail()])
    if here.watch_minutes and not any(here.jobs("").values()):
        found.append(
            "There is no timer and no /etc/cron.d on this host, so nothing looks whether mail leaves. "
            f"Let something run every {here.watch_minutes} minutes: {services.LAUNCHER} watch"
        )
    return found


def look(module: Module) -> tuple[host.Host, dict[str, Any]]:
    """The Postfix of this host, and all that smarthost_info returns."""
    parameters = module.params
    of, manager = surroundings.system(), surroundings.service_manager()
    reason = refusal(of, manager, parameters["families"])
    if reason:
        module.fail_json(msg=f"Nothing was changed: {reason}")
    own = (socket.getfqdn(), platform.node())
    names = addresses.names(
        parameters["hostname"], *own, surroundings.first_line(MAILNAME), parameters["public_domains"]
    )
    family = of.family(parameters["families"])
    packages, ca_file = parameters["families"][family]["packages"], parameters["families"][family]["ca_file"]
    here = host.Host(module, parameters["config_directory"], manager, parameters["watch_minutes"])
    result: dict[str, Any] = {
        "family": family,
        "system": of.name,
        "release": of.release,
        "service_manager": managers.known(manager),
        "hostname": parameters["hostname"] or addresses.host_name(*own),
        "origin": names.origin,
        "names": names.own,
        "public_names": names.public,
        "earlier_senders": here.earlier_senders(),
        "missing": {what: package["name"] for what, package in packages.items() if not glob.glob(package["file"])},
        "version": here.compiled_in["mail_version"],
        "user": tokens.owner() is not None,
        "seen": {},
        "advice": advice(here, parameters["now"], ca_file),
    }
    if here.installed and parameters["key"]:
        there = [ca_file] if os.path.isfile(ca_file) else []
        result["seen"] = {**host.observe(here, parameters["key"]), "ca_files": there}
        result["advice"] += result["seen"].pop("advice")
    for sentence in result["advice"]:
        module.warn(sentence)
    return here, result


def answer(report: Callable[[host.Host], Mapping[str, Any]] | None = None, **options: Any) -> None:
    """Answer a module's call; with what it reports besides, where Postfix is there."""
    module = Module(argument_spec={**OPTIONS, **options}, supports_check_mode=True)
    try:
        here, found = look(module)
        module.exit_json(changed=False, **found, **(report(here) if report and here.installed else {}))
    except OSError as error:
        remedy = " Only root may: set become: true." if isinstance(error, PermissionError) else ""
        module.fail_json(msg=f"Nothing was changed: a file of the configuration cannot be read: {error}.{remedy}")
