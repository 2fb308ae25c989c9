"""The login at a provider: how its replies are told."""

from __future__ import annotations

import smtplib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ansible_collections.homelab.mail.plugins.module_utils._program import diagnosis, login

EHLO = b"250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n"


def account(port: int = 465) -> dict[str, Any]:
    """An account at a server on this machine."""
    return {
        "provider": "custom",
        "host": "127.0.0.1",
        "port": port,
        "tls": "starttls",
        "tls_security_level": "encrypt",
        "ca_file": "",
        "helo": "nas.lan",
        "username": "casey",
        "password": "q7w2e9r4t6y1u8i3",
        "sender": "casey@example.net",
    }


@contextmanager
def server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server for one connection; its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as connection:
                talk(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)


def breaks_off_before_the_greeting(_connection: socket.socket) -> None:
    pass


def breaks_off_after_ehlo(connection: socket.socket) -> None:
    connection.sendall(b"220 x\r\n")
    connection.recv(1000)
    connection.sendall(EHLO)
    connection.recv(1000)


@pytest.mark.parametrize(
    ("talk", "key"),
    [(breaks_off_before_the_greeting, "tls-no-greeting"), (breaks_off_after_ehlo, "connection-lost")],
)
def test_a_broken_connection_is_explained_by_where_it_broke(talk: Callable[[socket.socket], None], key: str) -> None:
    with server(talk) as port:
        outcome = login.try_login(account(port))
    assert outcome.verdict == login.UNDECIDED
    failure = diagnosis.explain(outcome.said, "custom")
    assert failure and failure.key == key


def test_a_refused_connection_is_told_without_numbers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    outcome = login.try_login(account(port))
    assert outcome.said == "Connection refused"


def test_without_a_ca_bundle_nobody_is_connected_to_and_that_is_said() -> None:
    outcome = login.try_login({**account(), "tls_security_level": "secure", "ca_file": "/etc/nowhere.pem"})
    assert outcome == login.Outcome(
        login.UNDECIDED, "reading the CA bundle /etc/nowhere.pem", "No such file or directory"
    )


def test_a_reply_of_several_lines_is_one_sentence() -> None:
    reply = b"5.7.9 Application-specific password required. For more information, go to\n5.7.9  https://example.net/"
    told = "534 5.7.9 Application-specific password required. For more information, go to https://example.net/"
    assert login._text(534, reply) == told


def test_no_password_hides_nothing() -> None:
    outcome = login.Outcome(login.UNDECIDED, "looking the login up", "no login for [smtp.example.net]:465")
    assert "no login for [smtp.example.net]:465" in login.sentence(outcome, {**account(), "password": ""})


@pytest.mark.parametrize(
    ("step", "said", "told"),
    [
        ("logging in", "535 no", "127.0.0.1 refused the login: 535 no."),
        ("sending as casey@example.net", "553 no", "127.0.0.1 refused the sender casey@example.net: 553 no."),
        ("asking for TLS", "454 no", "127.0.0.1 did not begin TLS: 454 no."),
        ("verifying the certificate of 127.0.0.1", "no", "the certificate of 127.0.0.1 could not be verified: no."),
        ("starting TLS with 127.0.0.1 port 465", "no", "TLS with 127.0.0.1 port 465 failed: no."),
        ("connecting to 127.0.0.1 port 465", "554 no", "127.0.0.1 refused the connection: 554 no."),
    ],
)
def test_a_refusal_is_told_by_what_was_refused(step: str, said: str, told: str) -> None:
    assert login.sentence(login.Outcome(login.REFUSED, step, said), account()).startswith(told)


def test_a_server_without_a_mechanism_that_takes_a_password_is_refused() -> None:
    def offers_others(connection: socket.socket) -> None:
        connection.sendall(b"220 x\r\n")
        connection.recv(1000)
        connection.sendall(b"250-x\r\n250 AUTH CRAM-MD5 XOAUTH2\r\n")
        connection.recv(1000)

    session = smtplib.SMTP()
    with server(offers_others) as port:
        session.connect("127.0.0.1", port)
        session.ehlo()
        with pytest.raises(login.Ended) as end:
            login._authenticate(session, account())
        session.close()
    assert end.value.outcome == login.Outcome(login.REFUSED, "logging in", "the server offers only: CRAM-MD5 XOAUTH2")
