"""The blocks of a page that people copy, for tests that run them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[1]


def blocks(page: str, own: Mapping[str, str]) -> dict[str, list[Any]]:
    """What the YAML blocks of a page say, by the heading above them; `own` goes in place of the page's names."""
    text = (PROJECT / page).read_text(encoding="utf-8")
    for shown, name in own.items():
        text = text.replace(shown, name)
    sections = [section.partition("\n") for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]]
    return {
        heading: [yaml.safe_load(block) for block in re.findall(r"^```yaml\n(.*?)^```", below, re.M | re.S)]
        for heading, _line, below in sections
    }
