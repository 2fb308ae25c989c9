"""What goes wrong around a run, with mail in the queue: every mail arrives, and arrives once."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import testinfra
from conftest import LAB, NAME, NEW_PASSWORD, PASSWORD, Change, Counted, changed, forget_the_log, long, run, said
from testinfra.host import Host

from workshop.lab.host import exec, podman
from workshop.lab.provider import Provider

CONTAINER = f"{LAB}-{NAME}"


@pytest.fixture
def mails(host: Host, provider: Provider) -> Counted:
    """Mails to be counted, at a provider that has no others to look through."""
    provider.clear()
    return Counted(host, CONTAINER)


@pytest.fixture(scope="module")
def other(usual: Change, tmp_path_factory: pytest.TempPathFactory) -> Change:
    """Another login."""
    change = Change(tmp_path_factory.mktemp("other") / "recorded", smarthost_port=587)
    usual.make()
    return change


@pytest.fixture
def host(usual: Change) -> Iterator[Host]:
    """A configured host with an empty queue, and again so after the test."""
    host = testinfra.get_host(f"podman://{CONTAINER}")
    assert host.check_output("postqueue -j") == ""
    yield host
    assert "failed" not in usual.make()
    host.run_expect([0], "postsuper -d ALL")


STATE = r"""
postconf -n | sed 's|/smarthost/b/|/smarthost/a/|'
postmap -q "$(postconf -h relayhost)" "$(postconf -h smtp_sasl_password_maps)"
"""
# Not what Ansible unpacks for itself.
FILES = r"""
find /etc/postfix /run /tmp \( -path /run/log -o -path /run/systemd -o -path '/tmp/ansible_*_payload_*' \) \
    -prune -o -printf '%p %m %u\n' | sed 's|/smarthost/b|/smarthost/a|' | sort
