"""The lab's provider is as strict as real ones, asked by a client that tries what they refuse."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import LAB

from workshop.lab.host import exec
from workshop.lab.provider import (
    ACCOUNT,
    ALIASES,
    LOGINS_A_MINUTE,
    NAMES,
    OTHER_ACCOUNT,
    OTHER_PASSWORD,
    PASSWORD,
    Provider,
    concurrency,
)

# Runs beside the provider itself, so that what is counted there is its own alone.
CLIENT = """
import json, smtplib, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

def connect(account=None, password=None, name="smtp.fastmail.com", helo="client.test"):
    server = smtplib.SMTP("127.0.0.1", 587, local_hostname=helo)
    server._host = name
    server.starttls(context=context)
    server.ehlo()
    if account:
        server.login(account, password)
    return server

def reply(server, sender, text="", recipient="friend@elsewhere.test"):
    try:
        server.sendmail(sender, [recipient], text or f"From: {sender}\\n\\nx")
    except smtplib.SMTPRecipientsRefused as refused:
        [(code, words)] = refused.recipients.values()
        return f"{code} {words.decode()}"
    except smtplib.SMTPResponseException as refused:
        return f"{refused.smtp_code} {refused.smtp_error.decode()}"
    return "taken"

given = json.load(sys.stdin)
"""
ATTACHED = """\
From: casey@fastmail.com
Subject: Attached
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

It came back.
--b
Content-Type: message/rfc822

From: root@nas.lan
Subject: What came back

x
--b--
"""


def ask(program: str, **given: object) -> Any:
    """What a client prints, as JSON."""
    script = f"{CLIENT}\n{program}"
    done = exec(f"{LAB}-provider", "python3", "-c", script, input=json.dumps({"password": PASSWORD, **given}))
    return json.loads(done.stdout)


def replies(*mails: tuple[str, str], account: str = ACCOUNT, password: str = PASSWORD, helo: str = "nas.lan") -> Any:
    """The reply to each mail (sender of the envelope and text), in one connection that has logged in."""
    program = """
with connect(given["account"], given["password"], helo=given["helo"]) as server:
    print(json.dumps([reply(server, *mail) for mail in given["mails"]]))
"""
    return ask(program, account=account, password=password, helo=helo, mails=mails)


def test_no_smtputf8_is_offered() -> None:
    assert ask("print(json.dumps(connect().has_extn('smtputf8')))") is False


def test_the_right_certificate_is_for_those_alone_who_name_the_server(provider: Provider) -> None:
    program = """
def shown(name):
    with connect(name=name) as server:
        return server.sock.getpeercert(True).decode("latin-1")
print(json.dumps([shown(name) for name in given["names"]]))
"""
    names = [*NAMES, None, "smtp.else.test"]
    *right, none, other = ask(program, names=names)
    for name, certificate in zip(NAMES, right, strict=True):
        assert name in certificate
    assert "smtp.example.org" in none and NAMES[0] not in none
    assert "smtp.example.org" in other and NAMES[0] not in other
    provider.use_certificate("expired")
    assert all(NAMES[0] in certificate for certificate in ask(program, names=names))


@pytest.mark.parametrize("sender", ["root@nas.lan", "root", f'"{ACCOUNT}" <root@nas.lan>', f"{ACCOUNT}, root@nas.lan"])
def test_a_foreign_from_is_refused(sender: str) -> None:
    refused, taken = replies((ACCOUNT, f"From: {sender}\n\nx"), (ACCOUNT, f"From: Casey <{ACCOUNT}>\n\nx"))
    assert (refused, taken) == ("550 5.7.1 Not authorised to send from this header address", "taken")


def test_a_foreign_sender_is_refused() -> None:
    [reply] = replies((OTHER_ACCOUNT, f"From: {ACCOUNT}\n\nx"))
    assert reply.startswith(f"553 5.7.1 <{OTHER_ACCOUNT}>: Sender address rejected: not owned by user {ACCOUNT}")


def test_a_foreign_from_in_an_attached_mail_is_taken(provider: Provider) -> None:
    provider.clear()
    assert replies(("", ATTACHED)) == ["taken"]
    mail = provider.wait_for_mail(lambda mail: mail["Subject"] == "Attached")
    assert (mail.sender, mail.recipient, mail.login) == ("", "friend@elsewhere.test", ACCOUNT)


def test_one_connection_too_many_is_refused() -> None:
    program = """
