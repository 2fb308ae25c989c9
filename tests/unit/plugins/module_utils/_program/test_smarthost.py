"""What the program `smarthost` makes of queue and log."""

from __future__ import annotations

import json
import smtplib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import (
    accounts,
    files,
    health,
    login,
    queued,
    services,
    smarthost,
    system,
)

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
        "port_25": {"127.0.0.1": "Connection refused"},
        "time": NOW,
        "lost": [],
        "losses": [],
        "not_handed_in": [],
        "unreached": "",
        "idle": [],
        "sendmail": "",
        "unlogged": "",
        "ended": [],
        "problems": [],
        "healthy": True,
    }
    return {**healthy, **given}


def test_the_reason_is_shown_with_its_remedy() -> None:
    reasons = queued.grouped(Counter({WRONG_PASSWORD: 3}), "fastmail")
    queue = {"messages": 3, "bytes": 9, "oldest_seconds": 4000, "reasons": reasons}
    text = smarthost.show(state(queue=queue, healthy=False), NOW)
    assert "3 mails, the oldest for 1 h 6 min" in text
    assert f"3 waiting: {WRONG_PASSWORD}" in text
    assert "Fastmail refused the login: it takes only app passwords" in text


def test_every_problem_is_shown_once() -> None:
    reasons = queued.grouped(Counter({WRONG_PASSWORD: 3}), "fastmail")
    queue = {"messages": 3, "bytes": 9, "oldest_seconds": 4000, "reasons": reasons}
    found = state(queue=queue, running=False, listening=[])
    found["problems"] = health.faults(found)
    text = smarthost.show(found, NOW)
    assert text.count("Fastmail refused the login") == 1
    assert text.count("Start Postfix, or run the playbook again.") == 1


def test_a_queue_that_cannot_be_read_is_not_empty() -> None:
    queue = {"messages": 0, "bytes": 0, "oldest_seconds": 0, "reasons": [], "unreadable": "only root may read it"}
    text = smarthost.show(state(queue=queue, running=False, listening=[]), NOW)
    assert "Queue        only root may read it" in text


