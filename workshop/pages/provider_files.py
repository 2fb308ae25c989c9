"""Reads roles/smarthost/providers: the presets, what the replies mean, and the real lines that they were met with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from . import provider_schema

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / "roles/smarthost/providers"

# How Postfix logs a reply, by the step of the conversation that it came at.
_LOGGED = {
    "greeting": "host smtp.example.org[192.0.2.25] refused to talk to me: {}",
    "auth": "SASL authentication failed; server smtp.example.org[192.0.2.25] said: {}",
    "mail": "host smtp.example.org[192.0.2.25] said: {} (in reply to MAIL FROM command)",
    "rcpt": "host smtp.example.org[192.0.2.25] said: {} (in reply to RCPT TO command)",
    "message": "host smtp.example.org[192.0.2.25] said: {} (in reply to end of DATA command)",
}


class WrongFileError(Exception):
    """Files that are not as their README says."""


@dataclass(frozen=True)
class Met:
    """A real line: whose it is (no presets: anyone's), what it means, and the reply or the line itself."""

    presets: tuple[str, ...]
    key: str
    step: str
    said: str

    @property
    def lines(self) -> tuple[str, ...]:
        """As one meets it: the reply alone, as the login check has it, and in Postfix's log."""
        said = " ".join(self.said.split("\n"))
        return (said, _LOGGED[self.step].format(said)) if self.step else (said,)


@cache
def files() -> dict[str, dict[str, Any]]:
    """Every file of the folder, by its name without the ending."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = {path.stem: yaml.load(path.read_text(encoding="utf-8"), loader) for path in sorted(FOLDER.glob("*.yml"))}
    faults = [fault for name, file in found.items() for fault in provider_schema.wrong_with(name, file)]
    if not faults:
        owners: dict[str, str] = {}
        faults = [
            f"{name}.yml: {reply['key']}: {owners[reply['key']]}.yml has this key; write another one"
            for name, file in found.items()
            for reply in file.get("replies", [])
            if owners.setdefault(reply["key"], name) != name
        ]
    if faults:
        raise WrongFileError("\n".join(faults))
    return found


def presets() -> dict[str, dict[str, Any]]:
    """The presets by their name, which is the file's."""
    return {name: file["preset"] for name, file in files().items() if "preset" in file}


def whose(name: str) -> tuple[str, ...]:
    """The presets whose replies a file has; none: any server's, or Postfix's own."""
    file = files()[name]
    return (name,) if "preset" in file else tuple(file.get("presets", ()))


def replies() -> list[dict[str, Any]]:
    """Every reply as the host's program knows it: with its presets, and with the sentences that `like` stands for."""
    says = {reply["key"]: reply.get("says", []) for file in files().values() for reply in file.get("replies", [])}
    found = []
    for name, file in files().items():
        for reply in file.get("replies", []):
            there = (*says.get(reply.get("like"), ()), *reply.get("says_there", ()))
            facts = {key: reply[key] for key in ("key", "kind", "cause", "remedy", "link") if key in reply}
            sentences = {"providers": whose(name), "says": tuple(reply.get("says", ())), "says_there": there}
            found.append({**facts, **{key: value for key, value in sentences.items() if value}})
    return found


def codes() -> list[dict[str, Any]]:
    """What a code alone tells, in the order of the file."""
    return [{**code, "codes": tuple(code["codes"])} for file in files().values() for code in file.get("codes", [])]


def met() -> Iterator[Met]:
    """Every real line of every file."""
    for name, file in files().items():
        lines = {reply["key"]: reply.get("met", []) for reply in file.get("replies", [])}
        for key, items in (*lines.items(), *file.get("also", {}).items()):
            for item in items:
                [(step, said)] = item.items() if isinstance(item, dict) else [("", item)]
                yield Met(whose(name), key, step, said)