open = [connect() for _ in range(given["most"])]
try:
    connect()
except smtplib.SMTPConnectError as refused:
    print(json.dumps([refused.smtp_code, refused.smtp_error.decode()]))
"""
    code, words = ask(program, most=concurrency())
    assert code == 421 and "too many connections" in words


def test_a_login_for_each_mail_of_a_burst_is_too_many(provider: Provider) -> None:
    program = """
for number in range(500):
    try:
        # Each ends before the next one begins, and is no longer counted.
        with connect(given["account"], given["password"]):
            pass
    except smtplib.SMTPConnectError:
        continue
    except (smtplib.SMTPResponseException, smtplib.SMTPServerDisconnected) as refused:
        print(json.dumps([number, str(refused)]))
        break
"""
    # What was counted before is forgotten.
    exec(f"{LAB}-provider", "systemctl", "restart", "postfix")
    number, words = ask(program, account=ACCOUNT)
    exec(f"{LAB}-provider", "systemctl", "restart", "postfix")
    assert number >= LOGINS_A_MINUTE / 2 and "too many AUTH commands" in words


def test_another_account_has_other_addresses() -> None:
    mine = (OTHER_ACCOUNT, f"From: {OTHER_ACCOUNT}\n\nx")
    foreign = [(ACCOUNT, f"From: {OTHER_ACCOUNT}\n\nx"), (OTHER_ACCOUNT, f"From: {ACCOUNT}\n\nx")]
    taken, envelope, header = replies(mine, *foreign, account=OTHER_ACCOUNT, password=OTHER_PASSWORD)
    assert taken == "taken"
    assert envelope.startswith("553 5.7.1") and header.startswith("550 5.7.1")


@pytest.mark.parametrize(
    ("step", "reply"),
    [
        ("mail", "550 5.4.5 Daily user sending limit exceeded"),
        ("rcpt", "552 5.2.2 Mailbox full"),
        ("message", "552 5.2.2 Mailbox full"),
    ],
)
def test_a_reply_is_given_until_it_is_taken_back(provider: Provider, step: str, reply: str) -> None:
    mail = (ACCOUNT, "")
    provider.reply(step, reply)
    assert replies(mail, mail) == [reply, reply]
    provider.reply(step, None)
    assert replies(mail) == ["taken"]


def test_bounces_can_be_refused(provider: Provider) -> None:
    provider.refuse_null_sender(True)
    mails = (("", f"From: {ACCOUNT}\n\nx"), (ACCOUNT, ""))
    assert replies(*mails) == ["501 5.1.7 Invalid MAIL FROM address provided", "taken"]
    provider.reset()
    assert replies(*mails) == ["taken", "taken"]


def test_a_name_in_helo_can_be_put_off(provider: Provider) -> None:
    provider.defer_helo("_")
    assert replies((ACCOUNT, ""), helo="my_nas") == ["450 4.7.1 <my_nas>: Helo command rejected: Host not found"]
    assert replies((ACCOUNT, "")) == ["taken"]
    provider.reset()
    assert replies((ACCOUNT, ""), helo="my_nas") == ["taken"]


def test_the_account_can_own_other_addresses(provider: Provider) -> None:
    provider.set_owned(["new@casey.test"])
    taken, envelope = replies(("new@casey.test", ""), (ALIASES[0], "From: new@casey.test\n\nx"))
    assert taken == "taken" and envelope.startswith("553 5.7.1")
    provider.reset()
    [alias] = replies((ALIASES[0], ""))
    assert alias == "taken"
