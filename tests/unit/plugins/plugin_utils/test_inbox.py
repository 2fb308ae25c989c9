"""Where a test mail is looked for, and with whose login."""

from __future__ import annotations

from typing import Any

import pytest

from tests import rendering

PASSWORD = "k3j5h6g7f8d9s0a1"
ELSEWHERE = {"inbox_host": "imap.bobs.org", "inbox_username": "bob@bobs.org", "inbox_password": "T8c W!k2p#9"}
MAILGUN = {
    "provider": "mailgun",
    "region": "eu",
    "username": "nas@mg.bobs.org",
    "password": PASSWORD,
    "aliases": {"root": "bob@bobs.org"},
}


def inbox(**given: Any) -> dict[str, Any]:
    """The mailbox of a host whose variables are right."""
    verdict = rendering.judge(**given)
    assert not verdict.faults
    found: dict[str, Any] = verdict.secrets["inbox"]
    return found


@pytest.mark.parametrize(
    ("given", "host", "username"),
    [
        ({}, "imap.fastmail.com", "bob@fastmail.com"),
        ({"host": "smtps-proxy.fastmail.com", "port": 443}, "imap.fastmail.com", "bob@fastmail.com"),
        ({"provider": "icloud", "username": "bob@icloud.com"}, "imap.mail.me.com", "bob"),
        ({"provider": "web_de", "username": "bob", "from_": "bob@web.de"}, "imap.web.de", "bob"),
        ({"provider": "zoho", "username": "bob@bobs.org", "region": "au"}, "imap.zoho.com.au", "bob@bobs.org"),
        (
            {"provider": "zoho", "username": "b@bobs.org", "region": "eu", "host": "smtppro.zoho.eu"},
            "imappro.zoho.eu",
            "",
        ),
        ({"provider": "gmx", "username": "bob@gmx.de", "host": "mail.gmx.net"}, "imap.gmx.net", "bob@gmx.de"),
    ],
)
def test_a_mailbox_provider_is_asked_with_the_accounts_own_login(given: Any, host: str, username: str) -> None:
    found = inbox(password=PASSWORD, **given)
    assert (found["host"], found["port"], found["password"]) == (host, 993, PASSWORD)
    assert username in ("", found["username"])


def test_another_mailbox_is_asked_with_its_own_login_alone() -> None:
    for given in ({}, MAILGUN):
        found = inbox(**given, **{**ELSEWHERE, "inbox_host": "imap.bobs.org:1993"})
        assert (found["host"], found["port"], found["username"], found["password"]) == (
            "imap.bobs.org", 1993, "bob@bobs.org", "T8c W!k2p#9",
        )  # fmt: skip


def test_an_app_password_that_may_read_can_stand_beside_the_one_that_sends() -> None:
    found = inbox(inbox_password="a1b2c3d4e5f6g7h8")
    assert (found["username"], found["password"]) == ("bob@fastmail.com", "a1b2c3d4e5f6g7h8")


def test_ones_own_provider_needs_its_server_alone() -> None:
    own = {"provider": "custom", "host": "smtp.bobs.org", "port": 465, "tls": "implicit", "username": "bob@bobs.org"}
    assert inbox(**own, password=PASSWORD, inbox_host="imap.bobs.org")["password"] == PASSWORD
    assert "has no mailbox that is known here. Say with smarthost_inbox_host" in inbox(**own, password=PASSWORD)["said"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"provider": "hub", "host": "hub.lan"}, "Your hub has no mailbox that is known here. Say with"),
        (MAILGUN, "Mailgun only sends. Say with smarthost_inbox_host, _username and _password where the mail arrives."),
        ({"provider": "proton", "username": "n@bobs.org", "password": "6Q2W"}, "Proton gives IMAP only through Proton"),
        ({"provider": "microsoft365", "username": "n@bobs.org", "password": "6Q2"}, "Exchange Online lets no password"),
    ],
)
def test_a_provider_whose_mail_cannot_be_read_is_said_and_no_fault(given: Any, said: str) -> None:
    assert inbox(**given)["said"].startswith(said)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        # A password goes to no server but its own.
        ({"inbox_host": "imap.bobs.org"}, "smarthost_inbox_username: is not set."),
        ({**MAILGUN, "inbox_host": "imap.bobs.org"}, "smarthost_inbox_username: is not set."),
        ({**MAILGUN, "inbox_host": "imap.bobs.org", "inbox_password": "x"}, "smarthost_inbox_username: is not set."),
        (
            {"provider": "hub", "host": "hub.lan", "inbox_host": "imap.bobs.org"},
            "smarthost_inbox_username: is not set.",
        ),
        ({"inbox_username": "alice@fastmail.com"}, "smarthost_inbox_password: is not set."),
        ({**MAILGUN, "inbox_username": "bob", "inbox_password": "x"}, "smarthost_inbox_host: is not set."),
        ({**ELSEWHERE, "inbox_host": "imaps://imap.bobs.org"}, "smarthost_inbox_host: 'imaps://imap.bobs.org' is not"),
        ({**ELSEWHERE, "inbox_host": "imap.bobs.org:imaps"}, "smarthost_inbox_host: 'imap.bobs.org:imaps' is not the"),
    ],
)
def test_half_a_mailbox_is_a_fault(given: Any, fault: str) -> None:
    [found] = rendering.judge(**given).faults
    assert found.startswith(fault)
