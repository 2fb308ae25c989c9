"""Who mail is from on this host, and as whom it leaves: the lines of the regexp tables that say so.

The queue knows private senders (root@nas.lan). `smtp_generic_maps` turns them into an address of the account when mail
is delivered, so that mail that waits follows a new account. Generic maps rewrite recipients, too: a public address must
never be a key there. A public sender that is the account's or this host's own gets a private form when it is queued.
Pure Python, on the controller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from email.header import Header
from email.utils import formataddr
from itertools import chain
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses
from ansible_collections.homelab.mail.plugins.plugin_utils.networks import is_inside

# What makes a public address private: ups@casey.test waits as ups@casey.test.localdomain.
SUFFIX = ".localdomain"


def escaped(text: str) -> str:
    """A text as a pattern between slashes that matches just this text.

    >>> print(escaped("a.b+c/d"))
    a\\.b\\+c\\/d
    """
    return re.sub(r"([][.*+?^$(){}|\\/])", r"\\\1", text)


def phrase(name: str) -> str:
    """A name as it stands before an address in a header, in the result of a table: there $ is a sign of its own.

    >>> phrase("nas"), phrase('A "b".'), phrase("Büro $1")
    ('nas', '"A \\\\"b\\\\"."', '=?utf-8?q?B=C3=BCro_=241?=')
    """
    if not name.isascii():
        return " ".join(Header(name, "utf-8").encode().split())
    return formataddr((name, "x")).removesuffix("<x>").strip().replace("$", "$$") if name else ""


def private_domain() -> str:
    """A pattern for what stands behind the @ of an address that can belong to no account.

    No dot (containers), an underscore (my_nas.casey.test), digits at the end, an address in brackets, or an ending that
    only networks at home have.
    """
    ends = "|".join(map(escaped, addresses.PRIVATE_ENDS))
    part = "[^].@<>[:space:][]"
    shapes = (
        f"{part}+",
        f"({part}|\\.)*_({part}|\\.)*",
        f"({part}|\\.)*\\.[0-9]+\\.?",
        "\\[[^]@<>]*\\]",
        f"({part}*\\.)*({ends})",
    )
    return f"({'|'.join(shapes)})"


def private_form(address: str) -> str:
    """The address by which a public sender waits in the queue; a private one stays.

    >>> private_form("ups@casey.test"), private_form("ups@nas.lan")
    ('ups@casey.test.localdomain', 'ups@nas.lan')
    """
    return address if addresses.is_private_domain(addresses.domain_of(address)) else address + SUFFIX


def key(local: str) -> str:
    """The pattern of a key of smarthost_generic: a whole address, a user of any private domain, or a domain."""
    if "@" not in local:
        return f"^{escaped(local)}@"
    return ("" if local.startswith("@") else "^") + escaped(private_form(local)) + "$"


def _precedence(local: str) -> int:
    """Whole addresses come before users, and users before domains, as in Postfix's own tables."""
    return 2 if local.startswith("@") else 0 if "@" in local else 1


def is_public(sender: str) -> bool:
    """Whether a sender, or all of a domain, is one of the internet.

    >>> [is_public(sender) for sender in ("a@casey.test", "@casey.test", "nut@nas.lan", "nut")]
    [True, True, False, False]
    """
    return "@" in sender and private_form(sender) != sender


def given(account: Mapping[str, Any]) -> list[str]:
    """The senders that a person gave to an account."""
    return [*account["senders"], *account["generic"]]


def owned(account: Mapping[str, Any]) -> list[str]:
    """The addresses that an account may send as, as far as they are known."""
    named = [account["from"], *account["generic"].values(), account["login"], *filter(is_public, account["senders"])]
    return [address for address in dict.fromkeys(named) if "@" in address[1:]]


def generic(account: Mapping[str, Any]) -> list[list[str]]:
    """The lines of the table by which an account delivers: private sender, address of the account."""
    lines = [(_precedence(local), key(local), address) for local, address in account["generic"].items()]
    # What already bears an address of the account keeps it.
    lines += [(0, key(address), address) for address in filter(is_public, owned(account))]
    domains = [sender for sender in account["senders"] if sender.startswith("@") and is_public(sender)]
    lines += [(2, f"^(.*){key(domain)}", "${1}" + domain) for domain in domains]
    return [[pattern, address] for _order, pattern, address in sorted(lines, key=lambda line: line[0])]


def relay(accounts: Iterable[Mapping[str, Any]]) -> list[list[str]]:
    """The lines of the table that says through which account a sender's mail leaves, empty for the default one."""
    lines = []
    for account in accounts:
        way = f"{account['service']}:{account['nexthop']}" if account["id"] else ""
        lines += [(_precedence(sender), False, key(sender), way) for sender in given(account)]
        # What several accounts own without a word belongs to the first.
        lines += [(0, True, key(address), way) for address in owned(account)]
    return [[pattern, way] for *_order, pattern, way in sorted(lines, key=lambda line: line[:2])]


def passing(account: Mapping[str, Any], aliases: Mapping[str, Iterable[str]]) -> list[str]:
    """The domains inside the network that an account's relay knows, because mail goes there or comes from there."""
    used = owned(account)
    if not account["id"] or is_inside(account["host"]):
        used += chain(*aliases.values())
    domains = sorted({addresses.domain_of(address) for address in used} - {""})
    return [escaped(domain) for domain in domains if addresses.is_private_domain(domain)]


def maps(accounts: list[dict[str, Any]], aliases: Mapping[str, Iterable[str]]) -> dict[str, Any]:
    """The parts of the tables that the variables decide and that all accounts share, for the templates."""
    own = list(dict.fromkeys(address for account in accounts for address in owned(account)))
    public = list(filter(is_public, own))
    converted = [
        sender for account in accounts for sender in [*account["generic"], *account["senders"]] if is_public(sender)
    ]
    return {
        "private": private_domain(),
        "passing": sorted({domain for account in accounts for domain in passing(account, aliases)}),
        "relay": relay(accounts),
        "sender": [
            [f"^{escaped(address)}$", private_form(address)]
            for address in dict.fromkeys([*public, *converted])
            if not address.startswith("@")
        ],
        "owned": [escaped(address) for address in public],
        "domains": sorted({addresses.domain_of(address) for address in public}),
        "sender_domains": [escaped(domain[1:]) for domain in converted if domain.startswith("@")],
        "users": [[escaped(user), ", ".join(targets)] for user, targets in aliases.items()],
    }
