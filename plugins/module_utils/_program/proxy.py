"""The way of Postfix, which knows only passwords, to a server that wants a token: `smarthost proxy`.

Postfix starts it for each connection to a port on loopback (`spawn`), as a user of its own, and shows it a secret of
this host, with the account as the user name. It logs in at the provider and then hands on what either side says. It
never writes a token anywhere.
"""

from __future__ import annotations

import base64
import hmac
import os
import select
import smtplib
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._program import login, system, tokens

# Postfix asks for less, and keeps a connection no longer.
LINE, SILENT_SECONDS = 2048, 330
# What any provider has that wants tokens.
_FEATURES = ("PIPELINING", "SIZE", "8BITMIME", "ENHANCEDSTATUSCODES", "AUTH PLAIN")

Accounts = Mapping[str, Mapping[str, Any]]


def main() -> int:
    """Serve the connection that this was started with."""
    nothing = os.open(os.devnull, os.O_RDWR)
    client = socket.socket(fileno=os.dup(0))
    # Whatever went wrong, it would be said to Postfix.
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    with client:
        try:
            serve(client, system.settings(configuration.OAUTH))
        except OSError:
            return 1
    return 0


def serve(client: socket.socket, accounts: Accounts) -> None:
    """One connection, from the greeting to its end."""
    client.settimeout(SILENT_SECONDS)
    _say(client, "220 localhost ESMTP")
    upstream = _let_in(client, accounts)
    if upstream:
        try:
            _hand_on(client, upstream.sock)
        finally:
            upstream.close()


def _say(client: socket.socket, reply: str) -> None:
    line = " ".join(reply.split())
    client.sendall(line.encode("ascii", "replace")[:500] + b"\r\n")


def _let_in(client: socket.socket, accounts: Accounts) -> smtplib.SMTP | None:
    """Speak with Postfix until it has logged in; the session at the provider, if it has."""
    with client.makefile("rb") as commands:
        while True:
            line = commands.readline(LINE)
            if not line.endswith(b"\n"):
                return None
            verb, _space, rest = line.decode("ascii", "replace").strip().partition(" ")
            verb = verb.upper()
            if verb == "AUTH":
                reply, upstream = _log_in(rest, accounts)
                _say(client, reply)
                if upstream:
                    return upstream
            elif verb in ("EHLO", "HELO"):
                client.sendall(
                    "".join(f"250-{text}\r\n" for text in ("localhost", *_FEATURES[:-1])).encode()
                    + f"250 {_FEATURES[-1]}\r\n".encode()
                )
            elif verb == "QUIT":
                _say(client, "221 2.0.0 Bye")
                return None
            else:
                _say(client, "250 2.0.0 Ok" if verb in ("NOOP", "RSET") else "530 5.7.0 Log in first")


def _log_in(given: str, accounts: Accounts) -> tuple[str, smtplib.SMTP | None]:
    """The provider's reply to the login, or why there is none; the session there, if that is a yes."""
    account = _known(given, accounts)
    if account is None:
        return "535 5.7.8 This is not the secret of this host's Postfix", None
    try:
        upstream = login.connect(account)
    except login.Ended as end:
        code = "454 4.7.5" if end.outcome.verdict == login.REFUSED else tokens.AWAY
        return f"{code} {account['host']}: {end.outcome.step}: {end.outcome.said}", None
    try:
        reply = login.reply_to_token(upstream, account)
    except login.Ended as end:
        reply = f"{'535 5.7.8' if end.outcome.verdict == login.REFUSED else '454 4.7.0'} {end.outcome.said}"
    except (smtplib.SMTPException, OSError) as error:
        reply = f"{tokens.AWAY} {account['host']}: logging in: {error}"
    if reply.startswith("235"):
        return reply, upstream
    upstream.close()
    return reply, None


def _known(given: str, accounts: Accounts) -> Mapping[str, Any] | None:
    """The account that Postfix logs in for; None for who does not know the secret."""
    secret, found = tokens.local_secret(), None
    for name, account in accounts.items():
        shown = f"\0{name or tokens.USER}\0{secret}".encode()
        if secret and hmac.compare_digest(given.encode(), b"PLAIN " + base64.b64encode(shown)):
            found = account
    return found


def _hand_on(client: socket.socket, upstream: Any) -> None:
    """What either side says, until one of them ends."""
    # Not to wait for the rest of what is no text, such as a new ticket for the next session.
    upstream.setblocking(False)
    ends = {client: upstream, upstream: client}
    while True:
        ready = [upstream] if upstream.pending() else select.select([client, upstream], [], [], SILENT_SECONDS)[0]
        if not ready:
            return
        for source in ready:
            try:
                data = source.recv(65536)
            except ssl.SSLWantReadError:
                continue
            if not data:
                return
            ends[source].settimeout(SILENT_SECONDS)
            ends[source].sendall(data)
            upstream.setblocking(False)
