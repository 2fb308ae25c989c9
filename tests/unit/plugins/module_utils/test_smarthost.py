"""What the program `smarthost` makes of queue and log."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import services, smarthost

WRONG_PASSWORD = (
    "SASL authentication failed; server smtp.fastmail.com[103.168.172.45] said: "
    "535 5.7.8 Incorrect username, password or access token"
)
NOW = 1795255200.0


LINES = [
    f"{NOW:.6f} nas postfix/smtp[7]: 4F5A1B2C3D: to=<you@example.com>, orig_to=<root>, "
    "relay=smtp.fastmail.com[1.2.3.4]:465, delay=1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 9A)",
    f"{NOW - 60:.6f} nas postfix/smtp[7]: 4F5A0B2C3D: to=<you@example.com>, relay=none, delay=1, "
    "dsn=4.4.1, status=deferred (connect to smtp.fastmail.com[1.2.3.4]:465: Connection refused)",
]


def state(**given: Any) -> dict[str, Any]:
    """A healthy host, with something else."""
    healthy: dict[str, Any] = {
        "host": "nas.lan",
        "provider": "Fastmail",
        "relayhost": "[smtp.fastmail.com]:465",
        "running": True,
        "listening": ["127.0.0.1", "::1"],
        "queue": {"messages": 0, "bytes": 0, "oldest_seconds": 0, "reasons": []},
        "last_delivery": None,
        "last_failure": None,
        "returned": False,
        "problems": [],
        "healthy": True,
    }
    return {**healthy, **given}


def test_reasons_that_differ_in_numbers_alone_are_one() -> None:
    reasons = Counter({WRONG_PASSWORD: 3, WRONG_PASSWORD.replace("172.45", "172.90"): 2, "something else": 1})
    first, second = smarthost._explained(reasons, "fastmail")
    assert (first["messages"], first["key"]) == (5, "fastmail-login-refused")
    assert second == {"messages": 1, "reason": "something else"}


def test_who_waits_behind_a_pause_waits_for_the_same_reason() -> None:
    reasons = Counter({f"delivery temporarily suspended: {WRONG_PASSWORD}": 18, WRONG_PASSWORD: 2})
    (found,) = smarthost._explained(reasons, "fastmail")
    assert (found["messages"], found["reason"]) == (20, WRONG_PASSWORD)


def test_a_pause_without_a_known_reason_is_still_shown() -> None:
    (found,) = smarthost._explained(Counter({"delivery temporarily suspended: something else": 1}), "fastmail")
    assert found == {"messages": 1, "reason": "something else"}


def test_the_reason_is_shown_with_its_remedy() -> None:
    reasons = smarthost._explained(Counter({WRONG_PASSWORD: 3}), "fastmail")
    queue = {"messages": 3, "bytes": 9, "oldest_seconds": 4000, "reasons": reasons}
    text = smarthost.show(state(queue=queue, healthy=False), NOW)
    assert "3 mails, the oldest for 1 h 6 min" in text
    assert f"3 waiting: {WRONG_PASSWORD}" in text
    assert "Fastmail refused the login: it takes only app passwords" in text


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"relayhost": ""}, "not configured as a smart host"),
        ({"running": False}, "Postfix does not answer (127.0.0.1 port 25: Connection refused)"),
        ({"queue": {"oldest_seconds": 901, "reasons": []}}, "Mail has waited for 15 min"),
        (
            {"queue": {"oldest_seconds": 5, "reasons": smarthost._explained(Counter({WRONG_PASSWORD: 1}), "fastmail")}},
            "Fastmail refused the login",
        ),
    ],
)
def test_what_is_wrong_is_a_sentence(given: dict[str, Any], problem: str) -> None:
    (found,) = smarthost.problems(state(**given), {"127.0.0.1": "Connection refused"})
    assert problem in found


def test_a_mail_that_came_back_is_a_problem_with_its_remedy() -> None:
    returned = {"returned": True, "last_failure": {"cause": "Refused.", "remedy": "Do this.", "said": "550", "time": 0}}
    assert smarthost.problems(state(**returned), {}) == ["The last mail was returned to its sender. Refused. Do this."]


def test_every_problem_is_shown_once() -> None:
    reasons = smarthost._explained(Counter({WRONG_PASSWORD: 3}), "fastmail")
    queue = {"messages": 3, "bytes": 9, "oldest_seconds": 4000, "reasons": reasons}
    found = state(queue=queue, running=False, listening=[])
    found["problems"] = smarthost.problems(found, {"127.0.0.1": "Connection refused"})
    text = smarthost.show(found, NOW)
    assert text.count("Fastmail refused the login") == 1
    assert text.count("Start Postfix, or run the playbook again.") == 1


def test_a_queue_that_cannot_be_read_is_not_empty() -> None:
    queue = {"messages": 0, "bytes": 0, "oldest_seconds": 0, "reasons": [], "unreadable": "only root may read it"}
    text = smarthost.show(state(queue=queue, running=False, listening=[]), NOW)
    assert "Queue        only root may read it" in text


def told(host_log: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the state is after such a log, the last line first."""
    monkeypatch.setattr(smarthost, "settings", lambda: {"provider": "fastmail", "service_manager": "systemd"})
    monkeypatch.setattr(smarthost, "values", lambda *names: {"relayhost": "[smtp.fastmail.com]:465"})
    monkeypatch.setattr(smarthost, "listening", lambda interfaces: {"127.0.0.1": "220 nas.lan"})
    monkeypatch.setattr(smarthost, "queue", lambda provider, now: state()["queue"])
    monkeypatch.setattr(smarthost, "run", lambda *argv: (0, "\n".join(host_log), ""))
    return smarthost.status()


