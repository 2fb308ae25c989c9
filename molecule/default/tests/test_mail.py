"""The way of a mail: what arrives at the provider, and what waits when something is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from conftest import Mail, proves
from testinfra.host import Host

from workshop.lab.provider import Provider

Send = Callable[..., Mail]


@proves("delivery")
def test_mail_to_root_arrives_authenticated_over_verified_tls(
    send: Send, provider: Provider, variables: dict[str, object]
) -> None:
    sent = send()
    mail = sent.arrived(provider)
    assert mail["Return-Path"] == "<casey@fastmail.com>"
    assert mail["From"].addresses[0].addr_spec == "casey@fastmail.com"
    assert mail["X-Original-To"] == "casey@fastmail.com"
    received = " ".join(mail["Received"].split())
    assert "(Authenticated sender: casey@fastmail.com)" in received
    assert "using TLSv1.3" in received
    port = variables.get("smarthost_port", 465)
    assert "Verified TLS connection established to smtp.fastmail.com[" in sent.log()
    assert f"]:{port}," in sent.log() and "status=sent" in sent.log()


@pytest.mark.parametrize("user", ["www-data", "nobody", "nobody-of-this-name"])
def test_mail_to_any_local_user_reaches_the_person(send: Send, provider: Provider, user: str) -> None:
    assert send(to=user).arrived(provider)["X-Original-To"] == "casey@fastmail.com"


def test_mail_to_a_user_with_an_alias_goes_there(send: Send, provider: Provider) -> None:
    assert send(to="ups").arrived(provider)["X-Original-To"] == "alerts@casey.test"


@pytest.mark.parametrize(
    "sender",
    ["root", "root@localhost", "backup@{hostname}", "backup@{hostname}.local", "backup@localhost.localdomain"],
)
def test_every_name_of_the_host_is_rewritten(send: Send, provider: Provider, hostname: str, sender: str) -> None:
    sender = sender.format(hostname=hostname)
    mail = send(sender=sender, headers=f'From: "Backup" <{sender}>\nReply-To: friend@elsewhere.test').arrived(provider)
    assert mail["Return-Path"] == "<casey@fastmail.com>"
    assert str(mail["From"]) == "Backup <casey@fastmail.com>"
    assert mail["Reply-To"] == "friend@elsewhere.test"


def test_a_sender_with_an_entry_gets_its_own_address(send: Send, provider: Provider) -> None:
    mail = send(sender="nut", headers="From: nut").arrived(provider)
    assert mail["Return-Path"] == "<alerts@casey.test>"
    assert mail["From"] == "alerts@casey.test"


def test_recipients_on_the_internet_are_never_rewritten(send: Send, provider: Provider) -> None:
    # The last one is what mail of this host leaves as, and an address that one writes to as well.
    to = "friend@elsewhere.test, alerts@casey.test, casey@fastmail.com"
    mail = send(to="friend@elsewhere.test", headers=f"To: {to}\nCc: {to}").arrived(provider)
    assert mail["X-Original-To"] == "friend@elsewhere.test"
    assert mail["To"] == mail["Cc"] == to


def test_a_private_recipient_is_shown_as_the_account(send: Send, provider: Provider, hostname: str) -> None:
    mail = send(to="friend@elsewhere.test", headers=f"To: friend@elsewhere.test\nCc: root@{hostname}, nut@{hostname}")
    assert mail.arrived(provider)["Cc"] == "casey@fastmail.com, alerts@casey.test"


# What programs put behind the @ that can be an address of no account.
PRIVATE = (
    "root@3f2a1b9c",
    "root@web.nas.lan",
    "scan@printer.lan",
    "root@[127.0.0.1]",
    "ups@my_nas",
    "root@old.home.arpa",
    "root@my_nas.casey.test",
    "scan@192.168.1.5",
)


@pytest.mark.parametrize("address", PRIVATE)
def test_a_sender_that_can_belong_to_no_account_becomes_the_accounts(
    send: Send, provider: Provider, address: str
) -> None:
    mail = send(sender=address, headers=f'From: "Jörg, Müller" <{address}>\nTo: root').arrived(provider)
    assert mail["Return-Path"] == "<casey@fastmail.com>"
    assert str(mail["From"]) == '"Jörg, Müller" <casey@fastmail.com>'


@pytest.mark.parametrize("address", PRIVATE)
def test_mail_to_a_private_address_reaches_the_person_and_not_the_provider(
    send: Send, provider: Provider, address: str
) -> None:
    mail = send(to=f"'{address}'", headers="To: root").arrived(provider)
    assert mail["X-Original-To"] == ("alerts@casey.test" if address.startswith("ups") else "casey@fastmail.com")


def test_a_mail_with_a_subject_in_utf_8_arrives_as_it_is(send: Send, provider: Provider) -> None:
    mail = send(headers="Subject: Prüfung\nFrom: Jörg <root>\nTo: root").arrived(provider)
    assert "Prüfung" in mail.as_bytes().decode("utf-8", errors="replace") or "Prüfung" in str(mail["Subject"])


def test_a_mail_to_several_users_of_one_person_arrives_once(host: Host, provider: Provider) -> None:
    mail = Mail(host, to="root backup www-data", headers="To: root")
    mail.arrived(provider)
    # One to each would have come together.
    assert provider.subjects().count(mail.subject) == 1


@pytest.mark.parametrize("sender", ["From:", "From: <>", "From: NAS <>"])
def test_a_from_without_an_address_gets_the_accounts(send: Send, provider: Provider, sender: str) -> None:
    mail = send(headers=f"{sender}\nTo: root").arrived(provider)
    assert mail["From"].addresses[0].addr_spec == "casey@fastmail.com"


def test_a_mail_with_the_null_sender_arrives(send: Send, provider: Provider) -> None:
    mail = send(sender="''", headers="To: root").arrived(provider)
    assert mail["Return-Path"] == "<>"
    assert mail["From"].addresses[0].addr_spec == "casey@fastmail.com"


def test_an_app_that_speaks_smtp_needs_no_password(host: Host, provider: Provider, name: str, hostname: str) -> None:
    subject = f"From an app on {name}"
    program = f"""
