"""Which hosts and networks lie inside one's own network, and which may send through a host. Pure Python."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.plugin_utils.verdict import Verdict, clean

# What can lie behind a router or inside a VPN. Not ipaddress' own word for it, which calls 0.0.0.0/0 private.
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
        "fc00::/7", "fe80::/10", "::1/128",
    )
)  # fmt: skip
# What the internet has of IPv6. A network at home may have a part of it, of this size at most.
_GLOBAL = ipaddress.IPv6Network("2000::/3")
_AT_HOME = 64
# Wider than any network at home.
_WIDEST = {4: 8, 6: 48}


def is_inside(host: str) -> bool:
    """Whether a name or an address is one inside a network, so that it is one's own.

    >>> is_inside("nas.lan"), is_inside("10.0.0.5"), is_inside("203.0.113.5"), is_inside("smtp.casey.test")
    (True, True, False, False)
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return addresses.is_private_domain(host)
    return any(address in network for network in _PRIVATE)


def is_public(text: str) -> bool:
    """Whether an entry of mynetworks is more than one host and not inside a private network."""
    try:
        network = ipaddress.ip_network(re.sub(r"[\[\]]", "", text), strict=False)
    except ValueError:
        # A table, a name or an exception ("!…").
        return False
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped and network.prefixlen >= 96:
        network = ipaddress.ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
    first, last = network[0], network[-1]
    inside = any(first in private and last in private for private in _PRIVATE)
    return first != last and not inside


def read_clients(verdict: Verdict) -> dict[str, list[str]]:
    """The networks that may send through this host, as mynetworks spells them, and those of them that are one machine.

    >>> read_clients(Verdict(settings={"clients": ["192.168.1.0/24", "fd00::5"]}))
    {'networks': ['192.168.1.0/24', '[fd00::5]/128'], 'machines': ['[fd00::5]/128']}
    """
    found = {}
    for given in map(str, verdict.settings.get("clients") or []):
        if not clean(given):
            continue
        try:
            network = ipaddress.ip_network(re.sub(r"[\[\]]", "", given), strict=False)
        except ValueError:
            verdict.fault(
                "clients", f"{given!r} is not a network.", "Write one, or an address: 192.168.1.0/24, fd00::5."
            )
            continue
        fault = _fault(network)
        if fault:
            verdict.fault("clients", f"{given} {fault[0]}", fault[1])
        elif str(network.network_address) != re.sub(r"[\[\]]|/.*", "", given):
            verdict.fault("clients", f"{given} is an address in a network.", f"Write the network, {network}, or no /.")
        spelled = f"[{network.network_address}]/{network.prefixlen}" if network.version == 6 else str(network)
        found[spelled] = network.num_addresses == 1
    return {"networks": list(found), "machines": [spelled for spelled, alone in found.items() if alone]}


def _fault(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[str, str] | None:
    """Why a network may not send through a host, and what to do."""
    at_home = (
        isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_GLOBAL) and network.prefixlen >= _AT_HOME
    )
    if is_public(str(network)) and not at_home:
        return (
            "is on the internet: strangers there would send as your account.",
            "Name networks at home alone, such as 192.168.1.0/24; of public IPv6, the /64 that this host is in.",
        )
    if network.prefixlen < _WIDEST[network.version]:
        return (
            "is wider than any network at home.",
            f"Name the part that is yours, /{_WIDEST[network.version]} at most.",
        )
    return None