def test_what_came_back_counts_until_a_mail_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = "551 5.7.1 Not authorised to send from this header address"
    bounced = LINES[1].replace("deferred", "bounced").replace("connect to ", f"host smtp.fastmail.com said: {reply} ")
    assert not told([bounced, LINES[0]], monkeypatch)["healthy"]
    assert told([LINES[0], bounced], monkeypatch)["healthy"]
    # One address that does not exist says nothing of the next mail.
    unknown = bounced.replace(reply, "550 5.1.1 no such user").partition(": Connection refused")[0] + ")"
    assert told([unknown, LINES[0]], monkeypatch)["healthy"]


def test_the_last_word_on_a_mail_counts() -> None:
    again = LINES[0].replace("4F5A1B2C3D", "4F5A0B2C3D")
    assert smarthost._last_word([LINES[1], again], "4F5A0B2C3D")["status"] == "sent"
    assert smarthost._last_word(LINES[:1], "4F5A0B2C3D") == {}


def test_mail_that_waits_for_a_moment_is_no_problem() -> None:
    reasons = smarthost._explained(Counter({"connect to smtp.fastmail.com[…]:465: Connection refused": 1}), "fastmail")
    assert smarthost.problems(state(queue={"oldest_seconds": 60, "reasons": reasons}), {}) == []


def test_deliveries_are_read_from_the_journal() -> None:
    manager = services.manager("systemd", lambda *argv: (0, "\n".join(LINES), ""))
    sent, deferred = smarthost.deliveries(manager)
    assert (sent["time"], sent["to"], sent["status"]) == (NOW, "you@example.com", "sent")
    assert sent["said"] == "250 2.0.0 Ok: queued as 9A"
    assert deferred["status"] == "deferred" and "Connection refused" in deferred["said"]


def test_deliveries_are_read_from_a_log_file(tmp_path: Path) -> None:
    log = tmp_path / "mail.log"
    log.write_text("\n".join(reversed([line.partition(" ")[2] for line in LINES])))
    manager = services.manager("bsdinit", lambda *argv: (0, f"{log}\n", ""))
    assert [delivery["status"] for delivery in smarthost.deliveries(manager)] == ["sent", "deferred"]


@pytest.mark.parametrize(
    "stamp",
    [f"{NOW:.6f}", time.strftime("%Y-%m-%dT%H:%M:%S.123456+01:00", time.localtime(NOW)),
     time.strftime("%Y-%m-%d %H:%M:%S.123", time.localtime(NOW))],
)  # fmt: skip
def test_every_kind_of_log_tells_the_time(stamp: str) -> None:
    assert smarthost.moment(f"{stamp} nas postfix/smtp[7]: x") == NOW


def test_a_log_without_years_means_the_last_such_day() -> None:
    yesterday = time.time() - 86400
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime(yesterday))
    found = smarthost.moment(f"{stamp} nas postfix/smtp[7]: x")
    assert found is not None and abs(found - yesterday) < 1


def test_the_state_is_json() -> None:
    assert json.loads(json.dumps(state())) == state()


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (200000, "2 days")])
def test_times_are_said_as_people_say_them(seconds: int, said: str) -> None:
    assert smarthost.span(seconds) == said


@pytest.mark.parametrize(
    "reason",
    [
        "connect to smtp.fastmail.com[103.168.172.45]:465: Connection refused",
        "connect to smtp.fastmail.com[103.168.172.45]:465: Connection timed out",
        "delivery temporarily suspended: connect to smtp.fastmail.com[1.2.3.4]:465: No route to host",
        "Host or domain name not found. Name service error for name=smtp.fastmail.com type=AAAA: Host not found",
        "lost connection with smtp.fastmail.com[1.2.3.4] while receiving the initial server greeting",
        "conversation with smtp.fastmail.com[1.2.3.4] timed out while receiving the initial server greeting",
        "lost connection with smtp.fastmail.com[1.2.3.4] while performing the EHLO handshake",
        "host smtp.fastmail.com[1.2.3.4] refused to talk to me: 421 4.3.2 Service not available",
    ],
)
def test_who_waits_for_a_provider_that_is_away_need_not_wait_for_long(reason: str) -> None:
    assert smarthost.AWAY.match(smarthost._without_suspension(reason))


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
    assert not smarthost.AWAY.match(smarthost._without_suspension(reason))


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
    assert smarthost.waits_for(mail, "smtp.fastmail.com") == waits
