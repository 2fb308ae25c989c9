"""What the log says of mails, whichever program keeps it."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import events, managers, services, systemd

NOW = 1795255200.0
TO = "you@example.com"
LINES = [
    f"{NOW:.6f} nas postfix/smtp[7]: 4F5A1B2C3D: to=<you@example.com>, orig_to=<root>, "
    "relay=smtp.fastmail.com[1.2.3.4]:465, delay=1, dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as 9A)",
    f"{NOW - 60:.6f} nas postfix/smtp[7]: 4F5A0B2C3D: to=<you@example.com>, relay=none, delay=1, "
    "dsn=4.4.1, status=deferred (connect to smtp.fastmail.com[1.2.3.4]:465: Connection refused)",
]


def attempt(
    identifier: str, status: str, to: str = TO, said: str = "host x[1.2.3.4] said: 551 no", ago: int = 0
) -> str:
    """A line of a client."""
    return (
        f"{NOW - ago:.6f} nas postfix/smtp[7]: {identifier}: to=<{to}>, relay=x[1.2.3.4]:465, delay=1, delays=0/0/0/1, "
        f"dsn=5.0.0, status={status} ({said})"
    )


def notice(of: str, identifier: str, kind: str = "sender non-delivery") -> str:
    """A line of the daemon that writes notices."""
    return f"{NOW:.6f} nas postfix/bounce[8]: {of}: {kind} notification: {identifier}"


def lost(*lines: str, recent: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """What such a log, the last line first, says was lost within a day."""
    return events.lost(list(lines), list(recent), NOW - 86400)


def test_deliveries_are_read_from_the_journal() -> None:
    manager = managers.manager("systemd", lambda *argv: (0, "" if argv[0] == "postconf" else "\n".join(LINES), ""))
    sent, deferred = events.deliveries(manager.recent())
    assert (sent["time"], sent["to"], sent["orig_to"], sent["status"]) == (NOW, TO, "root", "sent")
    assert (sent["dsn"], sent["said"]) == ("2.0.0", "250 2.0.0 Ok: queued as 9A")
    assert deferred["status"] == "deferred" and "Connection refused" in deferred["said"]


@pytest.mark.parametrize("name", ["bsdinit", "systemd"])
def test_deliveries_are_read_from_a_log_file(tmp_path: Path, name: str) -> None:
    log = tmp_path / "mail.log"
    log.write_text("\n".join(reversed([line.partition(" ")[2] for line in LINES])))
    manager = managers.manager(name, lambda *argv: (0, f"{log}\n", ""))
    assert [delivery["status"] for delivery in events.deliveries(manager.recent())] == ["sent", "deferred"]


def test_a_loss_is_found_in_a_log_that_was_put_aside_today(tmp_path: Path) -> None:
    (tmp_path / "mail.log").write_text(attempt("CCCCCC", "sent"))
    (tmp_path / "mail.log.1").write_text(attempt("BBBBBB", "bounced") + "\n" + attempt("BBBBB2", "deferred"))
    with gzip.open(tmp_path / "mail.log-20261121.gz", "wt") as file:
        file.write(attempt("AAAAAA", "bounced"))
    (tmp_path / "mail.log.3").write_text(attempt("999999", "bounced"))
    os.utime(tmp_path / "mail.log.3", (0, time.time() - 90000))
    manager = managers.manager("openrc", lambda *argv: (0, f"{tmp_path}/mail.log\n", ""))
    assert {mail["id"] for mail in events.deliveries(manager.losses())} == {"AAAAAA", "BBBBBB"}


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, True),
        ({"etc/journald.conf": "[Journal]\n#Storage=none\nStorage=volatile\n"}, True),
        ({"etc/journald.conf": "[Journal]\nStorage=none\n"}, False),
        ({"etc/journald.conf": "MaxLevelStore=warning\n"}, False),
        ({"etc/journald.conf": "Storage=none\n", "run/journald.conf.d/x.conf": "Storage=auto\n"}, True),
        ({"lib/journald.conf.d/x.conf": "Storage=none\n", "etc/journald.conf.d/x.conf": "Storage=auto\n"}, True),
        ({"lib/journald.conf.d/y.conf": "Storage=none\n", "etc/journald.conf.d/x.conf": "Storage=auto\n"}, False),
    ],
)
def test_a_loss_is_found_where_the_journal_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], kept: bool
) -> None:
    log = tmp_path / "mail.log"
    monkeypatch.setattr(systemd, "CONFIGURATIONS", [str(tmp_path / name) for name in ("lib", "run", "etc")])
    monkeypatch.setattr(services, "LOG_FILES", [str(log)])
    for name, text in settings.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    def run(*argv: str) -> tuple[int, str, str]:
        return 0, attempt("AAAAAA", "bounced") if argv[0] == "journalctl" else "", ""

    assert ("no log of Postfix is kept" in managers.manager("systemd", run).unlogged()) != kept
    log.write_text(attempt("BBBBBB", "bounced"))
    manager = managers.manager("systemd", run)
    assert {mail["id"] for mail in events.deliveries(manager.losses())} == {"AAAAAA" if kept else "BBBBBB"}
    assert manager.unlogged() == ""


def test_a_journal_that_cannot_search_is_read() -> None:
    def run(*argv: str) -> tuple[int, str, str]:
        if any(option.startswith("--grep") for option in argv):
            return 1, "", "Compiled without pattern matching support"
        return 0, attempt("AAAAAA", "bounced") if argv[0] == "journalctl" else "", ""

    assert len(managers.manager("systemd", run).losses()) == 2


def test_what_a_server_says_is_not_taken_for_the_log_itself() -> None:
    [mail] = lost(attempt("AAAAAA", "bounced", said="said: 550 dsn=2.0.0, status=sent (250 ok)"))
    assert (mail["status"], mail["dsn"]) == ("bounced", "5.0.0")


@pytest.mark.parametrize(
    "line",
    [
        attempt("AAAAAA", "bounced"),
        # Of a Mac.
        "2026-11-21 08:15:02.123 Df smtp[71:4f2] AAAAAA: to=<you@example.com>, relay=none, delay=1, delays=0/0/0/1, "
        "dsn=5.0.0, status=bounced (host x[1.2.3.4] said: 551 no)",
    ],
)
def test_a_mail_that_was_given_up_is_lost(line: str) -> None:
    [mail] = events.lost([line], [], 0)
    assert (mail["id"], mail["to"], mail["status"], mail["told"]) == ("AAAAAA", TO, "bounced", False)


def test_what_was_lost_longer_ago_is_history() -> None:
    assert lost(attempt("AAAAAA", "bounced", ago=86401)) == []
    assert len(lost(attempt("AAAAAA", "bounced", ago=86399))) == 1


def test_a_sender_who_got_a_notice_was_told() -> None:
    [mail] = lost(notice("AAAAAA", "BBBBBB"), attempt("AAAAAA", "bounced"))
    assert mail["told"]
    [mail] = lost(notice("AAAAAA", "BBBBBB", "postmaster non-delivery"), attempt("AAAAAA", "bounced"))
    assert not mail["told"]


def test_a_notice_that_was_refused_belongs_to_its_mail() -> None:
    refused = attempt("BBBBBB", "bounced", "root@nas.lan", "host x said: 501 Invalid MAIL FROM address provided")
    [mail] = lost(refused, notice("AAAAAA", "BBBBBB"), attempt("AAAAAA", "bounced"))
    assert (mail["to"], mail["told"]) == (TO, False)
    assert "501 Invalid MAIL FROM" in mail["notice"]
    # The log goes back to the notice alone.
    [mail] = lost(refused, notice("AAAAAA", "BBBBBB"))
    assert (mail["id"], mail["told"]) == ("AAAAAA", False) and "501 Invalid MAIL FROM" in mail["notice"]
    # What a delay was told of waits, and nothing is lost yet.
    assert lost(refused, notice("AAAAAA", "BBBBBB", "sender delay")) == []


@pytest.mark.parametrize("kind", ["sender non-delivery", "sender delay", "sender delivery status", "postmaster delay"])
def test_every_notice_is_known_as_one(kind: str) -> None:
    assert events.notices([notice("AAAAAA", "BBBBBB", kind)])["BBBBBB"][0] == "AAAAAA"


@pytest.mark.parametrize("how", ["expired", "force-expired"])
def test_a_mail_whose_time_was_over_names_those_that_it_waited_for(how: str) -> None:
    expiry = f"{NOW:.6f} nas postfix/qmgr[9]: AAAAAA: from=<root@nas.lan>, status={how}, returned to sender"
    recent = (
        attempt("AAAAAA", "deferred", "b@x.test", "450 later", 5), attempt("AAAAAA", "sent", "a@x.test", ago=5),
        attempt("AAAAAA", "deferred", "b@x.test", "450 at first", 900),
    )  # fmt: skip
    [mail] = lost(notice("AAAAAA", "BBBBBB"), expiry, recent=recent)
    assert (mail["to"], mail["status"], mail["said"], mail["told"]) == ("b@x.test", "expired", "450 later", True)
    assert mail["time"] == NOW
    [mail] = lost(expiry)
    assert (mail["to"], mail["status"], mail["told"]) == ("", "expired", False)
    # The queue manager's line is too far back among all the others of its.
    [mail] = lost(notice("AAAAAA", "BBBBBB"), recent=recent)
    assert (mail["to"], mail["status"], mail["told"]) == ("b@x.test", "expired", True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "postfix/postdrop[3]: warning: mail_queue_enter: create file maildrop/12.34: Permission denied",
            "Permission denied",
        ),
        (
            "postfix/cleanup[3]: warning: mail_queue_enter: create file incoming/12.34: No space left on device",
            "No space left on device",
        ),
        (
            "postfix/smtpd[3]: NOQUEUE: reject: MAIL from localhost[127.0.0.1]: 452 4.3.1 Insufficient system storage; "
            "proto=ESMTP helo=<x>",
            "452 4.3.1 Insufficient system storage",
        ),
        ("postfix/postdrop[3]: warning: uid=0: No space left on device", "No space left on device"),
        ("postfix/cleanup[3]: warning: C6B5158: write queue file: Disk quota exceeded", "Disk quota exceeded"),
        (
            "postfix/sendmail[3]: fatal: open /etc/postfix/main.cf: Permission denied",
            "open /etc/postfix/main.cf: Permission denied",
        ),
        ("postfix/sendmail[3]: fatal: root(0): message file too big", "message file too big"),
        (
            "postfix/sendmail[3]: fatal: User nobody(65534) is not allowed to submit mail",
            "User nobody(65534) is not allowed to submit mail",
        ),
        (
            "postfix/sendmail[3]: fatal: root(0): No recipient addresses found in message header",
            "No recipient addresses found in message header",
        ),
        (
            'postfix/qmgr[3]: warning: saving corrupt file "4BC" from queue "active" to queue "corrupt"',
            'saving corrupt file "4BC"',
        ),
    ],
)
def test_mail_that_never_got_in_is_seen(line: str, said: str) -> None:
    assert [one["said"] for one in events.not_handed_in([f"{NOW:.6f} nas {line}"], NOW - 60)] == [said]
    assert events.not_handed_in([f"{NOW:.6f} nas {line}"], NOW + 60) == []
    # Else it would not be found in a long log.
    assert any(text in line for text in services.LOSSES)


@pytest.mark.parametrize(
    "stamp",
    [f"{NOW:.6f}", time.strftime("%Y-%m-%dT%H:%M:%S.123456+01:00", time.localtime(NOW)),
     time.strftime("%Y-%m-%d %H:%M:%S.123", time.localtime(NOW))],
)  # fmt: skip
def test_every_kind_of_log_tells_the_time(stamp: str) -> None:
    assert events.moment(f"{stamp} nas postfix/smtp[7]: x") == NOW


def test_a_log_without_years_means_the_last_such_day() -> None:
    yesterday = time.time() - 86400
    stamp = time.strftime("%b %e %H:%M:%S", time.localtime(yesterday))
    found = events.moment(f"{stamp} nas postfix/smtp[7]: x")
    assert found is not None and abs(found - yesterday) < 1
