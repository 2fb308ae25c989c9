"""What is wrong with a host's mail, from facts alone: words explain, and excuse nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import health, queued, system

NOW = 1795255200.0
RECIPIENTS = ["you@example.com", "casey@fastmail.com"]
WRONG_PASSWORD = (
    "SASL authentication failed; server smtp.fastmail.com[103.168.172.45] said: "
    "535 5.7.8 Incorrect username, password or access token"
)
FOREIGN_FROM = (
    "host x[1.2.3.4] said: 551 5.7.1 Not authorised to send from this header address (in reply to end of DATA)"
)
UNKNOWN = "host x[1.2.3.4] said: 599 42 is the answer (in reply to end of DATA command)"
NO_SUCH_USER = "host x[1.2.3.4] said: 550 {}No such user (in reply to RCPT TO command)"


def state(**given: Any) -> dict[str, Any]:
    """A healthy host, with something else."""
    healthy: dict[str, Any] = {
        "time": NOW, "host": "nas.lan", "relayhost": "[smtp.fastmail.com]:465", "running": True, "port_25": {},
        "queue": {"messages": 0, "bytes": 0, "oldest_seconds": 0, "reasons": []}, "losses": [], "not_handed_in": [],
        "unreached": "", "idle": [], "ended": [], "sendmail": "", "unlogged": "",
    }  # fmt: skip
    return {**healthy, **given}


def mail(said: str = FOREIGN_FROM, dsn: str = "5.7.1", **given: Any) -> dict[str, Any]:
    """A mail that was lost."""
    usual = {"time": NOW - 60, "id": "AAAAAA", "to": "typed@else.example", "orig_to": "", "status": "bounced"}
    return {**usual, "said": said, "dsn": dsn, "told": True, **given}


def faults(*lost: dict[str, Any]) -> list[str]:
    """What is wrong after these losses, the last first."""
    return health.faults(state(losses=health.losses(list(lost), RECIPIENTS, "fastmail")))


def queue(*reasons: str, oldest: int = 5) -> dict[str, Any]:
    """A queue in which a mail waits for each reason."""
    return {"messages": 1, "oldest_seconds": oldest, "reasons": queued.grouped(Counter(reasons), "fastmail")}


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"relayhost": ""}, "not configured as a smart host"),
        (
            {"running": False, "port_25": {"127.0.0.1": "Connection refused"}},
            "Postfix does not answer (127.0.0.1 port 25: Connection refused)",
        ),
        ({"queue": queue(oldest=901)}, "Mail has waited for 15 min"),
        ({"queue": {**queue(), "unreadable": "Postfix does not list it"}}, "is not known: Postfix does not list it."),
        ({"queue": queue("450 what nobody knows", oldest=901)}, "Mail has waited for 15 min"),
        ({"queue": queue(WRONG_PASSWORD)}, "Fastmail refused the login"),
        (
            {"unreached": "This host reaches x, but Postfix does not: y."},
            "This host reaches x, but Postfix does not: y.",
        ),
        (
            {"not_handed_in": [{"time": NOW - 5, "said": "Permission denied"}]},
            "Mail could not even be handed in, last 5 s ago: Permission denied. A program",
        ),
    ],
)
def test_what_is_wrong_is_a_sentence(given: dict[str, Any], problem: str) -> None:
    (found,) = health.faults(state(**given))
    assert problem in found


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("No space left on device", "Make room"),
        ("open /etc/postfix/main.cf: Permission denied", "Run: chmod 755 /etc/postfix"),
        ("create file maildrop/1.2: Permission denied", "NoNewPrivileges and DynamicUser, or let it send by SMTP"),
        ("create file maildrop/1.2: Permission denied", "backup, run: postfix set-permissions."),
        ("create file maildrop/1.2: Read-only file system", "ReadWritePaths=/var/spool/postfix"),
        ("message file too big", "message_size_limit"),
        ("User nobody(65534) is not allowed to submit mail", "authorized_submit_users"),
        ("No recipient addresses found in message header", "without a recipient"),
        ('saving corrupt file "4BC"', "/var/spool/postfix/corrupt"),
    ],
)
def test_mail_that_never_left_is_told_with_its_own_remedy(said: str, remedy: str) -> None:
    (found,) = health.faults(state(not_handed_in=[{"time": NOW - 5, "said": said}]))
    assert said in found and remedy in found


def test_mail_that_waits_for_a_moment_is_no_fault() -> None:
    for reason in ("connect to x[1.2.3.4]:465: Connection refused", "450 what nobody knows", "554 5.7.99 new"):
        assert health.faults(state(queue=queue(reason, oldest=60))) == []


# --- what was lost ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lost",
    [
        mail(),
        mail(UNKNOWN, "5.0.0"),
        mail("", "", to="", status="expired"),
        mail("connect to x[1.2.3.4]:465: Connection timed out", "4.4.1", status="expired"),
        # Itself a reason that passes.
        mail("host x[1.2.3.4] said: 552 5.3.4 too large (in reply to end of DATA command)", "5.3.4"),
        # A mistyped alias, one's own address, and an alias that the log names.
        mail(NO_SUCH_USER.format("5.1.1 "), "5.1.1", to="You@Example.com"),
        mail(NO_SUCH_USER.format(""), "5.0.0", to="casey@fastmail.com"),
        mail(NO_SUCH_USER.format("5.1.1 "), "5.1.1", orig_to="root"),
        # The sender is refused, whatever the address.
        mail("host x[1.2.3.4] said: 550 5.1.8 Sender unknown (in reply to RCPT TO command)", "5.1.8"),
        mail("host x[1.2.3.4] said: 550 5.1.7 Bad sender (in reply to RCPT TO command)", "5.1.7"),
        mail("host x[1.2.3.4] said: 550 5.1.0 Sender rejected (in reply to RCPT TO command)", "5.1.0"),
        mail("host x[1.2.3.4] said: 553 5.7.1 <v@x>: Sender address rejected: not owned (in reply to RCPT TO command)"),
        mail("host x[1.2.3.4] said: 550 5.1.1 who are you? (in reply to MAIL FROM command)", "5.1.1"),
        mail("host x[1.2.3.4] said: 550 Not you (in reply to MAIL FROM command)", "5.0.0"),
        # The account's own mailbox may be the one that is full.
        mail("host x[1.2.3.4] said: 550 5.2.2 Mailbox full (in reply to end of DATA command)", "5.2.2"),
        mail("host x[1.2.3.4] said: 552 5.2.2 Mailbox full (in reply to MAIL FROM command)", "5.2.2"),
        mail("host x[1.2.3.4] said: 550 5.2.0 Not now (in reply to RCPT TO command)", "5.2.0"),
        mail("host x[1.2.3.4] said: 554 No relaying (in reply to RCPT TO command)", "5.0.0"),
        # The provider itself has a wrong name.
        mail(
            "Host or domain name not found. Name service error for name=smtp.typo.test type=A: Host not found", "5.4.4"
        ),
        # Typed once, but the sender was not told.
        mail(NO_SUCH_USER.format("5.1.1 "), "5.1.1", told=False),
    ],
)
def test_a_lost_mail_is_a_fault(lost: dict[str, Any]) -> None:
    (found,) = faults(lost)
    assert found.startswith("1 mail ") and "given up 1 min ago" in found
    assert lost["said"] in found and found.endswith("send anew what still matters.")


@pytest.mark.parametrize(
    "lost",
    [
        *(
            mail(NO_SUCH_USER.format(f"{code} "), code)
            for code in ("5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.2.2", "5.4.4")
        ),
        mail(NO_SUCH_USER.format(""), "5.0.0"),
        mail("host x[1.2.3.4] said: 550-No such user 550 here (in reply to RCPT TO command)", "5.0.0"),
        # Postfix itself.
        mail("bad address syntax", "5.1.3"),
        mail("unknown user", "5.1.1"),
    ],
)
def test_an_address_that_was_typed_once_is_no_fault(lost: dict[str, Any]) -> None:
    assert faults(lost) == []
    assert faults(lost, mail(**{**lost, "id": "BBBBBB", "to": "other@else.example"})) == []
    # Again and again is a program.
    assert "2 mails to typed@else.example were given up" in "".join(faults(lost, mail(**{**lost, "id": "BBBBBB"})))


def test_without_knowing_who_gets_mail_every_loss_is_a_fault() -> None:
    assert len(health.losses([mail(NO_SUCH_USER.format("5.1.1 "), "5.1.1")], None, None)) == 1


def test_a_loss_is_told_with_number_recipients_times_reason_and_remedy() -> None:
    lost = [mail(id=f"AAAAA{number}", to=f"r{number}@x.test", time=NOW - 60 * number) for number in range(1, 6)]
    (found,) = faults(*lost)
    assert found.startswith(
        "5 mails to r1@x.test, r2@x.test, r3@x.test and 2 more were given up, the first 5 min ago, the last 1 min ago: "
        + FOREIGN_FROM
    )
    failure = health.explained(FOREIGN_FROM, "fastmail")
    assert f"{failure['cause']} {failure['remedy']}" in found


def test_a_lost_notice_is_told_with_the_mail_that_it_was_about() -> None:
    (found,) = faults(mail(UNKNOWN, "5.0.0", told=False, notice="501 Invalid MAIL FROM address provided"))
    assert "to typed@else.example was given up" in found and UNKNOWN in found
    assert "The sender was not told, because the notice was refused, too: 501 Invalid MAIL FROM" in found


def test_losses_for_several_reasons_are_several_faults() -> None:
    assert len(faults(mail(), mail(UNKNOWN, "5.0.0", id="BBBBBB"))) == 2


# --- words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("said: 550 5.1.99 new words", "recipient", "refuses the recipient"),
        ("said: 550 5.1.8 new words", "sender", "refuses the sender"),
        ("said: 552-5.2.2 new words", "recipient", "mailbox"),
        ("said: 552 5.3.4 new words", "size", "larger"),
        ("said: 550 5.4.1 new words", "recipient", "no way"),
        ("said: 550 5.6.0 new words", "content", "what is in the mail"),
        ("said: 550 #5.7.42 new words", "policy", "rules"),
        ("said: 451 4.7.1 new words", "temporary", "for now"),
        # Postfix goes by the first code: this one was given up, that one was not.
        ("said: 550 4.7.1 new words", "policy", "for good"),
        ("said: 450-5.7.1 new words", "temporary", "for now"),
        ("535 5.7.1 new words", "login", "refuses the login"),
        ("535 new words", "login", "refuses the login"),
        ("said: 530 5.7.0 new words (in reply to MAIL FROM command)", "configuration", "wants a login"),
        ("host x[1.2.3.4] refused to talk to me: 421 new words", "temporary", "for now"),
        ("452 new words", "temporary", "for now"),
        ("said: 550 new words (in reply to MAIL FROM command)", "sender", "refuses the sender"),
        ("said: 550 5.7.1 new words (in reply to MAIL FROM command)", "policy", "rules"),
        ("said: 550 5.1.1 new words (in reply to MAIL FROM command)", "sender", "refuses the sender"),
        ("said: 553 new words (in reply to RCPT TO command)", "recipient", "refuses the recipient"),
        ("said: 552 new words (in reply to end of DATA command)", "size", "or the recipient's mailbox is full"),
        ("host x[1.2.3.4] refused to talk to me: 554 new words", "policy", "for good"),
        ("said: 503 5.5.1 new words (in reply to MAIL FROM command)", "configuration", "Postfix on this host says"),
    ],
)
def test_a_reply_without_an_entry_is_explained_by_its_code(text: str, kind: str, words: str) -> None:
    found = health.explained(text, "fastmail")
    assert words in found["cause"] and found["remedy"] and "key" not in found
    assert found["kind"] == kind and found["code"] in text
    # It is no more than it is said to be, and decides nothing.
    assert f"Only the code {found['code']} says so" in found["cause"]
    assert health.faults(state(queue=queue(text, oldest=60))) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "599 42",
        "message size 550 exceeds",
        "250 2.0.0 Ok",
        "lost 554 packets",
        "from 10.5.7.1 and 5.7.1.2",
        "5.9.9 a class that there is not",
    ],
)
def test_a_reply_without_a_code_is_shown_as_it_is(text: str) -> None:
    assert health.explained(text, None) == {}


def test_what_a_provider_says_is_not_of_an_account_whose_server_is_called_by_a_part_of_its_name() -> None:
    accounts = {"mail": ("hub", "hub"), "": ("", "fastmail")}
    assert "account" not in health.explained(WRONG_PASSWORD, accounts)
    assert health.explained("connect to mail[192.168.1.5]:25: Connection refused", accounts)["account"] == "hub"


def test_nothing_is_told_twice() -> None:
    found = state(queue=queue(WRONG_PASSWORD, oldest=901))
    told = health.told(found, health.faults(found))
    assert len(told) == 2 and told[0].startswith(f"1 waiting: {WRONG_PASSWORD} Fastmail refused the login")
    assert told[1] == "Mail has waited for 15 min."


@pytest.mark.parametrize(("seconds", "said"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (200000, "2 days")])
def test_times_are_said_as_people_say_them(seconds: int, said: str) -> None:
    assert system.span(seconds) == said
