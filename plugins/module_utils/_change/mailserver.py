"""What says that a host is a real mail server, which receives mail for others or sends it for them.

`signs` and `exim_signs` judge from nothing but their arguments; `look` and `other_signs` ask Postfix and the host.
Runs on the managed host.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import aliases, master
from ansible_collections.homelab.mail.plugins.module_utils._program import system
from ansible_collections.homelab.mail.plugins.module_utils.addresses import is_private_domain

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host

EXIM = "/usr/sbin/exim4"
EXIM_SETTINGS = "/etc/exim4/update-exim4.conf.conf"
_INSIDE = ("loopback-only", "localhost", "127.0.0.1")
# Lists of domains -> the tables that are looked in where it is not set.
_DOMAINS = {
    "virtual_mailbox_domains": "virtual_mailbox_maps",
    "virtual_alias_domains": "virtual_alias_maps",
    "relay_domains": "",
}
_TRANSPORTS = ("mailbox_transport", "fallback_transport", "local_transport", "virtual_transport", "mailbox_command")
_STORES = re.compile(r"lmtp:|dovecot|cyrus|/deliver\b")
# What makes a list of an alias, or notices of mail; and whatever else is there to be run.
_LISTS = re.compile(r"mailman|majordomo|sympa|mlmmj|ezmlm|schleuder|listserv|proxmox-mail-forward")
_MAIL_PORTS = {25, 465, 587}


def refusal(signs: Iterable[str]) -> str:
    """Why such a host is left alone, and what to do."""
    return (
        f"this host is a mail server: {'; '.join(signs)}. As a smart host it would receive none of that mail. "
        "If that is meant, set smarthost_take_over: true."
    )


def signs(values: Mapping[str, str], own_names: list[str], services: Iterable[str] = ()) -> list[str]:
    """What says so in the parameters that main.cf sets, and in the lines of master.cf.

    >>> signs({"mydestination": "nas.lan, localhost, example.org"}, ["nas.lan"])
    ['mydestination names example.org']
    """
    found = []
    inside = values.get("inet_interfaces", "all") in _INSIDE
    own = {name.lower() for name in [*own_names, values.get("myhostname", "")] if name}
    if not inside:
        # The domain of a host that is open to it; as /etc/mailname says it may stand among the names.
        own = {name for name in own if not any(other.endswith(f".{name}") for other in own)}
    for name in (*_DOMAINS, "mydestination"):
        domains = [domain for domain in aliases.split_maps(values.get(name, "")) if not domain.startswith("$")]
        if name in ("mydestination", "relay_domains"):
            domains = [domain for domain in domains if domain.lower() not in own and not _is_private(domain)]
        if domains:
            verb = "names" if name == "mydestination" else "is"
            found.append(f"{name} {verb} {' '.join(dict.fromkeys(domains))}")
    for name in _TRANSPORTS:
        if _STORES.search(values.get(name, "")):
            found.append(f"{name} is {values[name]}")
    foreign = configuration.clients(values)
    if foreign and not inside:
        found.append(f"mynetworks lets {' and '.join(foreign)} send")
    if values.get("smtpd_sasl_auth_enable") == "yes" and not inside:
        found.append("smtpd_sasl_auth_enable lets people log in")
    if values.get("multi_instance_directories"):
        found.append(f"multi_instance_directories names {values['multi_instance_directories']}")
    for line in services:
        name, kind, *columns = line.split()
        address, _colon, port = name.rpartition(":")
        if (
            kind == "inet"
            # Apple's master.cf has submission, which listens to this host alone, as all of its Postfix does.
            and not inside
            and "smtpd" in columns
            and port not in ("smtp", "25")
            and not configuration.LOOPBACK.fullmatch(address)
        ):
            found.append(f"master.cf has {name}/{kind}")
    return found


def _is_private(domain: str) -> bool:
    """What has no dot, or ends inside the network, is a name of this host and not a public domain."""
    table = ":" in domain or domain.startswith("/")
    return not table and ("." not in domain or domain.startswith("localhost") or is_private_domain(domain))


def exim_signs(text: str, own_names: list[str]) -> list[str]:
    """The same of the file that Debian's exim is configured by.

    >>> exim_signs("dc_eximconfig_configtype='internet'\\ndc_relay_nets=''\\n", [])
    ["dc_eximconfig_configtype is 'internet'"]
    """
    values = dict(re.findall(r"^(dc_\w+)='(.*)'", text, re.MULTILINE))
    own = {name.lower() for name in own_names}
    others = [name for name in re.split(r"[\s;:]+", values.get("dc_other_hostnames", "").lower()) if name]
    named = {
        "dc_eximconfig_configtype": [kind for kind in [values.get("dc_eximconfig_configtype")] if kind == "internet"],
        "dc_other_hostnames": [name for name in others if name not in own and not _is_private(name)],
        "dc_relay_domains": values.get("dc_relay_domains", "").split(),
        "dc_relay_nets": values.get("dc_relay_nets", "").split(),
    }
    return [f"{name} is '{' '.join(found)}'" for name, found in named.items() if found]


def commands(before: aliases.Before) -> list[str]:
    """The programs that get mail through an alias or a .forward: lists, and notices."""
    found = []
    for user, targets in [*before.aliases.items(), *before.forwards.items()]:
        for target in targets:
            program = (target[1:].split() or [""])[0] if target.startswith("|") else ""
            if _LISTS.search(program) or (program.startswith("/") and os.access(program, os.X_OK)):
                found.append(f"mail of {user} goes to the command {program}")
    return list(dict.fromkeys(found))


# --- the host ---------------------------------------------------------------------------------------


def look(host: Host, own_names: list[str], before: aliases.Before) -> list[str]:
    """What says so of the Postfix that is there."""
    values = configuration.parse_main_cf(host.command("postconf", "-nx")[1])
    for name, otherwise in _DOMAINS.items():
        given = values.get(name, values.get(otherwise, "") if otherwise else "")
        values[name] = " ".join(_domains(host, given, named=name in values))
    values["mydestination"] = " ".join(_domains(host, values.get("mydestination", ""), named=True))
    # Services may have networks of their own.
    overridden = re.findall(r"/inet/mynetworks = (.*)", host.command("postconf", "-P")[1])
    values["mynetworks"] = " ".join([values.get("mynetworks", ""), *overridden])
    lines = host.command("postconf", "-M")[1].splitlines()
    return [*signs(values, own_names, lines), *commands(before)]


def _domains(host: Host, value: str, named: bool) -> list[str]:
    """The domains of a list; of a table, those that it has, and its name if it does not say."""
    found = []
    for spelled in aliases.split_maps(value):
        if ":" not in spelled and not spelled.startswith("/"):
            found += [spelled] if named else []
            continue
        if spelled.startswith("/") and named:
            # In a list of domains a path is a file with one a line; in a list of tables it is a table.
            found += [line for line in host.read(spelled).split("\n") if line.strip() and not line.startswith("#")]
            continue
        keys = aliases.keys(host, spelled)
        found += [spelled] if named and keys is None else [key for key in keys or [] if "@" not in key and "." in key]
    return found


def other_signs(host: Host, own_names: list[str]) -> list[str]:
    """What says so of another mailer: its own configuration, and that it listens to more than this host."""
    # The file outlives an exim that was removed.
    exim = exim_signs(host.read(EXIM_SETTINGS), own_names) if os.path.exists(EXIM) else []
    beyond = {port for name, port in system.sockets("0A").values() if not master.LOOPBACK.fullmatch(name)}
    return [*exim, *(f"port {port} is open to other hosts" for port in sorted(beyond & _MAIL_PORTS))]