def told(host_log: list[str], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the state is after such a log, the last line first."""
    ours = {"provider": "fastmail", "service_manager": "systemd", "recipients": ["you@example.com"]}
    monkeypatch.setattr(system, "settings", lambda *name: {} if name else ours)
    monkeypatch.setattr(system, "values", lambda *names: {"relayhost": "[smtp.fastmail.com]:465"})
    monkeypatch.setattr(system, "listening", lambda interfaces: {"127.0.0.1": "220 nas.lan"})
    monkeypatch.setattr(queued, "queue", lambda provider, now: state()["queue"])
    monkeypatch.setattr(files, "remembered", lambda path: {})
    monkeypatch.setattr(services, "idle", lambda _manager: [])
    monkeypatch.setattr(system, "other_sendmail", lambda: "")
    monkeypatch.setattr(time, "time", lambda: NOW)
    said = "\n".join(host_log)
    monkeypatch.setattr(system, "run", lambda *argv: (0, said if argv[0] == "journalctl" else "", ""))
    return smarthost.status()


def test_what_came_back_counts_although_a_mail_was_sent_since(monkeypatch: pytest.MonkeyPatch) -> None:
    reply = "551 5.7.1 Not authorised to send from this header address"
    bounced = LINES[1].replace("deferred", "bounced").replace("connect to ", f"host smtp.fastmail.com said: {reply} ")
    for log in ([bounced, LINES[0]], [LINES[0], bounced]):
        found = told(log, monkeypatch)
        assert not found["healthy"] and reply in found["problems"][0]
        assert [(mail["id"], mail["to"], mail["status"]) for mail in found["lost"]] == [
            ("4F5A0B2C3D", "you@example.com", "bounced")
        ]
        assert found["problems"][0] in smarthost.show(found, NOW)


def test_a_notice_that_was_delivered_is_no_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    notice = f"{NOW:.6f} nas postfix/bounce[9]: 4F5A0B2C3D: sender non-delivery notification: 4F5A1B2C3D"
    assert told([LINES[0]], monkeypatch)["last_delivery"]["id"] == "4F5A1B2C3D"
    assert told([LINES[0], notice], monkeypatch)["last_delivery"] is None


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        # As where the disk is read-only, and where it is full.
        (smtplib.SMTPServerDisconnected("Connection unexpectedly closed: timed out"), "not handed in"),
        ((452, b"4.3.1 Insufficient system storage"), "refused"),
    ],
)
def test_a_postfix_that_takes_no_mail_is_not_taken_for_the_provider(
    answer: Exception | tuple[int, bytes], status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Session(smtplib.SMTP):
        def __init__(self, *_: object, **_named: object) -> None:
            self.sock = None

        def ehlo(self, name: str = "") -> tuple[int, bytes]:
            return 250, b"nas.lan"

        def mail(self, sender: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr(system, "settings", lambda *name: {} if name else {"service_manager": "none"})
    monkeypatch.setattr(system, "values", lambda *names: {})
    monkeypatch.setattr(system, "listening", lambda *_: {"127.0.0.1": "220 nas.lan"})
    monkeypatch.setattr(services.ServiceManager, "unlogged", lambda _self: "")
    monkeypatch.setattr(smtplib, "SMTP", Session)
    monkeypatch.setattr(accounts, "passwords", list)
    found = smarthost.send_test("root", 1)
    assert (found["status"], found["cause"]) == (status, "Postfix on this host answers, but does not take the mail.")


def test_the_state_is_json() -> None:
    assert json.loads(json.dumps(state())) == state()


def test_a_token_that_is_login_and_password_is_not_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account = {"host": "smtp.postmarkapp.com", "username": "t0ken", "password": "t0ken"}
    monkeypatch.setattr(accounts, "try_logins", lambda: [(login.Outcome(login.ACCEPTED, "", ""), account)])
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert smarthost.main(["login"]) == 0
    assert "t0ken" not in capsys.readouterr().out


def test_without_a_command_it_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert smarthost.main([]) == 2
    assert "send a mail and follow it" in capsys.readouterr().err


def test_where_no_login_is_made_none_is_called_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smarthost, "status", lambda secrets: {})
    for username, verdict in (("", "none needed"), ("casey", "accepted")):
        taken = (login.Outcome(login.ACCEPTED), {"id": "", "username": username, "password": ""})
        monkeypatch.setattr(smarthost.accounts, "try_logins", lambda taken=taken: [taken])
        found = smarthost.report(True)["login"]
        assert (found["verdict"], found["said"]) == (verdict, "")
    both = [(login.Outcome(login.ACCEPTED), {"id": x, "username": x, "password": ""}) for x in ("", "casey")]
    monkeypatch.setattr(smarthost.accounts, "try_logins", lambda: both)
    found = smarthost.report(True)["login"]
    assert (found["verdict"], found["accounts"]) == ("accepted", {"": "none needed", "casey": "accepted"})


def test_what_a_server_says_that_several_accounts_have_is_said_of_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "main_cf", lambda: "relayhost = [smtp.fastmail.com]:465\n")
    servers = {"a": "smtp.fastmail.com", "b": "smtp.mail.me.com", "c": "mail.club.test", "d": "mail.club.test"}
    others = [{"id": name, "relayhost": f"[{host}]:587", "provider": "custom"} for name, host in servers.items()]
    presets = accounts.presets({"provider": "fastmail"}, others)
    said = {host: health.explained(f"connect to {host}[1.2.3.4]:587: x", presets) for host in servers.values()}
    of = {host: meaning.get("account") for host, meaning in said.items()}
    assert of == {"smtp.fastmail.com": None, "smtp.mail.me.com": "b", "mail.club.test": None}


def test_who_may_not_read_main_cf_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied() -> str:
        raise PermissionError(13, "Permission denied", "/etc/postfix/main.cf")

    monkeypatch.setattr(system, "main_cf", denied)
    assert smarthost.main(["status"]) == 2
    assert capsys.readouterr().err == "Only root may read /etc/postfix/main.cf. Run: sudo smarthost status\n"
