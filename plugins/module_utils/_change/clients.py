"""Other machines that are to hand in mail: whether this host is in their network, and what would keep them out.

Reads only. Runs on the managed host.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Refused

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host

# A firewall -> the command that says that it is active, the word for it, and what lets a network in.
_FIREWALLS = {
    "ufw": (("ufw", "status"), "Status: active", "ufw allow proto tcp from {network} to any port 25"),
    "firewalld": (
        ("firewall-cmd", "--state"),
        "running",
        'firewall-cmd --permanent --add-rich-rule=\'rule family="ipv{version}" source address="{network}" '
        'service name="smtp" accept\' && firewall-cmd --reload',
    ),
}


def _network(spelled: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """An entry of mynetworks; None for the name of a table and the like."""
    with suppress(ValueError):
        return ipaddress.ip_network(re.sub(r"[][]", "", spelled))
    return None


def check(spelled: Iterable[str]) -> None:
    """Refuse a network of public IPv6 that this host is not in: it is another's."""
    for network in map(_network, spelled):
        # A single machine is no network.
        if not isinstance(network, ipaddress.IPv6Network) or network.prefixlen == 128:
            continue
        if network.subnet_of(ipaddress.IPv6Network("2000::/3")) and not _is_in(network):
            raise Refused(
                f"smarthost_clients: this host has no address in {network}, so that may be another's network, from "
                "which strangers would send. Name the network of this host (ip -6 address shows it)."
            )


def _is_in(network: ipaddress.IPv6Network) -> bool:
    """Whether an interface of this host is in a network; no packet is sent."""
    with suppress(OSError), socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asked:
        asked.connect((str(network[-1]), 9))
        return ipaddress.IPv6Address(asked.getsockname()[0]) in network
    return False


def firewall(host: Host) -> str:
    """The firewall that is active; empty where there is none that is known here."""
    for name, (command, word, _rule) in _FIREWALLS.items():
        code, out, _err = host.command(*command, check=False)
        if code == 0 and word in out:
            return name
    return ""


def shut_out(name: str, spelled: Iterable[str]) -> str:
    """What a person should know of a firewall that may keep these networks out, with the commands that let them in.

    >>> shut_out("ufw", ["172.17.0.0/16"]).rpartition(": ")[2]
    'ufw allow proto tcp from 172.17.0.0/16 to any port 25'
    """
    found = [network for network in map(_network, spelled) if network]
    if not name or not found:
        return ""
    rule = _FIREWALLS[name][2]
    commands = "; ".join(rule.format(network=network, version=network.version) for network in found)
    return f"{name} is active on this host and may keep smarthost_clients out. If it does, let them in: {commands}"
