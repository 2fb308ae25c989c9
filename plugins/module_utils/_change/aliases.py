"""Who gets the mail of local users, before the role and with it. Runs on the managed host.

`changes` says what a person should know of the difference, from nothing but its arguments; `look` asks the host.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pwd
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.homelab.mail.plugins.module_utils import addresses, configuration

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host

ROOT = "root"
ALIASES = "/etc/aliases"
SPOOL = "/var/mail"
FORWARD = ".forward"
# A .forward is a line or two; something larger is none.
_LARGEST = 65536
# Tables that can be listed, and those that a question costs nothing.
_LISTED = ("hash", "btree", "lmdb", "cdb", "dbm", "texthash")
_QUICK = ("regexp", "pcre", "static", "inline", "cidr", "randmap")
_PARAMETERS = (
    "alias_maps", "virtual_alias_maps", "mydestination", "myorigin", "luser_relay", "home_mailbox",
    "mail_spool_directory",
)  # fmt: skip

# A list of addresses takes quoted parts whole, with the commas and spaces in them.
_TARGET = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^",\n])+')
_KEY = re.compile(r'\s*("(?:\\.|[^"\\])*"|[^:"]+?)\s*:(.*)', re.DOTALL)
# A text that YAML takes for nothing else.
_PLAIN = re.compile(r"(?!(?:yes|no|on|off|true|false|null|y|n)\Z)[A-Za-z][\w.+@-]*", re.IGNORECASE)


class Leaf(NamedTuple):
    """Where mail ends: an `address`, a `mailbox` on the host, or what runs there for it (`other`)."""

    kind: str
    text: str


@dataclass
class Before:
    """What decides on the host, until now, who gets a local user's mail; names and keys in lower case."""

    #: Names of the host behind an @, the one first that a bare name gets.
    domains: list[str] = field(default_factory=list)
    #: virtual_alias_maps: address, user or @domain -> targets.
    virtual: dict[str, list[str]] = field(default_factory=dict)
    #: alias_maps or /etc/aliases: user -> targets.
    aliases: dict[str, list[str]] = field(default_factory=dict)
    #: User -> targets of the .forward; and path -> the same.
    forwards: dict[str, list[str]] = field(default_factory=dict)
    forward_files: dict[str, list[str]] = field(default_factory=dict)
    #: User -> mailbox on the host that has mail in it.
    mailboxes: dict[str, str] = field(default_factory=dict)
    #: Who gets mail of users that do not exist.
    luser_relay: str = ""


def targets(text: str) -> list[str]:
    """The targets of an alias, or of the lines of a .forward.

    >>> targets('a@b, "|/bin/x a,b", \\\\root')
    ['a@b', '|/bin/x a,b', '\\\\root']
    """
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    found = [_unquoted(part.group().strip()) for line in lines for part in _TARGET.finditer(line)]
    return [target for target in found if target]


def _unquoted(text: str) -> str:
    inside = re.fullmatch(r'"((?:\\.|[^"\\])*)"', text)
    text = re.sub(r"\\(.)", r"\1", inside.group(1)) if inside else text
    # "Anna <anna@example.org>" is the address alone.
    address = re.fullmatch(r"[^|/:<>]*<([^<>]+)>", text)
    return address.group(1) if address else text


def parse(text: str) -> dict[str, list[str]]:
    """User -> targets of a file like /etc/aliases, or of what `postalias -s` prints.

    >>> parse("# c\\nRoot: a@b,\\n  c@d\\n")
    {'root': ['a@b', 'c@d']}
    """
    table: dict[str, list[str]] = {}
    for line in configuration.logical_lines(text):
        found = _KEY.fullmatch(line)
        # Sendmail's mark of a complete table, and what NIS wants to know.
        if found and not found.group(1).startswith(("@", "YP_")):
            table[_unquoted(found.group(1)).lower()] = targets(found.group(2))
    return table


