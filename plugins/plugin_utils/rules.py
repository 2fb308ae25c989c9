"""What the variables of the role may say, judged by the rules of the provider.

Pure Python: no Ansible, no network, no file. `judge` takes the variables and the providers and
returns a plan for the host, or all that is wrong with the variables, each with its remedy.
A secret never appears in a sentence.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from itertools import chain
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.module_utils._program import tokens
from ansible_collections.homelab.mail.plugins.plugin_utils import networks, senders
from ansible_collections.homelab.mail.plugins.plugin_utils.account import read_account, read_password, read_username
from ansible_collections.homelab.mail.plugins.plugin_utils.accounts import check_senders, read_accounts, read_second_way
from ansible_collections.homelab.mail.plugins.plugin_utils.local import (
    check_mailbox,
    read_aliases,
    read_allowed,
    read_generic,
)
from ansible_collections.homelab.mail.plugins.plugin_utils.server import read_inbox, read_provider
from ansible_collections.homelab.mail.plugins.plugin_utils.verdict import PREFIX, Values, Verdict, check_controls, clean

# main.cf parameters that a variable is for: two places for one fact would contradict each other.
_VARIABLE_FOR = {
    "relayhost": "smarthost_provider, or smarthost_host and smarthost_port",
    "smtp_tls_security_level": "smarthost_tls_security_level",
    **dict.fromkeys(
        ("smtp_use_tls", "smtp_enforce_tls", "smtp_tls_enforce_peername", "smtp_tls_per_site", "smtp_tls_policy_maps"),
        "smarthost_tls_security_level",
    ),
    "default_transport": "smarthost_host and smarthost_port",
    "smtp_tls_wrappermode": "smarthost_tls",
    "smtp_tls_CAfile": "smarthost_ca_file",
    "smtp_sasl_auth_enable": "smarthost_username and smarthost_password",
    "smtp_sasl_password_maps": "smarthost_username and smarthost_password",
    "canonical_maps": "smarthost_rewrite",
    "canonical_classes": "smarthost_rewrite",
    "sender_canonical_maps": "smarthost_generic",
    "sender_canonical_classes": "smarthost_generic",
    "smtp_header_checks": "smarthost_rewrite",
    "smtp_generic_maps": "smarthost_generic",
    "virtual_alias_maps": "smarthost_aliases",
    "alias_maps": "smarthost_aliases",
    "myhostname": "smarthost_hostname",
    "myorigin": "smarthost_hostname",
    "mydestination": "smarthost_hostname",
}

# Parameters that would break what a variable promises, where it is used.
_PROMISED = {
    "clients": ("mynetworks", "smtpd_client_restrictions", "smtpd_relay_restrictions"),
    "allowed_recipients": ("transport_maps",),
    "accounts": ("sender_dependent_default_transport_maps", "sender_dependent_relayhost_maps"),
}

# With these, mail is lost or waits, and nothing says so.
_REFUSED = {
    "defer_transports": "keeps mail waiting until it is sent by hand",
    "syslog_name": "gives Postfix another name in the log, so smarthost status would not see what becomes of mail",
}
# Mail to their domains stays on the host.
_KEEPING = ("virtual_alias_domains", "virtual_mailbox_domains")
# These lead mail another way, which is not tried.
_OTHER_WAYS = (
    "transport_maps", "sender_dependent_relayhost_maps", "sender_dependent_default_transport_maps",
    "smtp_fallback_relay", "content_filter", "smtpd_proxy_filter",
)  # fmt: skip
# At the beginning of these, it lets everybody in.
_RESTRICTIONS = ("smtpd_relay_restrictions", "smtpd_recipient_restrictions")
_PERMIT = re.compile(r"(permit_mynetworks[\s,]+)?permit\b")


_PARAMETER = re.compile(r"[A-Za-z0-9_]+")


_CA_FILE = re.compile(r"/[A-Za-z0-9._/+@-]+")


_LOOPBACK_ALONE = {"loopback-only", "localhost", "127.0.0.1", "::1", "[::1]"}


def judge(settings: Values, providers: Mapping[str, Values]) -> Verdict:
    """Check the variables (names without prefix) against the providers' rules."""
    verdict = Verdict(settings=settings, providers=providers)
    verdict.plan["state"] = verdict.text("state") or "present"
    if verdict.plan["state"] == "absent":
        verdict.plan["accounts"] = []
        verdict.secrets["watch"] = {}
        return verdict
    for name in settings.keys() - {"accounts"}:
        check_controls(verdict, name, settings[name])

    account = _default_account(verdict)
    accounts = verdict.plan["accounts"] = [account, *read_accounts(verdict)]
    verdict.secrets["inbox"] = read_inbox(verdict, account)
    # The largest of them: a server that takes less says so itself.
    verdict.plan["size_limit"] = max((one.get("size_limit") or 0 for one in accounts), default=0)
    for name in ("rewrite", "map_type", "ca_file"):
        verdict.plan[name] = verdict.text(name)
    verdict.plan["from_name"] = senders.phrase(verdict.text("from_name").strip())
    # Beside an address that it rewrites, Postfix keeps no more than 247 characters.
    if len(verdict.plan["from_name"]) > 240:
        verdict.fault("from_name", "is so long that Postfix leaves it out.", "Write a shorter one.")
    verdict.plan["take_over"] = bool(settings.get("take_over"))
    verdict.plan["verify_login"] = _verify_login(verdict)
    verdict.plan["aliases"] = read_aliases(verdict, account["from"])
    # If root has no alias, what an account's senders write to root goes to that account's From, past the hub.
    for one in accounts if "root" not in verdict.plan["aliases"] else [account]:
        check_mailbox(verdict, one)
    account["generic"] = read_generic(verdict, account["username"])
    check_senders(verdict, accounts)
    # texthash is read as text; the other types have to be compiled. All other tables are patterns.
    logins = [f"sasl_passwd-{one['id']}".rstrip("-") for one in accounts]
    map_type = verdict.plan["map_type"]
    verdict.plan["compiled"] = dict.fromkeys(logins, map_type) if map_type not in ("", "texthash") else {}
    verdict.plan["services"] = {f"{one['service']}/unix": "" for one in accounts[1:]}
    if any(one.get("oauth") for one in accounts):
        verdict.plan["services"][tokens.SERVICE] = tokens.LINE
    for one in accounts:
        one["tls_security_level"] = "none" if one["tls"] == "none" else verdict.text("tls_security_level")
        one["lines"] = senders.generic(one)
        one["passing"] = senders.passing(one, verdict.plan["aliases"])
    verdict.plan["parameters"] = _parameters(verdict)
    verdict.plan["allowed"] = read_allowed(verdict, addresses_of(verdict.plan))
    verdict.plan["clients"] = networks.read_clients(verdict)
    if verdict.plan["clients"]["networks"]:
        # Whatever they send as, the account may send as itself alone.
        verdict.plan["rewrite"] = "all"
    _check_size(verdict)
    _check_domains(verdict)
    _check_open_relay(verdict)
    verdict.plan["hostname"] = _hostname(verdict)
    verdict.plan["maps"] = senders.maps(accounts, verdict.plan["aliases"])
    verdict.plan["second_way"] = read_second_way(verdict)
    verdict.secrets["watch"] = _watch(verdict)
    verdict.secrets["logins"] = _logins(verdict.plan)
    for one in accounts:
        one["oauth"] = bool(one.get("oauth"))
        # Some providers' token is login and password in one.
        if one.pop("password", None) == one["username"] != "":
            one["username"] = "********"
    _for_host(verdict.plan, verdict.secrets["logins"])
    _check_ca_file(verdict)
    if account["tls_security_level"] == "encrypt":
        given = "token" if account.get("oauth") else "password" if account["username"] else "mail"
        verdict.warnings.append(
            "smarthost_tls_security_level is encrypt: any server that answers to the relay's name gets "
            f"the {given}. With secure, only the relay gets it."
        )
    return verdict


