"""Which hosts and networks lie inside one's own network. Pure Python, on the controller."""

from __future__ import annotations

import ipaddress
import re

from ansible_collections.homelab.mail.plugins.module_utils import addresses

# What can lie behind a router or inside a VPN. Not ipaddress' own word for it, which calls 0.0.0.0/0 private.
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "127.0.0.0/8",
        "fc00::/7", "fe80::/10", "::1/128",
    )
)  # fmt: skip


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