def parse_virtual(text: str) -> dict[str, list[str]]:
    """Key -> targets of a file like virtual(5), or of what `postmap -s` prints.

    >>> parse_virtual("root@nas.lan\\ta@b\\n@nas.lan c@d\\n")
    {'root@nas.lan': ['a@b'], '@nas.lan': ['c@d']}
    """
    pairs = (line.split(None, 1) for line in configuration.logical_lines(text))
    return {pair[0].lower(): targets(pair[1]) for pair in pairs if len(pair) == 2}


def split_maps(value: str) -> list[str]:
    """The tables of a list, those that are written out in braces in one piece.

    >>> split_maps("hash:/a, inline:{ {x = y} }  /b")
    ['hash:/a', 'inline:{ {x = y} }', '/b']
    """
    maps, depth = [""], 0
    for sign in value:
        depth += (sign == "{") - (sign == "}")
        if depth == 0 and (sign.isspace() or sign == ","):
            maps.append("")
        else:
            maps[-1] += sign
    return [spelled for spelled in maps if spelled]


def local_name(target: str, domains: Iterable[str]) -> str | None:
    """The local user that a target means; None where it is an address elsewhere."""
    user, at, domain = target.rpartition("@")
    if not at:
        return target.lower()
    return user.lower() if domain.lower() in domains else None


def _ends(user: str, before: Before) -> frozenset[Leaf]:
    """Where the mail of a user ends until now."""

    def from_virtual(name: str) -> list[str] | None:
        keys = [*(f"{name}@{domain}" for domain in before.domains), name, *(f"@{domain}" for domain in before.domains)]
        return next((before.virtual[key] for key in keys if key in before.virtual), None)

    tables = (from_virtual, before.aliases.get, before.forwards.get)

    def walk(target: str, first: int, way: frozenset[tuple[int, str]]) -> frozenset[Leaf]:
        if target[:1] in "|/" or target.startswith(":include:"):
            return frozenset([Leaf("other", target)])
        name = local_name(target.lstrip("\\"), before.domains)
        if name is None:
            return frozenset([Leaf("address", target.lower())])
        for number in () if target.startswith("\\") else range(first, len(tables)):
            found = tables[number](name)
            # A name that leads to itself goes on to the next table, as in Postfix.
            if found is not None and (number, name) not in way:
                ends = [walk(one, min(number, 1), way | {(number, name)}) for one in found]
                return frozenset(end for those in ends for end in those)
        return frozenset([Leaf("mailbox", name)])

    return walk(user, 0, frozenset())


def _ends_now(user: str, new: Mapping[str, list[str]]) -> frozenset[str]:
    """The addresses that get a user's mail with the role; all who have no entry share root's."""
    found: set[str] = set()
    seen: set[str] = set()
    todo = [user]
    while todo:
        name = todo.pop().lower()
        if "@" in name:
            found.add(name)
        elif name not in seen:
            seen.add(name)
            todo += new.get(name, new.get(ROOT, []))
    return frozenset(found)


