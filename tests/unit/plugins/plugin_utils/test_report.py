"""The table of a fleet: every host has a row, and every fault its remedy."""

from __future__ import annotations

import re
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
        (
            {"actions": ["configured Postfix"]},
            "configuration",
            "changed",
            "site.yml would change this host: it has not yet configured Postfix.",
        ),
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
    reasons.append({"reason": "450 later", "cause": "It is full.", "account": "family"})
    queue = {"messages": 3, "oldest_seconds": 4000, "reasons": reasons}
    login = {"verdict": "refused", "said": "x refused the login: 535 no. Why. Do this."}
    row = report.check_row("nas", answer(queue=queue, healthy=False, problems=["Why.", "Stuck."], login=login), NOW)
    assert row["notes"] == ["Why. Do this.", "554 what nobody knows", "family: It is full.", "Stuck."]


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


SENT = {"status": "sent", "said": "250 ok", "times": {"handed in": NOW, "queued": NOW + 0.1, "taken": NOW + 1}}
SEEN = {
    "folder": "INBOX", "junk": False, "arrived": NOW + 2, "stays": False, "shown as": "root <casey@fastmail.com>",
    "server": "mx.example", "results": {"spf": "pass", "dkim": "fail"}, "notes": ["DKIM says fail. Do this."],
}  # fmt: skip


def arrival(**seen: Any) -> dict[str, Any]:
    """The row of a mail that was sent, with this seen of it."""
    return report.arrival_row("nas", {**SENT, "arrival": seen})


def test_a_mail_that_arrived_is_shown_with_each_step_and_how_it_was_judged() -> None:
    row = arrival(**SEEN)
    assert row["healthy"] and row["notes"] == ["DKIM says fail. Do this."]
    assert [row[name] for name in ("mail", "folder", "shown as", "judged")] == [
        "arrived", "INBOX", "root <casey@fastmail.com>", "SPF pass, DKIM fail",
    ]  # fmt: skip
    assert (row["queued"], row["taken"]) == ("+0.1 s", "+1.0 s")
    assert all(re.fullmatch(r"\d\d:\d\d:\d\d", row[step]) for step in ("handed in", "arrived"))
    assert row["details"]["times"]["arrived"] == NOW + 2


def test_a_mail_that_nobody_judged_is_no_fault() -> None:
    row = arrival(**{**SEEN, "results": {}, "notes": []})
    assert (row["healthy"], row["judged"], row["notes"]) == (True, "not judged", [])


def test_a_mail_among_spam_or_nowhere_is_a_fault() -> None:
    row = arrival(**{**SEEN, "folder": "Junk", "junk": True})
    assert (row["healthy"], row["mail"]) == (False, "SPAM")
    assert row["notes"][0] == "It is in Junk, where spam goes. Mark it as wanted there."
    row = arrival(said="")
    assert (row["healthy"], row["mail"], row["taken"] != "-", row["arrived"]) == (False, "NOT THERE", True, "STOPPED")


def test_a_mailbox_that_cannot_be_read_is_no_failure_of_the_mail() -> None:
    row = arrival(said="Mailgun only sends.")
    assert (row["healthy"], row["mail"], row["arrived"]) == (True, "sent", "-")
    assert row["notes"] == ["Mailgun only sends."]


@pytest.mark.parametrize(
    ("found", "stopped"),
    [
        ({"status": "not handed in", "said": "down", "times": {}}, "handed in"),
        ({"status": "refused", "said": "554 no", "times": {"handed in": NOW}}, "queued"),
        ({"status": "deferred", "said": "no route", "times": {"handed in": NOW, "queued": NOW}}, "taken"),
    ],
)
def test_the_step_at_which_a_mail_stopped_is_marked(found: dict[str, Any], stopped: str) -> None:
    row = report.arrival_row("nas", found)
    assert [step for step in report.STEPS if row[step] == "STOPPED"] == [stopped]
    assert not row["healthy"]


def spoke(times: dict[str, float], arrival: dict[str, Any] | None = None) -> dict[str, Any]:
    """The row of a mail that goes by a hub, as far as these times."""
    status = "sent" if "hub" in times else "deferred"
    way = {**dict.fromkeys(("handed in", "queued", "hub")), **times}
    said = "250 2.0.0 Ok: queued as 4hub9" if status == "sent" else "connection refused"
    return report.arrival_row("pi", {"status": status, "said": said, "times": way, "arrival": arrival})


def test_a_mail_that_goes_by_a_hub_has_a_step_more() -> None:
    times = {"handed in": NOW, "queued": NOW + 0.1, "hub": NOW + 0.4}
    received = [
        "by store.provider.test with LMTP id 9; Fri, 20 Nov 2026 21:20:07 +0000",
        "from hub.lan by mx.provider.test with ESMTPS id 7; Fri, 20 Nov 2026 23:20:05 +0200",
        "from pi.lan (pi.lan [192.168.1.5])\n\tby hub.lan (Postfix) with ESMTP id 4hub9\n\tfor <casey@fastmail.com>; x",
        "from localhost by pi.lan (Postfix) with ESMTP id 4pi; Fri, 20 Nov 2026 21:20:01 +0000",
    ]
    row = spoke(times, {**SEEN, "received": received})
    assert row["healthy"] and (row["queued"], row["hub"]) == ("+0.1 s", "+0.4 s")
    assert row["details"]["times"]["taken"] == 1795209605
    assert re.fullmatch(r"\d\d:\d\d:\d\d", row["taken"])
    # Some providers leave the way before them out.
    assert spoke(times, {**SEEN, "received": received[:2]})["taken"] == "-"
    [head, *_lines] = report.table([row, arrival(**SEEN)], report.ARRIVAL_COLUMNS).splitlines()
    assert head.split("  ")[0] == "HOST" and " HUB " in head
    assert " HUB " not in report.table([arrival(**SEEN)], report.ARRIVAL_COLUMNS)


@pytest.mark.parametrize(
    ("steps", "arrival", "stopped"),
    [(("handed in", "queued"), None, "hub"), (("handed in", "queued", "hub"), {"said": ""}, "taken")],
)
def test_where_a_mail_stopped_at_a_hub_or_behind_it_is_marked(steps: Any, arrival: Any, stopped: str) -> None:
    row = spoke(dict.fromkeys(steps, NOW), arrival)
    assert [step for step in report.STEPS if row[step] == "STOPPED"] == [stopped]
    assert not row["healthy"]
    if arrival:
        assert row["notes"][0].endswith("Or does it wait on the hub? smarthost status says so there.")


def test_a_host_that_sent_nothing_is_a_row_of_its_own() -> None:
    row = report.arrival_row("nas", {"unreachable": True, "msg": "No route"})
    assert (row["mail"], row["healthy"], {row[step] for step in report.STEPS}) == ("NOT REACHED", False, {"-"})


def test_each_account_has_a_line() -> None:
    verdicts = {"": "accepted", "family": "refused"}
    row = report.check_row("nas", answer(login={"verdict": "refused", "said": "No.", "accounts": verdicts}))
    assert (row["login"], row["accounts"], row["healthy"]) == ("refused", {"family": "refused"}, False)
    lines = report.table([row], report.CHECK_COLUMNS).splitlines()
    assert re.match(r"  family +- +- +- +refused", lines[2]), lines
