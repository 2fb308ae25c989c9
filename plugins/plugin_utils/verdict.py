"""What is said of the variables, and what every rule asks of a value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import addresses

PREFIX = "smarthost_"
# What a person gave, a provider's file, an account of the plan; and all providers by their names.
Values = Mapping[str, Any]
Providers = Mapping[str, Values]


# What guides and our own README write where the real value belongs: nothing but such words.
_GUIDE_WORDS = {
    "a", "account", "address", "api", "apikey", "app", "application", "change", "changeme", "character",
    "characters", "credential", "digit", "digits", "e", "email", "enter", "example", "first", "fixme", "from",
    "generated", "goes", "here", "in", "insert", "it", "key", "last", "letter", "login", "mail", "me", "my",
    "name", "new", "pass", "passphrase", "passwd", "password", "passwort", "paste", "placeholder", "put",
    "re", "real", "secret", "sg", "smtp", "specific", "the", "this", "todo", "token", "user", "username",
    "value", "you", "your", "yourdomain", "youremail", "yourname", "yourpassword", "yourusername",
}  # fmt: skip


_REPEATED = re.compile(r"(.)\1{2,}")


_APPLES_EXAMPLE = "abcdefghijklmnop"


# C0 and C1 controls, the two separators that some programs take for an end of line, halves of
# characters, which cannot be written, and what comes along unseen when one copies from a page.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060\ufeff\ud800-\udfff]")


_LINE_BREAKS = "\n\r\x85\u2028\u2029"


@dataclass
class Verdict:
    """Variables, the provider that they name, and what was found: faults forbid a run, warnings go with it.

    The plan is for the host and can be shown.
    """

    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    plan: dict[str, Any] = field(default_factory=dict)
    #: What of it has passwords: `logins`, `inbox` and `watch`.
    secrets: dict[str, Any] = field(default_factory=dict, repr=False)
    #: The variables, without their prefix; all providers; and the one that is named, if it is known.
    settings: Values = field(default_factory=dict, repr=False)
    providers: Providers = field(default_factory=dict, repr=False)
    provider: Values = field(default_factory=lambda: {"name": "your provider"})
    #: Variables with a sign in them that no value may have. Of these, nothing else is said.
    spoilt: set[str] = field(default_factory=set)

    def fault(self, variable: str, what: str, remedy: str) -> None:
        """Note a fault: what is wrong with which variable, and what to do about it."""
        if variable not in self.spoilt:
            self.faults.append(f"{PREFIX}{variable}: {what} {remedy}".rstrip())

    def text(self, name: str) -> str:
        """A variable as text, empty where it is not set."""
        value = self.settings.get(name)
        return "" if value is None else str(value)

    def help(self, about: str) -> str:
        """What the provider's file adds to a remedy, such as where to find the login."""
        return str(self.provider.get(f"{about}_help", ""))


def check_controls(verdict: Verdict, name: str, value: Any) -> None:
    """A line break in a value would become a line of its own in a table or in main.cf."""
    for text in _texts(value):
        found = _CONTROL.search(text)
        if found:
            kind = (
                "a line break"
                if found.group() in _LINE_BREAKS
                else "a control character"
                if found.group() < "\xa0"
                else "an invisible character"
            )
            verdict.fault(
                name,
                f"has {kind} at position {found.start() + 1} of {len(text)}.",
                "Encrypt it again without: ansible-vault encrypt_string --ask-vault-pass --prompt."
                if name.endswith("password")
                else "Write the value on one line, in quotes, without a block sign (| or >)."
                if found.group() in _LINE_BREAKS
                else "Type the value instead of pasting it.",
            )
    if isinstance(value, str) and not clean(value):
        verdict.spoilt.add(name)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (Mapping, list, tuple)):
        for inner in chain(*value.items()) if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def clean(value: Any) -> bool:
    """Whether a value is free of what `check_controls` has already complained about."""
    return not _CONTROL.search(str(value))


def is_placeholder(text: str, provider: Values) -> bool:
    """Whether a text consists of nothing but the words that guides write for a real value."""
    if re.fullmatch(r"<.*>|\[.*\]|\{.*\}", text) or _REPEATED.fullmatch(text):
        return True
    if re.sub("[- ]", "", text) == _APPLES_EXAMPLE:
        return True
    own_words = set(re.findall(r"[a-z]+", str(provider["name"]).lower()))
    words = re.findall(r"[^\W_]+", text.lower())
    return bool(words) and all(
        word in _GUIDE_WORDS or word in own_words or word in ("16", "32") or _REPEATED.fullmatch(word) for word in words
    )


def is_placeholder_address(text: str, provider: Values) -> bool:
    """Whether an address is one that guides write for a real one."""
    local, _at, domain = text.rpartition("@")
    if addresses.is_example_domain(domain):
        return True
    guide_domain = domain.lower() in provider.get("domains", []) or is_placeholder(domain.partition(".")[0], provider)
    # "mail" or "me" may be a real name; "you" and "user" are none.
    invented = re.search(r"you|user|example|changeme|placeholder|<", local, re.IGNORECASE)
    return guide_domain and bool(invented) and is_placeholder(local, provider)
