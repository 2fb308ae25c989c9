"""Healthy means delivered: what was lost is a fault for a day, whatever was said of it and whatever left since."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import testinfra
from conftest import LAB, NAME, forget_the_log
from testinfra.host import Host

from workshop.lab.scripted import FASTMAIL, PERSONALITIES, Scripted

ACCOUNT = "casey@fastmail.com"
UNKNOWN = "599 5.9.9 The answer is 42"
NO_SUCH_USER = "550 5.1.1 No such user"


@pytest.fixture
def host() -> Iterator[Host]:
    """A host without a history."""
    host = testinfra.get_host(f"podman://{LAB}-{NAME}")
    host.run_expect([0], "postsuper -d ALL; postfix reload")
    forget_the_log(host)
    yield host
    host.run_expect([0], "postsuper -d ALL")
    forget_the_log(host)


class Answers:
    """A provider that says this to a mail, and takes the one after it unless told otherwise."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.scripted = Scripted(LAB)

    def say(self, step: str, *replies: str) -> None:
        """One after the other, the last one for ever."""
        script: dict[str, str | list[str]] = {**FASTMAIL, step: list(replies)}
        self.monkeypatch.setitem(PERSONALITIES, "of-this-test", script)
        self.scripted.play("of-this-test")


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """The provider, healthy after the test."""
    provider = Answers(monkeypatch)
    yield provider
    provider.scripted.play("fastmail-healthy")


def send(host: Host, to: str = "root") -> None:
    """Send a mail, and let all that follows from it come to an end."""
    host.run_expect([0], f"printf 'Subject: The disk is full.\\n\\nx\\n' | /usr/sbin/sendmail {to}")
    deadline = time.monotonic() + 30
    while "active" in (queue := host.check_output("postqueue -j; sleep 0.5; postqueue -j")) or "incoming" in queue:
        assert time.monotonic() < deadline, queue


def state(host: Host) -> dict[str, Any]:
    """What the program says, the same as JSON and as an exit status."""
    done = host.run("smarthost status --json")
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["healthy"] == (done.rc == 0) == (not found["problems"])
    return found


def test_a_refusal_that_nobody_knows_is_a_fault_although_its_notice_was_delivered(
    host: Host, provider: Answers
) -> None:
    provider.say("message", UNKNOWN, "250 2.0.0 OK: taken")
    send(host)
    found = state(host)
    [problem] = found["problems"]
    assert problem.startswith(f"1 mail to {ACCOUNT} was given up ") and UNKNOWN in problem
    assert [(mail["to"], mail["status"], mail["told"]) for mail in found["lost"]] == [(ACCOUNT, "bounced", True)]
    # The notice was delivered, and that is no delivery.
    assert found["last_delivery"] is None
    # Nor does a mail that leaves bring the lost one back.
    assert host.run("smarthost test root").rc == 0
    found = state(host)
    assert found["last_delivery"] and len(found["problems"]) == 1
    shown = host.run("smarthost status")
    assert shown.rc == 1 and shown.stdout.startswith("Mail does not leave as it should")
    assert found["problems"][0].partition(": ")[2] in shown.stdout


def test_a_notice_that_was_refused_is_told_with_the_mail_it_was_about(host: Host, provider: Answers) -> None:
    provider.say("message", NO_SUCH_USER, "501 Invalid MAIL FROM address provided")
    send(host, "typed@else.example")
    [problem] = state(host)["problems"]
    assert problem.startswith("1 mail to typed@else.example was given up ") and NO_SUCH_USER in problem
    assert "The sender was not told, because the notice was refused, too: " in problem
    assert "501 Invalid MAIL FROM address provided" in problem


@pytest.mark.parametrize("reply", [NO_SUCH_USER, "550 No such user"])
def test_an_address_that_was_typed_once_is_no_fault_but_twice_is(host: Host, provider: Answers, reply: str) -> None:
    for expected in (True, False):
        provider.say("rcpt", reply, "250 2.1.5 OK")
        send(host, "typed@else.example")
        found = state(host)
        assert found["healthy"] == expected, found["problems"]
    assert len(found["lost"]) == 2
    assert found["problems"][0].startswith("2 mails to typed@else.example were given up, the first ")


@pytest.mark.parametrize("to", [ACCOUNT, "Casey@Fastmail.com", "root"])
def test_an_address_of_ones_own_or_an_alias_that_does_not_exist_is_a_fault(
    host: Host, provider: Answers, to: str
) -> None:
    provider.say("rcpt", NO_SUCH_USER, "250 2.1.5 OK")
    send(host, to)
    [problem] = state(host)["problems"]
    assert "was given up" in problem and NO_SUCH_USER in problem


def test_a_refused_sender_is_a_fault_whoever_the_recipient_is(host: Host, provider: Answers) -> None:
    provider.say("rcpt", "550 5.1.8 Who are you?", "250 2.1.5 OK")
    send(host, "typed@else.example")
    [problem] = state(host)["problems"]
    assert "The server refuses the sender." in problem


def test_a_mail_whose_time_is_over_is_a_fault_with_the_reason_it_waited_for(host: Host, provider: Answers) -> None:
    provider.say("message", "451 4.9.9 Not today", "451 4.9.9 Not today", "250 2.0.0 OK: taken")
    send(host)
    found = state(host)
    # It waits for a moment, which is no fault.
    assert (found["healthy"], found["queue"]["messages"]) == (True, 1)
    host.run_expect([0], "postconf -e maximal_queue_lifetime=1s && postfix reload && sleep 1 && postqueue -f")
    deadline = time.monotonic() + 30
    while not (found := state(host))["lost"]:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    host.run_expect([0], "postconf -X maximal_queue_lifetime && postfix reload")
    [problem] = [problem for problem in found["problems"] if "given up" in problem]
    assert problem.startswith(f"1 mail to {ACCOUNT} waited too long and was given up ") and "4.9.9 Not today" in problem
    assert found["lost"][0]["status"] == "expired"


def test_a_test_mail_that_was_taken_sends_one_to_the_inbox(host: Host) -> None:
    done = host.run("smarthost test root")
    assert done.rc == 0 and done.stdout.endswith("Now look into the inbox, and into the spam folder.\n")