"""
WITH_PASSWORD = f"grep -rlsF {PASSWORD} /etc /run /tmp /root | xargs -r stat -c '%n %a %U'"


def ask(script: str) -> str:
    """What a script on the host says. With STATE: the configuration and the login, as Postfix reads them."""
    return exec(CONTAINER, "sh", "-euc", script).stdout


# --- the login ----------------------------------------------------------------------------------


def test_a_wrong_new_password_costs_no_mail_that_waits(host: Host, provider: Provider, mails: Counted) -> None:
    provider.set_password("z9z9z9z9z9z9z9z9")
    mails.hand_in(20)
    mails.all_wait("535 5.7.8")
    before = ask(STATE)
    done = run(smarthost_password=NEW_PASSWORD)
    assert done.returncode != 0
    assert "Nothing was changed: smtp.fastmail.com refused the login: 535 5.7.8" in said(done)
    assert ask(STATE) == before
    provider.set_password(PASSWORD)
    mails.arrive_once(provider)


def test_a_provider_that_is_down_during_a_run_costs_no_mail(host: Host, provider: Provider, mails: Counted) -> None:
    provider.answer(False)
    mails.hand_in(20)
    before = ask(STATE)
    done = run(smarthost_port=587, smarthost_verify_login="required")
    assert done.returncode != 0
    assert "Nothing was changed: the login at smtp.fastmail.com could not be tried" in said(done)
    assert ask(STATE) == before
    done = run(smarthost_port=587)
    assert changed(done) == 1
    assert "could not be tried (connecting to smtp.fastmail.com port 587)" in said(done)
    mails.all_wait("Connection refused")
    provider.answer(True)
    mails.arrive_once(provider)


def test_neither_password_nor_mail_leaves_where_starttls_was_taken_away(
    host: Host, provider: Provider, mails: Counted
) -> None:
    assert changed(run(smarthost_port=587)) == 1
    marker = provider.marker()
    provider.offer_tls(False)
    mails.hand_in(20)
    before = ask(STATE)
    done = run(smarthost_port=587, smarthost_password=NEW_PASSWORD)
    assert done.returncode != 0
    assert "Nothing was changed: smtp.fastmail.com did not begin TLS" in said(done)
    mails.all_wait("TLS is required, but was not offered")
    log = provider.wait_for_log("disconnect from", marker)
    assert "auth=" not in log and "sasl_method" not in log, log
    assert ask(STATE) == before
    provider.reset()
    mails.arrive_once(provider)


def test_a_change_while_mail_flows_loses_and_doubles_none(host: Host, provider: Provider, mails: Counted) -> None:
    with mails.flowing():
        assert changed(run(smarthost_parameters={"delay_warning_time": "4h"})) == 1
    assert mails.count >= 100
    mails.arrive_once(provider)


@long
def test_restarts_while_mail_flows_lose_none_and_double_none(
    host: Host, provider: Provider, mails: Counted, usual: Change, tmp_path: Path
) -> None:
    # Each way between the two takes a restart.
    restarted = Change(tmp_path / "recorded", smarthost_parameters={"inet_protocols": "ipv4"})
    with mails.flowing():
        for _again in range(4):
            assert "restarted Postfix" in str(usual.make())
            assert "restarted Postfix" in str(restarted.make())
    assert mails.count >= 100
    mails.arrive_once(provider)


def test_two_runs_at_once_take_turns(host: Host, provider: Provider, mails: Counted) -> None:
    wanted = [{"delay_warning_time": "4h"}, {"delay_warning_time": "5h", "biff": True}]
    with mails.flowing(), ThreadPoolExecutor() as pool:
        done = list(pool.map(lambda parameters: run(smarthost_parameters=parameters), wanted))
    assert [changed(one) for one in done] == [1, 1]
    # The end is one of the two, and all of it.
    assert ask("postconf -h delay_warning_time biff").split() in (["4h", "no"], ["5h", "yes"])
    assert len(ask("ls -A /etc/postfix/smarthost").split()) == 2
    mails.arrive_once(provider)


# --- no name service ------------------------------------------------------------------------------


def test_mail_waits_for_a_name_server_that_is_gone(
    host: Host, provider: Provider, mails: Counted, usual: Change
) -> None:
    files = ["/etc/resolv.conf", "/var/spool/postfix/etc/resolv.conf"]
    texts = [host.file(path).content_string for path in files]
    try:
        for path in files:
            # In place, because the first of them is mounted.
            exec(CONTAINER, "tee", path, input="nameserver 127.0.0.1\n")
        mails.hand_in(20)
        done = run(smarthost_port=587)
        assert changed(done) == 1
        assert "could not be tried (looking up smtp.fastmail.com)" in said(done)
        mails.all_wait("Name service error|Host not found|name resolution")
    finally:
        for path, text in zip(files, texts, strict=True):
            exec(CONTAINER, "tee", path, input=text)
    # Each of Postfix's processes goes on asking the old name server for a while; the next run starts them anew.
    assert "failed" not in usual.make()
    mails.arrive_once(provider)


# --- no room on the disk --------------------------------------------------------------------------


class SmallDisk:
    """A folder of the host on a file system of its own, which takes no room on any disk."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._shell(f"""
            systemctl stop postfix
            cp -a {path} /run/small
            mount -t tmpfs -o size=200m small {path}
            cp -a /run/small/. {path}
            rm -r /run/small
            systemctl start postfix""")

    def leave(self, kilobytes: int) -> None:
        """Let there be so much room."""
        self._shell(f"""
            used=$(df --output=used {self.path} | tail -n 1)
            mount -o remount,size=$((used + {kilobytes}))k {self.path}""")

    def remove(self) -> None:
        """The folder as it was before."""
        self._shell(f"""
            systemctl stop postfix
            umount {self.path}
            systemctl start postfix""")

    def _shell(self, script: str) -> None:
        # Mounting needs what the host itself is not allowed.
        podman("exec", "--privileged", CONTAINER, "sh", "-euc", script)


@pytest.fixture
def small_disk(host: Host, request: pytest.FixtureRequest) -> Iterator[SmallDisk]:
    """The host with a small disk at a path."""
    disk = SmallDisk(request.param)
    yield disk
    disk.remove()


@pytest.mark.parametrize("small_disk", ["/etc/postfix"], indirect=True)
def test_a_disk_without_room_for_the_change_keeps_the_configuration(
    host: Host, provider: Provider, mails: Counted, usual: Change, other: Change, small_disk: SmallDisk
) -> None:
    assert "failed" not in usual.make()
    before, files = ask(STATE), ask(FILES)
    # Page by page, so that the room ends at each of the files in its turn.
    for kilobytes in range(0, 100, 4):
        small_disk.leave(kilobytes)
        answer = other.make()
        if "failed" not in answer:
            break
        assert "No space left on device" in str(answer["msg"])
        assert "old one stays" in str(answer["msg"]) or "is back in place and runs" in str(answer["msg"])
        assert ask(STATE) == before
        assert ask(FILES) == files
        mails.hand_in(1)
    assert mails.count >= 4
    assert "]:587" in ask(STATE)
    mails.hand_in(1)
    mails.arrive_once(provider)


@pytest.mark.parametrize("small_disk", ["/var/spool/postfix"], indirect=True)
def test_a_full_spool_does_not_keep_a_run_from_its_end(
    host: Host, provider: Provider, mails: Counted, small_disk: SmallDisk
) -> None:
    provider.answer(False)
    mails.hand_in(20)
    mails.all_wait("Connection refused")
    small_disk.leave(0)
    assert host.run("head -c 20000 /dev/zero | /usr/sbin/sendmail root").rc != 0
    # What takes a restart, because Postfix writes into its spool when it starts.
    assert changed(run(smarthost_parameters={"inet_protocols": "ipv4"})) == 1
    assert host.run("postfix status").rc == 0
    assert len(mails.queue()) == 20
    small_disk.leave(100_000)
    provider.answer(True)
    mails.hand_in(1)
    mails.arrive_once(provider)
    assert "Mail could not even be handed in" in host.run("smarthost status").stdout
    forget_the_log(host)


# --- interrupted ----------------------------------------------------------------------------------


def test_a_restart_is_possible_where_there_were_many(host: Host, usual: Change) -> None:
    host.run_expect([0], "systemctl reset-failed postfix && for n in 1 2 3 4 5; do systemctl restart postfix; done")
    # Takes a restart.
    host.run_expect([0], "touch /etc/postfix/smarthost/unfinished")
    assert "restarted Postfix" in str(usual.make()["actions"])


@long
def test_a_run_that_is_killed_at_any_moment_leaves_one_whole_configuration(
    host: Host, provider: Provider, mails: Counted, usual: Change, other: Change
) -> None:
    whole = {}
    for change in (other, usual):
        start = time.monotonic()
        assert "failed" not in change.make()
        seconds = time.monotonic() - start
        whole[change] = ask(STATE)
    files = ask(FILES)
    moments = random.Random(20)
    ends: Counter[bool] = Counter()
    for number in range(20):
        change = (other, usual)[number % 2]
        change.killed_after(moments.uniform(0.2, 0.9) * seconds)
        end, places = ask(f"{STATE}\necho ---\n{WITH_PASSWORD}").split("---\n")
        assert end in whole.values()
        ends[end == whole[change]] += 1
        tables = [f"/etc/postfix/smarthost/{slot}/sasl_passwd 600 root" for slot in "ab"]
        assert set(places.splitlines()) <= set(tables)
        subject = mails.hand_in_one()
        deadline = time.monotonic() + 20
        while subject not in provider.subjects():
            assert time.monotonic() < deadline, mails.queue()
        # The next run makes it good.
        assert "failed" not in change.make()
        assert ask(f"{STATE}\necho ---\n{FILES}").split("---\n") == [whole[change], files]
    # Or else none of the moments was of interest.
    assert min(ends[True], ends[False]) > 0, ends
    mails.arrive_once(provider)
    # Ansible's own, without the password.
    host.run("rm -rf /tmp/ansible_*_payload_* /root/.ansible/tmp/ansible-moduletmp-*")