import smtplib
with smtplib.SMTP("127.0.0.1") as server:
    server.sendmail("app@{hostname}", ["root@localhost"], "From: app@{hostname}\\nSubject: {subject}\\n\\nx")
"""
    host.run_expect([0], f"python3 -c '{program}'")
    mail = provider.wait_for_mail(lambda mail: mail["Subject"] == subject)
    assert mail["From"] == "casey@fastmail.com"


def test_too_large_a_mail_is_refused_at_once(host: Host) -> None:
    done = host.run("head -c 60000000 /dev/zero | base64 | /usr/sbin/sendmail root")
    assert done.rc != 0
    assert "File too large" in done.stderr or "too big" in done.stderr


def test_untrusted_certificate_keeps_mail_and_password_here(send: Send, provider: Provider) -> None:
    _waits_without_a_login(send, provider, lambda: provider.use_certificate("untrusted"), "not (trusted|verified)")


def test_certificate_for_another_name_keeps_mail_and_password_here(send: Send, provider: Provider) -> None:
    _waits_without_a_login(send, provider, lambda: provider.use_certificate("wrong-name"), "not (trusted|verified)")


def test_expired_certificate_keeps_mail_and_password_here(send: Send, provider: Provider) -> None:
    _waits_without_a_login(send, provider, lambda: provider.use_certificate("expired"), "not (trusted|verified)")


def test_provider_without_tls_keeps_mail_and_password_here(
    send: Send, provider: Provider, variables: dict[str, object]
) -> None:
    if variables.get("smarthost_port") == 587:
        _waits_without_a_login(
            send, provider, lambda: provider.offer_tls(False), "TLS is required, but was not offered"
        )
    else:
        _waits_without_a_login(send, provider, lambda: provider.offer_tls(False), "Cannot start TLS|handshake")


def test_wrong_password_keeps_mail_in_the_queue(send: Send, provider: Provider) -> None:
    provider.set_password("z9z9z9z9z9z9z9z9")
    sent = send()
    assert "535 5.7.8" in sent.reason_it_waits()
    provider.reset()
    sent.host.run_expect([0], "postqueue -f")
    assert sent.arrived(provider)


def _waits_without_a_login(send: Send, provider: Provider, spoil: Callable[[], None], reason: str) -> None:
    """Mail waits, the provider has seen no AUTH, and the mail leaves when the provider is well again."""
    marker = provider.marker()
    spoil()
    sent = send()
    assert re.search(reason, sent.reason_it_waits())
    log = provider.wait_for_log("disconnect from", marker)
    assert "sasl_method" not in log and "auth=" not in log, log
    provider.reset()
    sent.host.run_expect([0], "postqueue -f")
    assert sent.arrived(provider)
