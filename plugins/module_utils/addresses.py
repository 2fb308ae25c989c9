"""Mail addresses and host names: what they look like, and which names a host goes by."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

# The characters of an unquoted local part (RFC 5322), without those that mean something in main.cf
# ($ { }) or in a shell (| `): no real address has them. A leading "#" would be a comment in a table.
_ATOM = r"[A-Za-z0-9!#%&'*+/=?^_~-]+"
_LOCAL_PART = rf"(?!#){_ATOM}(?:\.{_ATOM})*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*"

# Of the web: user and password, which may be left out, and the server.
WEB_ADDRESS = re.compile(
    r"https?://(?:(?P<login>[^\s/?#@]*)@)?(?P<server>(?:[\w.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?)(?P<rest>[/?#]\S*)?"
)

# Ends of names that exist only inside a network, so that no provider lets a person own an address
# there: RFC 6761, 6762, 8375, 9476 and the names that routers make up. ".test" is left out: it is
# what test systems, this project's own among them, call their mail domains.
PRIVATE_ENDS = (
    "local", "localhost", "localdomain", "localdomain6", "lan", "home", "internal", "intern", "intranet", "home.arpa",
    "invalid", "corp", "private", "fritz.box", "ip",
)  # fmt: skip
# RFC 2606: documentation only, so an address there is a placeholder that was left in place.
_EXAMPLE_ENDS = ("example.com", "example.net", "example.org", "example")


def is_address(text: str) -> bool:
    """Whether text is one mail address with a domain."""
    return re.fullmatch(f"{_LOCAL_PART}@{_HOST}", text) is not None


def is_local_part(text: str) -> bool:
    """Whether text can stand before the @ of an address, as the name of a local user does."""
    return re.fullmatch(_LOCAL_PART, text) is not None


def is_sender(text: str) -> bool:
    """Whether text is a user, an address, or @ and a domain.

    >>> [is_sender(text) for text in ("nut", "nut@nas.lan", "@nas.lan", "@", "nut@", "a b")]
    [True, True, True, False, False, False]
    """
    name, at, domain = text.partition("@")
    return (not name or is_local_part(name)) and (is_host_name(domain) if at else bool(name))


def is_host_name(text: str) -> bool:
    """Whether text is a DNS name, or an IPv4 address in its usual spelling."""
    return re.fullmatch(_HOST, text) is not None


def is_full_name(text: str) -> bool:
    """Whether text is a host name with a domain, and no address in numbers."""
    # Its last label has a letter, or it would be such an address.
    return "." in text and is_host_name(text) and not text.rpartition(".")[2].isdecimal()


def domain_of(address: str) -> str:
    """The domain of an address in lower case, empty where there is none."""
    return address.rpartition("@")[2].lower() if "@" in address else ""


def _ends_in(domain: str, ends: tuple[str, ...]) -> bool:
    return any(domain == end or domain.endswith("." + end) for end in ends)


def is_private_domain(domain: str) -> bool:
    """Whether a domain exists only inside a network, or nowhere (nas.lan, nas, my_nas.casey.test, 10.0.0.5, nas.1)."""
    nowhere = "." not in domain or "_" in domain or re.search(r"\.[0-9]+\.?$", domain)
    return bool(nowhere) or _ends_in(domain.lower(), PRIVATE_ENDS)


def is_example_domain(domain: str) -> bool:
    """Whether a domain is reserved for documentation."""
    return _ends_in(domain.lower(), _EXAMPLE_ENDS)


def host_name(fqdn: str, nodename: str) -> str:
    """The name of a host in mail, from what the host calls itself.

    >>> host_name("nas.lan", "nas"), host_name("localhost", "nas")
    ('nas.lan', 'nas.localdomain')
    """
    for name in (fqdn.lower(), nodename.lower()):
        if is_full_name(name) and name.partition(".")[0] != "localhost":
            return name
    # A name without a domain: the one that Postfix itself adds, because some servers refuse a
    # HELO without a dot. What a name may not have, as the underscore of my_nas, becomes a hyphen.
    short = re.sub(r"[^a-z0-9-]+", "-", nodename.lower().partition(".")[0]).strip("-")
    return f"{short if is_host_name(short) else 'localhost'}.localdomain"


class Names(NamedTuple):
    """The names of a host behind the @."""

    #: What a sender or recipient without a domain gets; private.
    origin: str
    #: Those that are the host's alone: all mail to them stays here until an alias gives it a recipient elsewhere.
    own: list[str]
    #: Those that may be mail domains on the internet: a sender there is of this host, but a recipient only where `own`
    #: has the name, too.
    public: list[str]


def names(given: str, fqdn: str, nodename: str, mailname: str, mail_domains: Collection[str]) -> Names:
    """Sort the names that a host goes by; `given` is the one that a person wants, the others are what it calls itself.

    >>> found = names("", "casey.test", "casey", "", [])
    >>> found.origin, found.public, "casey.test" in found.own
    ('casey.localdomain', ['casey.test', 'localhost.test'], False)
    """
    hostname = given or host_name(fqdn, nodename)
    known = local_names(hostname, fqdn, nodename, mailname)
    public = [name for name in known if name in mail_domains or not is_private_domain(name)]
    # Not for a domain of the internet all that is written to it, unless a person asks for that.
    own = [name for name in known if name not in public or name == given or name.startswith("localhost.")]
    short = hostname.partition(".")[0]
    origin = f"{short}.localdomain" if hostname in public else hostname
    return Names(origin, list(dict.fromkeys([origin, *own])), public)


def local_names(hostname: str, fqdn: str = "", nodename: str = "", mailname: str = "") -> list[str]:
    """Every name that mail programs on a host put behind the @, the full one first.

    >>> local_names("nas.lan")[:5]
    ['nas.lan', 'nas', 'nas.local', 'nas.localdomain', 'localhost']
    """
    found = [hostname, fqdn, nodename]
    short_names = [name.partition(".")[0] for name in found]
    for short in short_names:
        found += [short, f"{short}.local", f"{short}.localdomain"]
    found += ["localhost"]
    found += [f"localhost.{name.partition('.')[2]}" for name in (hostname, fqdn) if "." in name]
    found += ["localhost.localdomain", "localhost.local", mailname]
    found = [name.lower() for name in found]
    return [name for name in dict.fromkeys(found) if is_host_name(name)]
