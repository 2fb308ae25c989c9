"""What a reply of a mail provider or a line in Postfix's log means, and what to do about it.

Pure Python, standard library only, no I/O: runs on managed hosts. The replies are data, in roles/smarthost/providers;
this is how they are matched:

- A sentence is matched, never a code: providers use 535 5.7.8, 5.7.139 or 554 5.7.1 for many things.
- "…" stands for what varies: an address, a host, a number. What is left must occur in the text, in its order.
- Case, white space and line breaks do not count, nor do the codes that begin each line of a reply.
- The sentence that asks for the most text wins, so a longer one is an exception to a shorter one.
- Where two ask for as much, the entry of the provider in question wins, then the one for everybody.
- Where no sentence is known, the code alone gives a meaning, which says so: nothing is decided by it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import NamedTuple

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._program import replies

# What kinds there are:
# - login: user name or password
# - sender: the envelope sender or the From
# - certificate: who the server is cannot be proved
# - tls: encryption does not come about
# - network: the server is not reached
# - limit: too much in a time, or at once
# - size: the message is too large
# - policy: the provider or its administrator forbids it
# - configuration: Postfix on this host
# - temporary: passes by itself
# - account: the state of the account at the provider
# - recipient: the address written to, or its mailbox
# - content: what is in the mail: spam, a virus, a header


class Entry(NamedTuple):
    """One failure: a stable name, the cause and the remedy in whole sentences, and the sentences that tell of it."""

    key: str
    kind: str
    cause: str
    remedy: str
    # A page to read.
    link: str = ""
    # Presets whose replies these are; none: any server says this, or Postfix itself.
    providers: tuple[str, ...] = ()
    # Sentences that mean this wherever they turn up.
    says: tuple[str, ...] = ()
    # Sentences that others say as well: they mean this only from one of `providers`.
    says_there: tuple[str, ...] = ()
    # The code, where nothing else tells of it.
    code: str = ""


TABLE = tuple(Entry(**reply) for reply in replies.REPLIES)
_OF_ACCOUNT = re.compile(rf"\bsmarthost_({'|'.join(configuration.ACCOUNT_KEYS)})\b")


# How much an entry's claim to a sentence counts, where two sentences ask for as much text.
_OWN, _ANYBODY, _FOREIGN = 3, 2, 1

# What Postfix puts around the real reason. It counts only where there is nothing known inside.
_FRAMES = re.compile(r"delivery temporarily suspended:?|sasl authentication failed; server \S+ said:")
# The code of a reply, and the enhanced one (RFC 3463).
_BASIC = re.compile(r"(?:^|said: |to me: )([45]\d\d)(?![\w.])")
_ENHANCED = re.compile(r"(?<![\d.])[45]\.[0-7]\.\d{1,3}(?![\d.])")
# The codes at the beginning of each line of a reply; Postfix and Python join the lines.
_CODES = re.compile(r"(?<!\S)(?:[245]\d\d[- ](?:[245]\.\d{1,3}\.\d{1,3}(?!\S))?|[245]\.\d{1,3}\.\d{1,3}(?!\S))")


class _Sentence(NamedTuple):
    """One sentence of the table: the texts around its gaps, their length, and the entries that claim it."""

    parts: tuple[str, ...]
    length: int
    claims: tuple[tuple[Entry, bool], ...]  # the entry, and whether the sentence means it wherever it turns up

    def occurs_in(self, text: str) -> bool:
        """Whether the parts are in the text, one after the other."""
        position = 0
        for part in self.parts:
            position = text.find(part, position)
            if position < 0:
                return False
            position += len(part)
        return True


def _plain(text: str) -> str:
    """Lower case, one space between words, one kind of apostrophe."""
    return " ".join(text.replace("\u2019", "'").lower().split())


def _unframed(plain: str) -> str:
    """Without what Postfix put around a reply, and without the codes of the reply."""
    return _plain(_CODES.sub(" ", _FRAMES.sub(" ", plain)))


def _index(table: Iterable[Entry]) -> tuple[_Sentence, ...]:
    """The table by sentence, so that each is looked for once; those that ask for the most text come first."""
    claims: dict[tuple[str, ...], list[tuple[Entry, bool]]] = {}
    for entry in table:
        for sentences, everywhere in ((entry.says, True), (entry.says_there, False)):
            for said in sentences:
                parts = tuple(part for part in (_plain(part) for part in said.split("…")) if part)
                claims.setdefault(parts, []).append((entry, everywhere))
    sentences_ = [
        _Sentence(parts, sum(len(part) for part in parts), tuple(entries)) for parts, entries in claims.items()
    ]
    return tuple(sorted(sentences_, key=lambda sentence_: -sentence_.length))


@functools.cache
def _sentences() -> tuple[_Sentence, ...]:
    """The whole table by sentence, made when something is to be explained, which is seldom."""
    return _index(TABLE)


def _standing(entry: Entry, everywhere: bool, provider: str | None) -> int:
    """What the entry's claim counts for this provider; 0: nothing."""
    if provider in entry.providers:
        return _OWN
    if not everywhere:
        return 0
    return _FOREIGN if entry.providers else _ANYBODY


def _match(plain: str, provider: str | None, sentences: Iterable[_Sentence]) -> Entry | None:
    """The entry whose sentence asks for the most text; between equals, the one with the better standing."""
    best: Entry | None = None
    best_rank = (0, 0)
    for candidate in sentences:
        if candidate.length < best_rank[0]:
            break
        if candidate.occurs_in(plain):
            for entry, everywhere in candidate.claims:
                standing = _standing(entry, everywhere, provider)
                if standing and (candidate.length, standing) > best_rank:
                    best, best_rank = entry, (candidate.length, standing)
    return best


def by_code(text: str) -> Entry | None:
    """What the code of a reply tells by itself; None if there is none that tells anything."""
    basic, enhanced = _BASIC.search(text), _ENHANCED.search(text)
    # Postfix goes by the first digit of the basic one, so an enhanced one that contradicts it is wrong.
    found = [enhanced[0]] if enhanced and (not basic or basic[1][0] == enhanced[0][0]) else []
    found += [basic[1]] if basic else []
    for meaning in replies.CODES:
        for number, _space, command in (wanted.partition(" ") for wanted in meaning["codes"]):
            for code in found:
                if code.startswith(number) and command in text:
                    only = f"Only the code {code} says so: the words of the reply are not known here."
                    return Entry("", meaning["kind"], f"{meaning['cause']} {only}", meaning["remedy"], code=code)
    return None


def meaning(text: str, provider: str | None = None, account: str = "") -> Entry | None:
    """What a reply or a log line means, at least by its code; a further account has keys in place of variables."""
    found = explain(text, provider) or by_code(text)
    return found._replace(remedy=_OF_ACCOUNT.sub(r"the account's \1", found.remedy)) if found and account else found


def explain(text: str, provider: str | None = None, sentences: tuple[_Sentence, ...] = ()) -> Entry | None:
    """What a reply or a log line means; None if no entry knows it, so that the caller shows it as it is.

    The provider is the name of its preset; None, custom or an unknown one leave what any server may say.
    """
    plain, sentences = _plain(text), sentences or _sentences()
    return _match(_unframed(plain), provider, sentences) or _match(plain, provider, sentences)
