"""The table of a fleet: every host has a row, and every fault its remedy."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.plugin_utils import report

NOW = 1795255200.0


def answer(**given: Any) -> dict[str, Any]:
    """What a healthy host answers, with something else in its state or beside it."""
    state: dict[str, Any] = {
        "healthy": True,
        "problems": [],
        "running": True,
        "queue": {"messages": 0, "oldest_seconds": 0, "reasons": []},
        "last_delivery": {"time": NOW - 120},
    }
    beside = {key: given.pop(key) for key in ("actions", "login") if key in given}
    return {"actions": [], "login": {"verdict": "accepted", "said": ""}, "state": {**state, **given}, **beside}


def test_a_healthy_host_is_one_line() -> None:
    row = report.check_row("nas", answer(), NOW)
    assert row["healthy"]
    assert report.table([row], report.CHECK_COLUMNS).splitlines() == [
        "HOST  MAIL    CONFIGURATION    POSTFIX  LOGIN     QUEUE  LAST SENT",
        "nas   leaves  as it should be  up       accepted  empty  2 min ago",
    ]


@pytest.mark.parametrize(
    ("given", "column", "shown", "note"),
    [
        ({"actions": ["configured Postfix"]}, "configuration", "changed", "it has not (configured Postfix)"),
        ({"login": {"verdict": "refused", "said": "x refused the login."}}, "login", "refused", "x refused the login."),
        ({"running": False, "healthy": False, "problems": ["It is down."]}, "postfix", "down", "It is down."),
        (
            {
                "healthy": False,
                "queue": {"messages": 3, "oldest_seconds": 4000, "reasons": [{"cause": "Why.", "remedy": "Do this."}]},
            },
            "queue",
            "3, 1 h 6 min",
            "Why. Do this.",
        ),
    ],
)
def test_a_fault_is_shown_with_what_to_do(given: dict[str, Any], column: str, shown: str, note: str) -> None:
    row = report.check_row("nas", answer(**given), NOW)
    assert not row["healthy"]
    assert row["mail"] == "FAULT"
    assert row[column] == shown
    assert any(note in line for line in row["notes"])
    assert f"nas: {row['notes'][0]}" in report.table([row], report.CHECK_COLUMNS)


def test_what_queue_and_login_both_say_is_told_once() -> None:
    reasons = [{"reason": "535 no", "cause": "Why.", "remedy": "Do this."}, {"reason": "554 what nobody knows"}]
    queue = {"messages": 3, "oldest_seconds": 4000, "reasons": reasons}
    login = {"verdict": "refused", "said": "x refused the login: 535 no. Why. Do this."}
    row = report.check_row("nas", answer(queue=queue, healthy=False, problems=["Why.", "Stuck."], login=login), NOW)
    assert row["notes"] == ["Why. Do this.", "554 what nobody knows", "Stuck."]


def test_a_provider_that_is_away_for_a_moment_is_no_fault_of_the_host() -> None:
    row = report.check_row("nas", answer(login={"verdict": "undecided", "said": "It could not be tried."}), NOW)
    assert row["healthy"]
    assert row["notes"] == ["It could not be tried."]


@pytest.mark.parametrize(
    ("found", "mail", "note"),
    [
        ({}, "NOT REACHED", "The host cannot be reached."),
        ({"unreachable": True, "msg": "No route\n to host"}, "NOT REACHED", "No route to host"),
        ({"failed": True, "msg": "Nothing was changed: no"}, "FAULT", "Nothing was changed: no"),
        ({"msg": "smarthost_password: is in the vault"}, "NOT CHECKED", "smarthost_password: is in the vault"),
        ({"actions": ["configured Postfix"], "state": None}, "FAULT", "Postfix is not installed."),
    ],
)
def test_a_host_without_an_answer_is_a_row(found: dict[str, Any], mail: str, note: str) -> None:
    row = report.check_row("gone", found, NOW)
    assert (row["mail"], row["healthy"]) == (mail, False)
    assert note in row["notes"][0]
    assert "gone" in report.table([row], report.CHECK_COLUMNS)


def test_a_test_mail_is_shown_with_the_providers_reply() -> None:
    sent = report.mail_row("nas", {"status": "sent", "said": "250 ok"})
    refused = report.mail_row("pi", {"status": "deferred", "said": "535 no", "cause": "Why.", "remedy": "Do this."})
    assert (sent["healthy"], refused["healthy"]) == (True, False)
    assert report.table([sent, refused], report.MAIL_COLUMNS).splitlines() == [
        "HOST  MAIL      REPLY", "nas   sent      250 ok", "pi    deferred  535 no", "", "pi: Why. Do this.",
    ]  # fmt: skip
