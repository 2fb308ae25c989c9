"""How mail flows: with few logins, again as soon as the provider is back, and without making it angry."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest
from conftest import LAB, MOST_LOGINS, NAME, NEW_PASSWORD, OLD_AND_NEW, Counted, logins, long
from testinfra.host import Host

from workshop.lab.provider import Provider

BURST = 500


@pytest.fixture
def mails(host: Host, provider: Provider, name: str) -> Iterator[Counted]:
    """Mails to be counted, at a provider that has no others to look through."""
    provider.clear()
    # Postfix forgets that the provider was away a moment ago.
    host.run_expect([0], "postfix reload")
    yield Counted(host, f"{LAB}-{name}")
    host.run_expect([0], "postsuper -d ALL && postfix reload")


@OLD_AND_NEW
def test_five_hundred_mails_share_a_few_logins(host: Host, provider: Provider, mails: Counted) -> None:
    marker = provider.marker()
    mails.hand_in(BURST)
    mails.arrive_once(provider)
    # The last connections are kept for a moment.
    time.sleep(4)
    log = provider.log_since(marker)
    assert 1 <= logins(log) <= MOST_LOGINS
    most = int(host.check_output("postconf -h smtp_destination_concurrency_limit"))
    assert together(log) <= most


def together(log: str) -> int:
    """The most connections that there were at once."""
    now = most = 0
    for what in re.findall(r": (connect|disconnect) from ", log):
        now += 1 if what == "connect" else -1
        most = max(most, now)
    return most


@pytest.mark.parametrize("name", [NAME], scope="module")
@long
def test_what_waited_for_the_provider_leaves_by_itself_when_it_is_back(provider: Provider, mails: Counted) -> None:
    provider.answer(False)
    mails.hand_in(BURST)
    mails.all_wait("Connection refused")
    provider.answer(True)
    mails.arrive_once(provider, told_to_leave=False)


@pytest.mark.parametrize("name", [NAME], scope="module")
def test_a_provider_that_is_down_is_seldom_asked(host: Host, provider: Provider, mails: Counted) -> None:
    provider.answer(False)
    start = time.time()
    mails.hand_in(BURST)
    mails.all_wait("Connection refused")
    for _again in range(3):
        host.run_expect([0], "systemctl start smarthost-retry.service")
    mails.hand_in(20)
    mails.all_wait("Connection refused")
    log = host.check_output(f"journalctl --no-pager --output=cat --identifier=postfix/smtp --since=@{start:.3f}")
    # Two connections find out, and then Postfix makes a pause of five minutes, whatever else is handed in.
    assert 1 <= len(re.findall(r"^connect to .*: Connection refused$", log, re.MULTILINE)) <= 2


@pytest.mark.parametrize("name", [NAME], scope="module")
def test_a_refused_login_is_not_tried_over_and_over(host: Host, provider: Provider, mails: Counted) -> None:
    provider.set_password(NEW_PASSWORD)
    marker = provider.marker()
    mails.hand_in(20)
    mails.all_wait("535 5.7.8")
    for _again in range(3):
        host.run_expect([0], "systemctl start smarthost-retry.service")
    mails.hand_in(20)
    mails.all_wait("535 5.7.8")
    assert 1 <= logins(provider.log_since(marker)) <= 2


@pytest.mark.parametrize("name", [NAME], scope="module")
def test_who_looks_whether_the_provider_is_back_says_nothing_while_nothing_waits(host: Host) -> None:
    timer = host.service("smarthost-retry.timer")
    assert timer.is_enabled and timer.is_running
    # However often the timer is started, and though its service never was.
    host.run_expect([0], "systemctl restart smarthost-retry.timer")
    timed = host.check_output("systemctl show smarthost-retry.timer")
    assert "OnUnitInactiveUSec=30s" in timed
    assert re.search(r"^NextElapseUSecMonotonic=(?!infinity).", timed, re.MULTILINE), timed
    start = time.time()
    host.run_expect([0], "systemctl start smarthost-retry.service")
    shown = host.check_output("systemctl show smarthost-retry.service")
    assert "\nConditionResult=no\n" in shown
    words = host.check_output(f"journalctl --no-pager --quiet --since=@{start:.3f} --unit=smarthost-retry.service")
    # Debian 11's systemd has its say whatever the unit wants.
    assert [line for line in words.splitlines() if not line.endswith(" being skipped.")] == []
