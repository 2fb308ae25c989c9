"""Mail that waits: whatever changes meanwhile, all of it arrives, once, as the account that delivers it may send."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest
import testinfra
from conftest import LAB, NAME, NEW_PASSWORD, Change, changed, forget_the_log, run
from testinfra.host import Host

from workshop.lab.host import exec
from workshop.lab.provider import ACCOUNT, OTHER_ACCOUNT, OTHER_PASSWORD, PASSWORD, Provider

CONTAINER = f"{LAB}-{NAME}"
# Users of the host, what containers and devices call themselves, an app that has the account's own address.
SENDERS = (
    "root",
    "ups",
    "nut",
    "root@3f2a1b9c",
    "scan@printer.lan",
    "a@[127.0.0.1]",
    "root@my_nas",
    "casey@fastmail.com",
)
# Who gets it when it is handed in -> who is to get it whatever the aliases say later.
RECIPIENTS = {
    "root": "casey@fastmail.com",
    "ups": "alerts@casey.test",
    "friend@elsewhere.test": "friend@elsewhere.test",
}
COUNT = 20
ICLOUD = {
    "smarthost_provider": "icloud",
    "smarthost_username": OTHER_ACCOUNT,
    "smarthost_password": OTHER_PASSWORD,
    "smarthost_aliases": {"root": OTHER_ACCOUNT},
    "smarthost_generic": {},
}
# What changes -> the variables, and the addresses that may be sent as afterwards.
CHANGES: dict[str, tuple[dict[str, object], set[str]]] = {
    "nothing": ({}, {"casey@fastmail.com", "alerts@casey.test"}),
    "another provider": (ICLOUD, {OTHER_ACCOUNT}),
    "another From": ({"smarthost_from": "alerts@casey.test"}, {"casey@fastmail.com", "alerts@casey.test"}),
    "another host name": ({"smarthost_hostname": "tank.home.arpa"}, {"casey@fastmail.com", "alerts@casey.test"}),
    "a new password": ({"smarthost_password": NEW_PASSWORD}, {"casey@fastmail.com", "alerts@casey.test"}),
    "every sender": ({"smarthost_rewrite": "all"}, {"casey@fastmail.com", "alerts@casey.test"}),
}


@pytest.fixture
def host(usual: Change, provider: Provider) -> Iterator[Host]:
    """A configured host with an empty queue, and again so after the test."""
    host = testinfra.get_host(f"podman://{CONTAINER}")
    provider.clear()
    yield host
    host.run_expect([0], "postsuper -d ALL")
    # With the password that is usual.
    provider.reset()
    assert "failed" not in usual.make()
    # What was lost here is a fault for a day.
    forget_the_log(host)


def hand_in(senders: tuple[str, ...]) -> Counter[tuple[str, str]]:
    """Hand in mails from these senders in turn; the subject and the recipient of each."""
    lines, wanted = [], Counter[tuple[str, str]]()
    for number in range(COUNT):
        to = list(RECIPIENTS)[number % len(RECIPIENTS)]
        sender = senders[number % len(senders)]
        text = f"Subject: waits {number}\\nFrom: Some One <{sender}>\\nTo: undisclosed\\n\\nx"
        lines.append(f"printf '{text}' | /usr/sbin/sendmail -i -f '{sender}' {to}")
        wanted[(f"waits {number}", RECIPIENTS[to])] += 1
    exec(CONTAINER, "sh", "-eu", input="\n".join(lines))
    return wanted


def all_wait(host: Host) -> None:
    """Sees that Postfix has tried each of them, and keeps it."""
    deadline = time.monotonic() + 60
    while (queue := host.check_output("postqueue -j")).count('"delay_reason"') < COUNT:
        assert time.monotonic() < deadline, queue
        time.sleep(0.3)


def arrived(host: Host, provider: Provider) -> Counter[tuple[str, str]]:
    """Subject and recipient of all that the provider has once the queue is empty."""
    deadline = time.monotonic() + 60
    while host.check_output("postqueue -j"):
        assert time.monotonic() < deadline, host.check_output("postqueue -p")
        time.sleep(0.3)
    return Counter((str(mail["Subject"]), mail.recipient) for mail in provider.mails())


@pytest.mark.parametrize("change", CHANGES)
def test_all_that_waits_arrives_once_as_whoever_delivers_it_may_send(
    host: Host, provider: Provider, change: str
) -> None:
    variables, owned = CHANGES[change]
    provider.set_password("z9z9z9z9z9z9z9z9")
    senders = (*SENDERS, "visitor@elsewhere.test") if change == "every sender" else SENDERS
    wanted = hand_in(senders)
    all_wait(host)
    provider.set_password(NEW_PASSWORD if change == "a new password" else PASSWORD)
    provider.set_owned(sorted(owned), str(variables.get("smarthost_username", ACCOUNT)))
    changed(run(**variables))
    host.run_expect([0], "postqueue -f")
    assert arrived(host, provider) == wanted
    for mail in provider.mails():
        assert mail.sender in owned
        assert mail["From"].addresses[0].addr_spec in owned
        assert mail["From"].addresses[0].display_name == "Some One"
        if change == "another From":
            # Only what was handed in with the login's own address keeps that.
            sender = senders[int(str(mail["Subject"]).split()[1]) % len(senders)]
            assert (mail.sender == "alerts@casey.test") == (sender != "casey@fastmail.com")


def test_what_is_on_its_way_during_a_change_leaves_as_whoever_may_send(host: Host, provider: Provider) -> None:
    """Not only what was tried before: with its foreign sender the provider would refuse it for good."""
    host.run_expect([0], "kill -STOP $(grep -ls '(qmgr)' /proc/[0-9]*/stat | cut -d/ -f3)")
    host.run_expect([0], "printf 'Subject: way\\n\\nx' | /usr/sbin/sendmail -f visitor@elsewhere.test root")
    deadline = time.monotonic() + 30
    while '"queue_name": "incoming"' not in host.check_output("postqueue -j"):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    changed(run(smarthost_rewrite="all"))
    assert arrived(host, provider) == Counter({("way", "casey@fastmail.com"): 1})


@pytest.mark.parametrize("display", ["Vi Sitor <visitor@elsewhere.test>", "visitor@elsewhere.test"])
def test_a_foreign_mail_waits_as_nothing_that_the_next_account_would_refuse(
    host: Host, provider: Provider, display: str
) -> None:
    changed(run(smarthost_rewrite="all"))
    provider.set_password("z9z9z9z9z9z9z9z9")
    text = f"Subject: all\\nFrom: {display}\\nReply-To: visitor@elsewhere.test\\n\\nx"
    host.run_expect([0], f"printf '{text}' | /usr/sbin/sendmail -f visitor@elsewhere.test root")
    while '"delay_reason"' not in host.check_output("postqueue -j"):
        time.sleep(0.3)
    provider.set_password(PASSWORD)
    changed(run(smarthost_rewrite="local"))
    host.run_expect([0], "postqueue -f")
    assert arrived(host, provider) == Counter({("all", "casey@fastmail.com"): 1})
    [mail] = provider.mails()
    assert mail["From"].addresses[0].addr_spec == "casey@fastmail.com"
    assert mail["Reply-To"] == "visitor@elsewhere.test"


# Stands in for the program that lists the queue, and ends the run that asks.
FATAL = "#!/bin/sh\nkill -9 $PPID\n"


@pytest.mark.parametrize("killed", [False, True])
def test_a_single_mail_that_waits_leaves_with_its_new_sender(host: Host, provider: Provider, killed: bool) -> None:
    """One does not make Postfix pause with the provider, so it is offered as soon as it is queued anew."""
    provider.set_password("z9z9z9z9z9z9z9z9")
    host.run_expect([0], "printf 'Subject: single\\n\\nx' | /usr/sbin/sendmail -f visitor@elsewhere.test root")
    deadline = time.monotonic() + 30
    while '"delay_reason"' not in host.check_output("postqueue -j"):
        assert time.monotonic() < deadline
        time.sleep(0.3)
    provider.set_password(PASSWORD)
    host.run_expect([0], "systemctl stop smarthost-retry.timer")
    if killed:
        # After main.cf was replaced, before what waits was looked at.
        host.run_expect([0], "mv /usr/sbin/postqueue /usr/sbin/postqueue.kept")
        exec(CONTAINER, "sh", "-c", "cat >/usr/sbin/postqueue && chmod 755 /usr/sbin/postqueue", input=FATAL)
        assert run(smarthost_rewrite="all").returncode != 0
        host.run_expect([0], "mv /usr/sbin/postqueue.kept /usr/sbin/postqueue")
        assert host.file("/etc/postfix/smarthost/unfinished").exists
    changed(run(smarthost_rewrite="all"))
    host.run_expect([0], "systemctl start smarthost-retry.timer && postqueue -f")
    assert arrived(host, provider) == Counter({("single", "casey@fastmail.com"): 1})
    assert [mail.sender for mail in provider.mails()] == ["casey@fastmail.com"]


# --- what comes back --------------------------------------------------------------------------------


@pytest.mark.parametrize("rewrite", ["local", "all"])
@pytest.mark.parametrize("reply", ["552 5.2.2 Mailbox full", "550 5.4.5 Daily user sending limit exceeded"])
def test_a_refused_mail_comes_back_once_at_most(host: Host, provider: Provider, rewrite: str, reply: str) -> None:
    changed(run(smarthost_rewrite=rewrite))
    provider.reply("message", reply)
    marker = provider.marker()
    host.run_expect([0], "printf 'Subject: refused\\n\\nx' | /usr/sbin/sendmail -f visitor@elsewhere.test root")
    host.run_expect([0], "printf 'Subject: refused\\n\\nx' | /usr/sbin/sendmail root")
    assert arrived(host, provider) == Counter()
    time.sleep(3)
    assert host.check_output("postqueue -j") == ""
    # Each mail and its notice.
    refused = provider.log_since(marker).count(reply[9:20])
    assert 2 <= refused <= 4


@pytest.mark.parametrize("rewrite", ["local", "all"])
@pytest.mark.parametrize(("sender", "person"), [("ups", "alerts@casey.test"), ("backup", "casey@fastmail.com")])
def test_a_notice_goes_to_the_person_behind_the_local_sender(
    host: Host, provider: Provider, rewrite: str, sender: str, person: str
) -> None:
    # An address that the account does not own: the mail is refused, its notice is not.
    changed(run(smarthost_rewrite=rewrite, smarthost_generic={sender: "elsewhere@casey.test"}))
    host.run_expect([0], f"printf 'Subject: refused\\n\\nx' | /usr/sbin/sendmail -f {sender} friend@elsewhere.test")
    notice = provider.wait_for_mail(lambda mail: "Undelivered" in str(mail["Subject"]))
    assert (notice.sender, notice.recipient) == ("", person)
    assert [mail["Subject"] for mail in provider.mails()] == [notice["Subject"]]
