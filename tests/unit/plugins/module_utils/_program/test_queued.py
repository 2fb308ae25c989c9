"""What waits, for what reason, and which of it waits for the provider itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import queued, system

WRONG_PASSWORD = (
    "SASL authentication failed; server smtp.fastmail.com[103.168.172.45] said: "
    "535 5.7.8 Incorrect username, password or access token"
)


def test_reasons_that_differ_in_numbers_alone_are_one() -> None:
    reasons = Counter({WRONG_PASSWORD: 3, WRONG_PASSWORD.replace("172.45", "172.90"): 2, "something else": 1})
    first, second = queued.grouped(reasons, "fastmail")
    assert (first["messages"], first["key"]) == (5, "fastmail-login-refused")
    assert second == {"messages": 1, "reason": "something else"}


def test_who_waits_behind_a_pause_waits_for_the_same_reason() -> None:
    reasons = Counter({f"delivery temporarily suspended: {WRONG_PASSWORD}": 18, WRONG_PASSWORD: 2})
    (found,) = queued.grouped(reasons, "fastmail")
    assert (found["messages"], found["reason"]) == (20, WRONG_PASSWORD)


def test_a_pause_without_a_known_reason_is_still_shown() -> None:
    (found,) = queued.grouped(Counter({"delivery temporarily suspended: something else": 1}), "fastmail")
    assert found == {"messages": 1, "reason": "something else"}


@pytest.mark.parametrize(
    "reason",
    [
        "connect to smtp.fastmail.com[103.168.172.45]:465: Connection refused",
        "connect to smtp.fastmail.com[103.168.172.45]:465: Connection timed out",
        "delivery temporarily suspended: connect to smtp.fastmail.com[1.2.3.4]:465: No route to host",
        "Host or domain name not found. Name service error for name=smtp.fastmail.com type=AAAA: Host not found",
        "unable to look up host smtp.fastmail.com: Name or service not known",
        "lost connection with smtp.fastmail.com[1.2.3.4] while receiving the initial server greeting",
        "conversation with smtp.fastmail.com[1.2.3.4] timed out while receiving the initial server greeting",
        "lost connection with smtp.fastmail.com[1.2.3.4] while performing the EHLO handshake",
        "host smtp.fastmail.com[1.2.3.4] refused to talk to me: 421 4.3.2 Service not available",
    ],
)
def test_who_waits_for_a_provider_that_is_away_need_not_wait_for_long(reason: str) -> None:
    assert queued.AWAY.match(reason.removeprefix(queued.SUSPENDED))


@pytest.mark.parametrize(
    "reason",
    [
        WRONG_PASSWORD,
        # What broke the connection may be the mail.
        "lost connection with smtp.fastmail.com[1.2.3.4] while sending message body",
        "conversation with smtp.fastmail.com[1.2.3.4] timed out while sending end of data -- message may be sent more "
        "than once",
        "host smtp.fastmail.com[1.2.3.4] said: 450 4.2.1 Daily limit exceeded (in reply to MAIL FROM command)",
        "host smtp.fastmail.com[1.2.3.4] refused to talk to me: 554 5.7.1 No service for you",
        "Server certificate not verified",
        "TLS is required, but was not offered by host smtp.fastmail.com[1.2.3.4]",
    ],
)
def test_what_the_provider_has_put_off_is_not_tried_more_often(reason: str) -> None:
    assert not queued.AWAY.match(reason.removeprefix(queued.SUSPENDED))


@pytest.mark.parametrize(
    ("queue", "host", "waits"),
    [
        ("deferred", "smtp.fastmail.com", True),
        # It is tried by now, or kept back on purpose.
        ("active", "smtp.fastmail.com", False),
        ("hold", "smtp.fastmail.com", False),
        # Whatever is wrong with another server is no matter of the provider's.
        ("deferred", "other.lan", False),
    ],
)
def test_only_what_waits_for_the_provider_itself_is_a_reason_to_ask_it(queue: str, host: str, waits: bool) -> None:
    reason = f"delivery temporarily suspended: connect to {host}[1.2.3.4]:465: Connection refused"
    mail = {"queue_name": queue, "recipients": [{"address": "you@example.com", "delay_reason": reason}]}
    assert bool(queued.reason_away(mail, "smtp.fastmail.com", 465)) == waits
    # Another account's port of the same server.
    assert not queued.reason_away(mail, "smtp.fastmail.com", 587)


@pytest.mark.parametrize("recipient", [{}, {"delay_reason": WRONG_PASSWORD}])
def test_mail_on_hold_waits_for_nothing_else(recipient: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    mail = {"queue_name": "hold", "message_size": 1, "arrival_time": 1, "recipients": [recipient]}
    monkeypatch.setattr(queued, "mails", lambda: [mail])
    assert [reason["reason"] for reason in queued.queue("fastmail", 2)["reasons"]] == [queued.HELD]


def test_a_postfix_that_does_not_list_its_queue_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "postqueue").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "postqueue").chmod(0o755)
    monkeypatch.setattr(system, "PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(queued, "SECONDS", 0.1)
    assert queued.queue(None, 0)["unreadable"] == "Postfix does not list it"
