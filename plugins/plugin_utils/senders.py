"""Who mail is from on this host, and as whom it leaves: the lines of the regexp tables that say so.

The queue knows private senders (root@nas.lan). `smtp_generic_maps` turns them into an address of the account when mail
is delivered, so that mail that waits follows a new account. Generic maps rewrite recipients, too: a public address must
never be a key there. A public sender that is the account's or this host's own gets a private form when it is queued.
Pure Python, on the controller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses

# What makes a public address private: ups@casey.test waits as ups@casey.test.localdomain.
SUFFIX = ".localdomain"


def escaped(text: str) -> str:
    """A text as a pattern between slashes that matches just this text.

    >>> print(escaped("a.b+c/d"))
    a\\.b\\+c\\/d
    """
    return re.sub(r"([][.*+?^$(){}|\\/])", r"\\\1", text)


def private_domain() -> str:
    """A pattern for what stands behind the @ of an address that can belong to no account.

    No dot (containers), an underscore (my_nas.casey.test), an address in numbers or in brackets, or an ending that only
    networks at home have.
    """
    ends = "|".join(map(escaped, addresses.PRIVATE_ENDS))
    part = "[^].@<>[:space:][]"
    shapes = (f"{part}+", f"({part}|\\.)*_({part}|\\.)*", "[0-9.]+", "\\[[^]@<>]*\\]", f"({part}*\\.)*({ends})")
    return f"({'|'.join(shapes)})"


def private_form(address: str) -> str:
    """The address by which a public sender waits in the queue; a private one stays.

    >>> private_form("ups@casey.test"), private_form("ups@nas.lan")
    ('ups@casey.test.localdomain', 'ups@nas.lan')
    """
    return address if addresses.is_private_domain(addresses.domain_of(address)) else address + SUFFIX


def _key(local: str) -> str:
    """The pattern of a key of smarthost_generic: a whole address, a user of any private domain, or a domain."""
    if "@" not in local:
        return f"^{escaped(local)}@"
    return ("" if local.startswith("@") else "^") + escaped(private_form(local)) + "$"


def _precedence(local: str) -> int:
    """Whole addresses come before users, and users before domains, as in Postfix's own tables."""
    return 2 if local.startswith("@") else 0 if "@" in local else 1


def maps(
    generic: Mapping[str, str], sender: str, aliases: Mapping[str, Iterable[str]], login: str = ""
) -> dict[str, Any]:
    """The parts of the tables that the variables decide, for the templates.

    `generic` and `aliases` are the plan's; `sender` is the account's From, `login` an address that it owns, if any.
    """
    owned = [address for address in dict.fromkeys([sender, *generic.values(), login]) if "@" in address]
    public = [address for address in owned if private_form(address) != address]
    # A domain inside the network that mail goes to, or comes from, is one that the relay knows.
    used = [*owned, *(target for targets in aliases.values() for target in targets)]
    passing = {addresses.domain_of(address) for address in used} - {""}
    lines = [(_precedence(local), _key(local), generic[local]) for local in generic]
    # What already bears an address of the account keeps it.
    lines += [(0, f"^{escaped(private_form(address))}$", address) for address in public]
    converted = [local for local in generic if "@" in local and private_form(local) != local]
    return {
        "private": private_domain(),
        "passing": [escaped(domain) for domain in sorted(passing) if addresses.is_private_domain(domain)],
        "generic": [[pattern, address] for _order, pattern, address in sorted(lines, key=lambda line: line[0])],
        "sender": [
            [f"^{escaped(address)}$", private_form(address)]
            for address in [*public, *converted]
            if not address.startswith("@")
        ],
        "owned": [escaped(address) for address in public],
        "domains": sorted({addresses.domain_of(address) for address in public}),
        "sender_domains": [escaped(domain[1:]) for domain in converted if domain.startswith("@")],
        "users": [[escaped(user), ", ".join(targets)] for user, targets in aliases.items()],
    }