def changes(before: Before, new: Mapping[str, list[str]]) -> list[str]:
    """What people should know of mail that goes elsewhere from now on; nothing where all stays the same.

    >>> changes(Before(aliases={"root": ["a@b.test"]}), {"root": ["c@d.test"]})[0]
    'Until now mail of root goes to a@b.test; with this configuration it goes to c@d.test.'
    """
    named = {name for key in before.virtual if (name := local_name(key, before.domains))}
    # root first: all who share its mail follow.
    users = sorted({ROOT, *named, *before.aliases, *before.forwards}, key=lambda name: (name != ROOT, name))
    old = {user: _ends(user, before) for user in {*users, *before.mailboxes}}
    groups: dict[tuple[frozenset[Leaf], frozenset[str]], list[str]] = {}
    for user in users:
        now = _ends_now(user, new)
        if _people(old[user]) not in (frozenset(), now) or any(end.kind == "other" for end in old[user]):
            groups.setdefault((old[user], now), []).append(user)
    said = [
        f"Until now mail of {_list(names)} goes to {_list(sorted(map(_end, ends)))}; "
        f"with this configuration it goes to {_list(sorted(now))}."
        for (ends, now), names in groups.items()
    ]
    said += [
        f"{path} is not read any more; it leads to {_list(map(_end, (_kind(target) for target in found)))}."
        for path, found in before.forward_files.items()
    ]
    boxes = {user: box for user, box in before.mailboxes.items() if Leaf("mailbox", user) in old[user]}
    if boxes:
        said.append(
            f"Until now mail of {_list(boxes)} stays on this host, in {_list(boxes.values())}; with this configuration "
            f"it goes to {_list(sorted(set().union(*(_ends_now(user, new) for user in boxes))))}."
        )
    if before.luser_relay and _ends(before.luser_relay, before) != {Leaf("address", to) for to in _ends_now(ROOT, new)}:
        said.append(
            f"Until now mail of users that do not exist goes to {_shown(before.luser_relay)} (luser_relay); with this "
            "configuration it goes where root's goes."
        )
    kept = _kept({user: _people(old[user]) for user in users}, new)
    if kept != new:
        said.append(f"To keep it so, write smarthost_aliases: {{{', '.join(_entry(*item) for item in kept.items())}}}.")
    if any(end.kind == "other" for ends, _now in groups for end in ends):
        said.append("Commands, files and lists get no mail any more; only addresses do.")
    return said


def _people(ends: Iterable[Leaf]) -> frozenset[str]:
    return frozenset(end.text for end in ends if end.kind == "address")


