"""docs/support.md: what the page says of the proofs that tests on real hosts leave."""

from __future__ import annotations

from typing import Any

import pytest

from workshop.pages import support


def proof(kind: str, **more: object) -> dict[str, Any]:
    """What a host leaves on which everything was proved."""
    facts = {"kind": kind, "system": f"System {kind}", "postfix": "3.5.1", "service_manager": "systemd"}
    return {**facts, "proved": list(support.COLUMNS), "day": "2026-11-21", **more}


@pytest.mark.parametrize(
    ("left", "row"),
    [
        (
            proof("trixie"),
            "| System trixie | `trixie` | 3.5.1 | systemd | yes | yes | yes | yes | 2026-11-21 |",
        ),
        (
            proof("noinit", service_manager="none"),
            "| System noinit | `noinit` | 3.5.1 | none | yes | yes | by hand | yes | 2026-11-21 |",
        ),
        (
            proof("mac", system="macOS 14.6.1", postfix="3.2.2", service_manager="launchd"),
            "| macOS 14.6.1 (emulated) | `mac` | 3.2.2 (emulated) | launchd | emulated | emulated | emulated |",
        ),
        (proof("sid", proved=["delivery"]), "| yes | not run | not run | not run |"),
    ],
)
def test_a_row_says_what_was_proved_and_how(left: dict[str, Any], row: str) -> None:
    assert row in support.page([left], before="")


def test_a_host_that_left_nothing_keeps_its_row() -> None:
    before = support.page([proof("trixie"), proof("sid", day="2026-01-01")], before="")
    page = support.page([proof("trixie", postfix="3.10.9")], before)
    assert "| System sid | `sid` | 3.5.1 | systemd | yes | yes | yes | yes | 2026-01-01 |" in page
    assert "| `trixie` | 3.10.9 |" in page and "| `trixie` | 3.5.1 |" not in page


def test_a_kind_without_a_row_is_named_as_not_run() -> None:
    page = support.page([proof("trixie")], before="")
    [line] = [line for line in page.splitlines() if "has left a proof here yet" in line]
    assert "`sid`" in line and "`mac`" in line and "`trixie`" not in line


def test_the_page_in_the_repository_is_as_it_would_be_written() -> None:
    text = support.PAGE.read_text()
    assert text == support.page([], text), "run `make docs`"
