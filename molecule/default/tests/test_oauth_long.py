"""Accounts without a password over a longer time: many mails, a boot, and a host that is given back and taken again."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import testinfra
from conftest import LAB, MOST_LOGINS, NAME, Counted, Mail, changed, long, run
from test_oauth import VARIABLES, consent, lapse
from testinfra.host import Host

from workshop.lab import labs
from workshop.lab.provider import TOKEN_ACCOUNT, Provider

OUTLOOK = {**VARIABLES, "smarthost_provider": "outlook"}


@pytest.fixture(scope="module")
def host() -> Host:
    """The host that has an account of that kind."""
    return testinfra.get_host(f"podman://{LAB}-{NAME}")


@pytest.fixture(scope="module")
def tokens(host: Host) -> Iterator[Provider]:
    """A provider that takes tokens, and a host with a consent; afterwards as usual."""
    provider = Provider(LAB)
    provider.take_tokens()
    changed(consent(OUTLOOK))
    changed(run(**OUTLOOK))
    yield provider
    changed(run())
    provider.reset()


@long
def test_500_mails_take_10_logins_at_most_although_the_token_ends_three_times(tokens: Provider, host: Host) -> None:
    # A minute before its end, a token is renewed.
    tokens.identity(lives=63)
    lapse(host)
    marker, before = tokens.marker(), tokens.identity()["asked"].count("refresh_token")
    burst = Counted(host, f"{LAB}-{NAME}")
    for _time in range(4):
        burst.hand_in(125)
        burst.arrive_once(tokens)
        # Until it has ended, and the connections that were kept are closed.
        time.sleep(5)
    # A login for each connection.
    assert 0 < tokens.log_since(marker).count("]: connect from ") <= MOST_LOGINS
    assert tokens.identity()["asked"].count("refresh_token") >= before + 3
    tokens.identity(lives=3600)


@long
def test_after_a_boot_mail_leaves_with_the_same_consent(tokens: Provider, host: Host) -> None:
    labs.reboot(LAB, NAME)
    assert Mail(host).arrived(tokens).login == TOKEN_ACCOUNT
    host.run_expect([0], "smarthost status")
    assert changed(run(**OUTLOOK)) == 0
    assert host.run("systemctl is-active smarthost-renew.timer").stdout == "active\n"


@long
def test_a_host_that_was_given_back_asks_for_a_new_consent(tokens: Provider, host: Host) -> None:
    changed(run(smarthost_state="absent"))
    assert not host.user("_smarthost").exists and not host.file("/var/lib/smarthost").exists
    assert host.run("grep -s 10587 /etc/postfix/master.cf").rc
    assert run(**OUTLOOK).returncode
    changed(consent(OUTLOOK))
    changed(run(**OUTLOOK))
    assert Mail(host).arrived(tokens).login == TOKEN_ACCOUNT
