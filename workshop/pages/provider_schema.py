"""What a file of roles/smarthost/providers may have, by the tables of the README there; what is wrong, in words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

README = Path(__file__).resolve().parents[2] / "roles/smarthost/providers/README.md"

# Where a reply can come, from the greeting to the end of the message.
STEPS = ("greeting", "auth", "mail", "rcpt", "message")
# What a file may have, in this order.
CHAPTERS = {"preset": dict, "presets": list, "example": dict, "replies": list, "also": dict, "codes": list}


@dataclass(frozen=True)
class Key:
    """A row of a table: whether the key is always there, the type of its value, and of an enum what it can be."""

    always: bool
    type: str
    choices: tuple[str, ...]


def keys(chapter: str) -> dict[str, Key]:
    """The keys of a chapter, in their order."""
    text = README.read_text(encoding="utf-8").partition(f"\n## {chapter}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| ?(\*?) \| (\w+) \| (.+)", text, re.M)
    return {
        key: Key(
            star == "*", kind, tuple(dict.fromkeys(re.findall(r"`([a-z0-9_]+)`", meaning))) if kind == "enum" else ()
        )
        for key, star, kind, meaning in rows
    }


PRESET, EXAMPLE, REPLY, CODE = (keys(chapter) for chapter in ("preset", "example", "replies", "codes"))


def _wrong_value(key: str, value: Any, known: Key) -> str:
    """What is wrong with one value; nothing if it is right."""
    if type(value).__name__ != (known.type if known.type in ("list", "dict", "int", "bool") else "str"):
        return f"{key} is {value!r}, which is no {known.type}; quotes make a text of a number or a date"
    if known.type == "enum" and value not in known.choices:
        return f"{key} is {value!r}; it can be {', '.join(known.choices)}"
    if known.type == "list" and not (value and all(type(item) in (str, dict) for item in value)):
        return f"{key} is empty, or has something that is no text; quotes make one of it"
    if known.type == "url" and not re.fullmatch(r"https://[^\s/]+\.[^\s/]+(/\S*)?", value):
        return f"{key} is no address that begins with https://"
    if known.type == "str" and ("\n" in value or "  " in value.strip()):
        return f"{key} has a line break or two spaces in a row; write a long text below >-"
    return ""


def _wrong_keys(given: dict[str, Any], known: dict[str, Key], optional: set[str]) -> list[str]:
    """All that is wrong with the keys and values of a mapping."""
    faults = [f"there is no key {key!r}; there are {', '.join(known)}" for key in given if key not in known]
    faults += [f"{key} is missing" for key, row in known.items() if row.always and key not in {*given, *optional}]
    order = [key for key in known if key in given]
    if not faults and list(given) != order:
        faults.append(f"the order of its keys is {', '.join(order)}")
    return faults + [
        fault for key, value in given.items() if key in known and (fault := _wrong_value(key, value, known[key]))
    ]


def _wrong_lines(met: Any) -> list[str]:
    """All that is wrong with real lines."""
    right = f"one step ({', '.join(STEPS)}) and the reply, or a text"
    return [
        f"{item!r} is not {right}; a text with a colon and a space in it needs quotes"
        for item in (met if isinstance(met, list) else [met])
        if not ((isinstance(item, dict) and len(item) == 1 and item.keys() <= {*STEPS}) or isinstance(item, str))
        or not all(isinstance(said, str) for said in (item.values() if isinstance(item, dict) else [item]))
    ]


def _wrong_reply(reply: dict[str, Any]) -> list[str]:
    """All that is wrong with a reply."""
    faults = _wrong_keys(reply, REPLY, set()) + _wrong_lines(reply.get("met", []))
    if not {"says", "says_there", "like"} & set(reply):
        faults.append("nothing tells of it; it needs says, says_there or like")
    if "says" in reply and not reply.get("met"):
        faults.append("it needs a real line in met")
    return faults


def _wrong_preset(name: str, file: dict[str, Any]) -> list[str]:
    """All that is wrong with a preset and its example."""
    preset = file["preset"]
    optional = {"host"} if {"regions", "region_host"} & set(preset) else set()
    own = name in ("custom", "hub")
    optional |= {"kind", "host", "source", "checked", "certainty"} if own else set()
    optional |= {"username", "password_kind"} if preset.get("auth") == "none" else set()
    faults = [f"preset: {fault}" for fault in _wrong_keys(preset, PRESET, optional)]
    if ("example" in file) == ("password_refused" in preset):
        faults.append("every preset has an example, except those with password_refused")
    if not own and not any(reply.get("like") == "login-refused" for reply in file.get("replies", [])):
        faults.append("it needs one reply with like: login-refused, which says what login the provider wants")
    return faults


def wrong_with(name: str, file: Any) -> list[str]:
    """All that is wrong with a file, in words that a stranger understands."""
    chapters = file if isinstance(file, dict) else {}
    faults = [
        f"{chapter!r} cannot stand here; there can be {', '.join(CHAPTERS)}, each with something below it"
        for chapter in chapters or [""]
        if not (chapters.get(chapter) and isinstance(chapters[chapter], CHAPTERS.get(chapter, ())))
    ]
    if faults:
        return [f"{name}.yml: {fault}" for fault in faults]
    if list(chapters) != (order := [chapter for chapter in CHAPTERS if chapter in chapters]):
        faults.append(f"the order is {', '.join(order)}")
    replies = [reply if isinstance(reply, dict) else {"key": repr(reply)} for reply in chapters.get("replies", [])]
    for reply in replies:
        faults += [f"{reply.get('key', 'a reply without a key')}: {fault}" for fault in _wrong_reply(reply)]
    if "preset" in chapters:
        faults += _wrong_preset(name, {**chapters, "replies": replies})
    if "example" in chapters:
        faults += [f"example: {fault}" for fault in _wrong_keys(chapters["example"], EXAMPLE, set())]
    for key, lines in chapters.get("also", {}).items():
        faults += [f"also, {key}: {fault}" for fault in _wrong_lines(lines)]
    for code in chapters.get("codes", []):
        faults += [f"codes: {fault}" for fault in _wrong_keys(code, CODE, set())]
    return [f"{name}.yml: {fault}" for fault in faults]