def _default_account(verdict: Verdict) -> dict[str, Any]:
    """The account without a name."""
    if read_provider(verdict):
        account = read_account(verdict)
        verdict.warnings += [] if account["oauth"] else verdict.provider.get("warnings", [])
        return account
    # What any provider needs is not worth a second run.
    if verdict.text("auth") != "none":
        read_username(verdict)
        if verdict.text("auth") != "oauth":
            read_password(verdict)
    return {"id": "", "service": "smtp", "from": "", "username": "", "tls": "", "login": "", "senders": []}


def _logins(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """What each login is tried with."""
    aliases = plan["aliases"]
    targets = [target for target in chain(aliases.get("root", []), *aliases.values()) if "@" in target]
    return [
        {
            **{name: account.get(name) for name in ("id", "provider", "host", "port", "tls", "username", "password")},
            "tls_security_level": account["tls_security_level"],
            **({"sender": account["from"]} if account["from"] else {}),
            **({"oauth": account["oauth"]} if account.get("oauth") else {}),
            # Without a login, only a recipient shows whether the relay takes mail of this host: who gets root's.
            **({"recipient": "" if account["username"] else targets[0]} if account["username"] or targets else {}),
            "required": plan["verify_login"] == "required",
        }
        for account in plan["accounts"]
    ]


def _for_host(plan: dict[str, Any], logins: list[dict[str, Any]]) -> None:
    """What the program on the host cannot read out of main.cf."""
    aliases, (first, *others) = plan["aliases"], plan["accounts"]
    # Who can never be a mistyped recipient: mail of theirs that comes back is a fault.
    recipients = {*addresses_of(plan), *chain(*aliases.values())}
    plan["settings"] = {
        "provider": first.get("provider", ""),
        "name": first.get("name"),
        "recipients": sorted({address.lower() for address in recipients}),
    }
    if plan["second_way"]:
        plan["settings"]["second_way"] = plan["second_way"]
    if others:
        plan["settings"]["accounts"] = [
            {
                **{name: account[name] for name in ("id", "provider", "name")},
                **{name: login.get(name, "") for name in ("sender", "recipient")},
            }
            for account, login in zip(others, logins[1:])
        ]


def _watch(verdict: Verdict) -> dict[str, Any]:
    """The ways to tell of an outage that are set up; empty where there are none."""
    ways: dict[str, Any] = {}
    for name in ("ntfy", "webhook", "ping"):
        url = verdict.text(f"watch_{name}")
        if url and not (addresses.WEB_ADDRESS.fullmatch(url) and url.isascii()):
            verdict.fault(
                f"watch_{name}",
                "is not a web address.",
                "It begins with https:// (or http:// at home). In a password there, write / as %2F and @ as %40.",
            )
        elif url:
            ways[name] = url
    textfile = verdict.text("watch_textfile")
    if textfile and not textfile.startswith("/"):
        verdict.fault("watch_textfile", f"{textfile!r} is not a whole path.", "Name the folder from / on.")
    elif textfile:
        ways["textfile"] = textfile
    # The first becomes a step of cron where there is no better timer.
    for name, most in (("minutes", 59), ("stuck_minutes", 1440)):
        minutes = verdict.settings.get(f"watch_{name}")
        if minutes is not None and not 1 <= int(minutes) <= most:
            verdict.fault(f"watch_{name}", f"{minutes} is no sensible time.", f"Between 1 and {most} minutes.")
    if not ways:
        return {}
    return {
        **ways,
        "webhook_style": verdict.text("watch_webhook_style") or "slack",
        "stuck": 60 * int(verdict.settings.get("watch_stuck_minutes") or 15),
        "minutes": int(verdict.settings.get("watch_minutes") or 5),
    }


def unknown_variables(given: list[str], known: list[str]) -> list[str]:
    """Faults for variables that have no effect because their name is misspelt.

    Only names that are all but one of ours: people may keep variables of their own beside them.
    """
    faults = []
    # The rest is not compared, as it would take time: a host may have hundreds.
    ours = (name for name in set(given) - set(known) if name.startswith(PREFIX[:2]))
    for name in sorted(ours):
        near = [whole for whole in known if whole.startswith(name) and name.startswith(PREFIX)]
        near = near or difflib.get_close_matches(name, known, n=1, cutoff=0.92)
        if near:
            faults.append(
                f"{name}: there is no variable of this name, so what it says would be ignored. "
                f"Write {near[0]}, or give a variable of your own another name."
            )
    return faults


def _check_size(verdict: Verdict) -> None:
    """Whether what Postfix takes can leave again."""
    wanted = verdict.plan["parameters"].get("message_size_limit", "")
    most = verdict.provider.get("size_limit")
    # 0 is no limit at all.
    if most and wanted.isdigit() and not 0 < int(wanted) <= most:
        verdict.warnings.append(
            f"message_size_limit in smarthost_parameters lets mails in that {verdict.provider['name']} refuses: it "
            f"takes {most} bytes at most. Without it, the program that hands in a mail too large is told so at once."
        )


def _parameters(verdict: Verdict) -> dict[str, str]:
    table: dict[str, str] = {}
    for key, value in (verdict.settings.get("parameters") or {}).items():
        name = str(key)
        if not clean(name) or not clean(value):
            continue
        if not _PARAMETER.fullmatch(name):
            verdict.fault("parameters", f"{name!r} is not a parameter name.", "Letters, digits and _ only.")
        elif name in _VARIABLE_FOR:
            verdict.fault("parameters", f"{name} is said elsewhere.", f"Use {_VARIABLE_FOR[name]}.")
        elif promised := [
            variable for variable, names in _PROMISED.items() if verdict.settings.get(variable) and name in names
        ]:
            verdict.fault("parameters", f"{name} is said by smarthost_{promised[0]}.", "Take one of them out.")
        elif isinstance(value, (Mapping, list, tuple)):
            verdict.fault("parameters", f"{name} is a list or mapping.", "Write the value as in main.cf, as one text.")
        elif name in _REFUSED and value:
            verdict.fault("parameters", f"{name} {_REFUSED[name]}.", "Take it out.")
        elif name in _OTHER_WAYS and value:
            verdict.warnings.append(
                f"{name} in smarthost_parameters leads mail another way than through {verdict.provider['name']}. "
                "Whether it leaves that way, and who sees it there, is not tried."
            )
        text = "" if value is None else str(value).strip()
        table[name] = ("yes" if value else "no") if isinstance(value, bool) else text
    return table


def _check_domains(verdict: Verdict) -> None:
    """Whether parameters of one's own keep mail here that is for a mailbox elsewhere."""
    given = verdict.plan["parameters"]
    if "no_address_mappings" in given.get("receive_override_options", "") and not given.get("content_filter"):
        what = "receive_override_options switches the aliases off, so root's mail would stay on this host."
        verdict.fault("parameters", what, "Take no_address_mappings out of it.")
    for name in _KEEPING:
        kept = {*re.split(r"[\s,]+", given.get(name, "").lower())} & public_domains(verdict.plan)
        if kept:
            named = " and ".join(sorted(kept))
            verdict.fault(
                "parameters", f"{name} keeps mail to {named} on this host, where no mailbox is.", "Take it out."
            )


def _check_open_relay(verdict: Verdict) -> None:
    """Whether parameters of one's own let strangers send through the account."""
    parameters = verdict.plan["parameters"]
    listens_on = set(re.split(r"[\s,]+", parameters.get("inet_interfaces", "loopback-only").lower())) - {""}
    if listens_on <= _LOOPBACK_ALONE:
        return
    for name in _RESTRICTIONS:
        if _PERMIT.match(parameters.get(name, "")):
            verdict.fault(
                "parameters",
                f"inet_interfaces is {parameters['inet_interfaces']} and {name} is {parameters[name]}: an open relay, "
                "through which strangers on the internet send as your account.",
                "Let it end in reject_unauth_destination.",
            )
    named = re.split(r"[\s,]+", parameters.get("mynetworks", ""))
    public = [network for network in named if networks.is_public(network)]
    if public:
        verdict.fault(
            "parameters",
            f"inet_interfaces is {parameters['inet_interfaces']} and mynetworks has {', '.join(public)}: an open "
            "relay, through which strangers on the internet send as your account.",
            "Name the networks at home alone, for instance 127.0.0.0/8, [::1]/128, 192.168.1.0/24.",
        )


def _hostname(verdict: Verdict) -> str:
    hostname = verdict.text("hostname").lower()
    if hostname and not addresses.is_full_name(hostname):
        verdict.fault(
            "hostname",
            f"{hostname!r} is not a full host name, and some providers hang up on such a HELO.",
            "Write name and domain, not an IP address: nas.lan.",
        )
    elif hostname in public_domains(verdict.plan):
        verdict.fault(
            "hostname",
            f"{hostname!r} is the domain of an address that mail of this host goes to or comes from, so that mail "
            "would never leave.",
            "Take it out, or write a name below it.",
        )
    return hostname


def _verify_login(verdict: Verdict) -> str:
    """yes, no or required."""
    value = verdict.text("verify_login").lower() or "true"
    if value in ("true", "yes"):
        return "yes"
    if value in ("false", "no"):
        return "no"
    if value != "required":
        verdict.fault("verify_login", f"{value!r} is not one of its values.", "Write true, false or required.")
    return "required"


def _check_ca_file(verdict: Verdict) -> None:
    ca_file = verdict.text("ca_file")
    if ca_file and not _CA_FILE.fullmatch(ca_file):
        verdict.fault(
            "ca_file", f"{ca_file!r} is not the absolute path of a file.", "Write it from / on, without spaces."
        )


def addresses_of(plan: Mapping[str, Any]) -> list[str]:
    """The addresses that mail of the plan goes to or comes from on the internet, each once."""
    found = [account["from"] for account in plan["accounts"]]
    found += [target for targets in plan["aliases"].values() for target in targets]
    for account in plan["accounts"]:
        found += [*account["generic"].values(), *filter(senders.is_public, account["senders"])]
    found.append(plan["parameters"].get("always_bcc", ""))
    return list(dict.fromkeys(address for address in found if "@" in address))


def public_domains(plan: Mapping[str, Any]) -> set[str]:
    """Their domains."""
    return {addresses.domain_of(address) for address in addresses_of(plan)} if plan["accounts"] else set()
