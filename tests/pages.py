"""The blocks of a page that people copy, for tests that run them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[1]


# The file that a block belongs in stands in its first line, or below the line that names its interpreter.
_PATH = re.compile(r"(?:#!.*\n)?(?:#|//) (/\S+)\n")


@dataclass(frozen=True)
class Block:
    """What stands between two fences: its language, the file that it belongs in, and the text."""

    language: str
    path: str
    text: str


def sections(page: str) -> dict[str, list[Block]]:
    """The blocks of a page, by the heading above them."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    parts = [section.partition("\n") for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]]
    return {
        heading: [
            Block(language, path[1] if (path := _PATH.match(block)) else "", block)
            for language, block in re.findall(r"^```(\w+)\n(.*?)^```", below, re.M | re.S)
        ]
        for heading, _line, below in parts
    }


def blocks(page: str, own: Mapping[str, str]) -> dict[str, list[Any]]:
    """What the YAML blocks of a page say, by the heading above them; `own` goes in place of the page's names."""

    def filled(text: str) -> str:
        for shown, name in own.items():
            text = text.replace(shown, name)
        return text

    return {
        heading: [yaml.safe_load(filled(block.text)) for block in found if block.language == "yaml"]
        for heading, found in sections(page).items()
    }
