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
# With what any provider has that wants tokens.
_HELLO = "250-localhost\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN"
_OK = "250 2.0.0 Ok"
_REPLIES = {"EHLO": _HELLO, "HELO": _OK, "NOOP": _OK, "RSET": _OK, "QUIT": "221 2.0.0 Bye"}

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
    client.sendall(reply.encode("ascii", "replace") + b"\r\n")


def _let_in(client: socket.socket, accounts: Accounts) -> smtplib.SMTP | None:
    """Speak with Postfix until it has logged in; the session at the provider, if it has."""
    with client.makefile("rb") as commands:
        for line in iter(lambda: commands.readline(LINE), b""):
            verb, _space, rest = line.decode("ascii", "replace").strip().partition(" ")
            reply, upstream = _REPLIES.get(verb.upper(), "530 5.7.0 Log in first"), None
            if verb.upper() == "AUTH":
                reply, upstream = _log_in(rest, accounts)
            _say(client, reply)
            if upstream or verb.upper() == "QUIT":
                return upstream
    return None


def _log_in(given: str, accounts: Accounts) -> tuple[str, smtplib.SMTP | None]:
    """The provider's reply to the login, or why there is none; the session there, if that is a yes."""
    account = _known(given, accounts)
    if account is None:
        return "535 5.7.8 This is not the secret of this host's Postfix", None
    upstream = None
    try:
        upstream = login.connect(account)
        reply = login.reply_to_token(upstream, account)
    except login.Ended as end:
        where = f"{account['host']}: {end.outcome.step}: {end.outcome.said}"
        refusal = f"535 5.7.8 {end.outcome.said}" if upstream else f"454 4.7.5 {where}"
        reply = refusal if end.outcome.verdict == login.REFUSED else f"{tokens.AWAY} {where}"
    except (smtplib.SMTPException, OSError) as error:
        reply = f"{tokens.AWAY} {account['host']}: logging in: {error}"
    said = " ".join(reply.split())[:450]
    if said.startswith("235"):
        return said, upstream
    if upstream:
        upstream.close()
    # All accounts have this address.
    return f"{said} ({account['id']})" if account.get("id") else said, None


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