def _kept(old: Mapping[str, frozenset[str]], new: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The aliases to come, such that the same people get the mail as before."""
    kept = dict(new)
    # A line of one's own may change who gets another's mail, so until none is missing.
    for _time in old:
        for user, people in old.items():
            if people and people != _ends_now(user, kept) and _is_usable(user, people):
                kept[user] = sorted(people)
    return kept


def _is_usable(user: str, found: Iterable[str]) -> bool:
    """Whether the rules for smarthost_aliases take it."""
    return addresses.is_local_part(user) and all(
        addresses.is_address(to) and not addresses.is_private_domain(addresses.domain_of(to)) for to in found
    )


def _entry(user: str, found: list[str]) -> str:
    """An entry of a mapping in YAML.

    >>> _entry("root", ["a@b.test"]), _entry("no", ["a@b.test", "c@d.test"])
    ('root: a@b.test', '"no": [a@b.test, c@d.test]')
    """
    user, *texts = (text if _PLAIN.fullmatch(text) else json.dumps(text) for text in (user, *found))
    return f"{user}: {texts[0] if len(texts) == 1 else '[' + ', '.join(texts) + ']'}"


def _kind(target: str) -> Leaf:
    return Leaf("other" if target[:1] in "|/:" else "address", target)


def _end(end: Leaf) -> str:
    """Where mail ends, in words; of a command only its name, because an argument may be a secret."""
    if end.kind == "mailbox":
        return f"the mailbox of {end.text} on this host"
    if end.text.startswith("|"):
        return f"the command {(end.text[1:].split() or ['?'])[0]}"
    if end.text.startswith("/"):
        return f"the file {end.text}"
    return f"the list {end.text[len(':include:') :]}" if end.kind == "other" else end.text


def _shown(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)


def _list(names: Iterable[str]) -> str:
    *most, last = map(_shown, names)
    return f"{', '.join(most)} and {last}" if most else last


# --- the host ---------------------------------------------------------------------------------------


def look(host: Host, own_names: list[str], asks_postfix: bool) -> Before:
    """Who gets mail of local users now: by Postfix, where one was configured, else as most mailers have it."""
    accounts = {entry.pw_name.lower(): entry for entry in pwd.getpwall()}
    before = Before(domains=[name.lower() for name in own_names])
    # Postfix is asked: what stands in main.cf may be made of other parameters, or be a default.
    values = configuration.parse_main_cf(host.command("postconf", "-x", *_PARAMETERS)[1]) if asks_postfix else {}
    if values:
        _ask_postfix(host, before, values, list(accounts))
    else:
        before.aliases = parse(host.read(ALIASES))
    for user, entry in accounts.items():
        found = _forward(host, entry.pw_dir, entry.pw_uid)
        if found:
            before.forwards[user] = before.forward_files[os.path.join(entry.pw_dir, FORWARD)] = found
    before.mailboxes = _mailboxes({user: entry.pw_dir for user, entry in accounts.items()}, values)
    return before


def _forward(host: Host, home: str, user: int) -> list[str]:
    """The targets of a user's .forward; none where there is none."""
    path = os.path.join(home, FORWARD)
    # Homes may be somewhere that is not there, or not root's to read.
    with contextlib.suppress(OSError):
        # root's home on a Mac is daemon's as well, who cannot read it.
        owners = {os.stat(path).st_uid, os.stat(home).st_uid}
        if user in owners and os.path.isfile(path) and os.path.getsize(path) < _LARGEST:
            return targets(host.read(path))
    return []


def _ask_postfix(host: Host, before: Before, values: Mapping[str, str], names: list[str]) -> None:
    """What its tables say."""
    destinations = re.split(r"[\s,]+", values.get("mydestination", "").lower())
    origin = values.get("myorigin", "").lower()
    if origin.startswith("/"):
        origin = host.read(origin).split("\n")[0].strip().lower()
    before.domains = [name for name in dict.fromkeys([origin, *destinations, *before.domains]) if name]
    for spelled in split_maps(values.get("virtual_alias_maps", "")):
        whole = [f"{name}@{domain}" for name in names for domain in before.domains]
        for key, found in _table(host, spelled, [*whole, *names], alias=False).items():
            before.virtual.setdefault(key, found)
    if origin not in destinations and not any(sign in " ".join(destinations) for sign in "/:"):
        # Users of this host are at home elsewhere, and its aliases are without effect.
        before.domains.remove(origin)
        if not addresses.is_private_domain(origin):
            before.virtual.setdefault(ROOT, [f"{ROOT}@{origin}"])
        return
    before.luser_relay = values.get("luser_relay", "")
    for spelled in split_maps(values.get("alias_maps", "")):
        for key, found in _table(host, spelled, names, alias=True).items():
            before.aliases.setdefault(key, found)


def keys(host: Host, spelled: str) -> list[str] | None:
    """The keys of a table; None where it cannot be listed."""
    kind = spelled.removeprefix("proxy:").partition(":")[0]
    return list(_table(host, spelled, [], alias=False)) if kind in _LISTED else None


def _table(host: Host, spelled: str, keys: list[str], alias: bool) -> dict[str, list[str]]:
    """What a table says: all of it, or of the keys."""
    spelled = spelled.removeprefix("proxy:")
    kind, _colon, path = spelled.rpartition(":") if spelled.startswith("/") else spelled.partition(":")
    if kind in ("", *_LISTED):
        code, out, _err = host.command("postalias" if alias else "postmap", "-s", spelled)
        if code != 0:
            # Not compiled, or of a type that cannot be listed: its text.
            out, alias = host.read(path), alias and kind != "texthash"
        return (parse if alias else parse_virtual)(out)
    asked = keys if kind in _QUICK else [key for key in keys if key.partition("@")[0] == ROOT]
    return parse_virtual(host.command("postmap", "-q", "-", spelled, text="\n".join(asked) + "\n")[1])


def _mailboxes(users: Mapping[str, str], values: Mapping[str, str]) -> dict[str, str]:
    """User -> the mailbox, where there is mail in it."""
    found = {}
    for user, home in users.items():
        path = os.path.join(values.get("mail_spool_directory") or SPOOL, user)
        if values.get("home_mailbox"):
            path = os.path.join(home, values["home_mailbox"])
        # One file, or a folder with one for each mail.
        mails = [mail for kind in ("new", "cur") for mail in glob.glob(os.path.join(glob.escape(path), kind, "*"))]
        with contextlib.suppress(OSError):
            if mails or (os.path.isfile(path) and os.path.getsize(path)):
                found[user] = path.rstrip("/")
    return found
