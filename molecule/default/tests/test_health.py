"""What a host notices by itself: that Postfix alone does not reach the provider, and mail that never got in."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
import testinfra
from conftest import LAB, NAME, Change, Mail, forget_the_log, long
from testinfra.host import Host

from workshop.lab.host import exec
from workshop.lab.provider import Provider

CONTAINER = f"{LAB}-{NAME}"
COPY = "/var/spool/postfix/etc/resolv.conf"
RETRY = "smarthost-retry.service"
# A timer that was stopped would be a fault.
LATER = "/run/systemd/system/smarthost-retry.timer.d"
IN_AN_HOUR = "[Timer]\nOnActiveSec=\nOnUnitInactiveSec=\nOnActiveSec=1h\n"
RELOAD = "systemctl daemon-reload && systemctl restart smarthost-retry.timer"
# How long Postfix may take to begin with what it was told to try.
BEGIN_SECONDS = 11


@pytest.fixture
def host(usual: Change) -> Iterator[Host]:
    """A configured host with an empty queue and without a history, whose timer the test takes the place of."""
    host = testinfra.get_host(f"podman://{CONTAINER}")
    assert host.check_output("postqueue -j") == ""
    forget_the_log(host)
    exec(CONTAINER, "sh", "-euc", f"mkdir -p {LATER}; cat >{LATER}/later.conf", input=IN_AN_HOUR)
    host.run_expect([0], f"{RELOAD} && rm -f /var/lib/smarthost/retry.json")
    yield host
    host.run_expect([0], f"postsuper -d ALL; rm -r {LATER}; {RELOAD}; systemctl restart postfix")
    host.run_expect([0], "touch /etc/postfix/smarthost/unfinished")
    assert "failed" not in usual.make()
    forget_the_log(host)


def look(host: Host) -> None:
    """Let the timer's unit run."""
    host.run_expect([0], f"systemctl start {RETRY}")


def told_to_try(host: Host) -> list[str]:
    """The mails that Postfix' queue manager took up, in their order."""
    log = host.check_output("journalctl --no-pager --output=cat --identifier=postfix/qmgr")
    return re.findall(r"^(\w+): from=.*\(queue active\)$", log, re.MULTILINE)


def wait_for_an_empty_queue(host: Host) -> None:
    """See all mail leave."""
    deadline = time.monotonic() + 30
    while queue := host.check_output("postqueue -j"):
        assert time.monotonic() < deadline, queue
        time.sleep(0.2)


def test_an_old_copy_in_the_chroot_is_noticed_and_healed(host: Host, provider: Provider) -> None:
    exec(CONTAINER, "tee", COPY, input="nameserver 127.0.0.1\n")
    # A client that delivered a moment ago may know the name still.
    host.run_expect([0], "postfix reload")
    mail = Mail(host)
    assert "Name service error" in mail.reason_it_waits()
    assert host.run("smarthost status").rc == 0
    look(host)
    time.sleep(BEGIN_SECONDS)
    look(host)
    assert mail.arrived(provider)
    wait_for_an_empty_queue(host)
    assert host.file(COPY).content_string == host.file("/etc/resolv.conf").content_string
    assert "Postfix had old copies of files in its chroot and was restarted" in host.check_output(
        f"journalctl --no-pager --quiet --output=cat --unit={RETRY}"
    )
    assert host.run("smarthost status").rc == 0


@long
def test_what_a_restart_does_not_heal_is_said_and_seldom_tried(host: Host, provider: Provider) -> None:
    host.run_expect([0], "postconf -e smtp_bind_address=127.0.0.1 inet_protocols=ipv4 && systemctl restart postfix")
    first = Mail(host)
    assert "connect to smtp.fastmail.com" in first.reason_it_waits()
    mails = [first, *(Mail(host) for _mail in range(4))]
    deadline = time.monotonic() + 30
    while host.check_output("postqueue -j").count('"delay_reason"') < len(mails):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    look(host)
    time.sleep(BEGIN_SECONDS)
    assert len(told_to_try(host)) == 2 * len(mails)
    for _look in range(5):
        look(host)
    time.sleep(2)
    # One, and not all of them.
    assert len(told_to_try(host)) == 2 * len(mails) + 1
    told = host.run("smarthost status")
    assert told.rc == 1
    words = "This host reaches smtp.fastmail.com, but Postfix does not: connect to smtp.fastmail.com["
    assert words in told.stdout and "smtp_bind_address" in told.stdout
    host.run_expect([0], "postconf -X smtp_bind_address && postfix reload")
    # Two minutes later.
    host.run_expect([0], r"sed -i -E 's/(\"at\": [0-9]+)[0-9]{3}\./\1000./' /var/lib/smarthost/retry.json")
    look(host)
    time.sleep(BEGIN_SECONDS)
    look(host)
    for mail in mails:
        assert mail.arrived(provider)
    wait_for_an_empty_queue(host)
    assert host.run("smarthost status").rc == 0


def test_a_program_that_may_not_hand_in_mail_is_noticed(host: Host) -> None:
    host.run(
        "systemd-run --wait --property=NoNewPrivileges=yes --property=User=nobody --property=RuntimeMaxSec=3 "
        "sh -c \"printf 'Subject: lost\\n\\nx\\n' | /usr/sbin/sendmail root\""
    )
    told = host.run("smarthost status")
    assert told.rc == 1
    assert "Mail could not even be handed in, last " in told.stdout and "Permission denied" in told.stdout
    assert "remove NoNewPrivileges" in told.stdout
    # The last one is told.
    for call, said, remedy in (
        ("printf 'Subject: lost\\n\\nx\\n' | sendmail -t", "No recipient addresses", "without a recipient"),
        ("ulimit -f 1; head -c 9000 /dev/zero | base64 | sendmail root", "message file too big", "message_size_limit"),
    ):
        assert host.run(call).rc != 0
        told = host.run("smarthost status")
        assert (told.rc, said in told.stdout, remedy in told.stdout) == (1, True, True), told.stdout
