"""The login at a mail provider, tried as Postfix would do it, without sending a mail.

Standard library only: runs on the managed host, so that name service, firewall and certificates
are the ones that mail will meet.
"""

from __future__ import annotations

import base64
import re
import smtplib
import socket
import ssl
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ansible_collections.homelab.mail.plugins.module_utils._program import diagnosis, oauth

SECONDS = 20

ACCEPTED = "accepted"
REFUSED = "refused"
# The provider has not said yes or no: not reached, or it asks to come back later.
UNDECIDED = "undecided"


class Outcome(NamedTuple):
    """How far the login came: the verdict, the step that ended it, and what was said there."""

    verdict: str
    step: str = ""
    said: str = ""


class Ended(Exception):
    """The login ends here."""

    def __init__(self, verdict: str, step: str, said: str) -> None:
        super().__init__(said)
        self.outcome = Outcome(verdict, step, said)


def try_login(account: Mapping[str, Any]) -> Outcome:
    """Connect, verify, log in and announce the sender; then leave without a mail.

    The account has host, port, tls (implicit, starttls or none), tls_security_level, ca_file, helo, username, password
    and sender; and recipient, who is announced as well if there is no login.
    """
    step = "logging in"
    try:
        session = connect(account)
        try:
            if account["username"]:
                _authenticate(session, account)
            step = f"sending as {account['sender']}"
            _announce(session, step, "MAIL FROM", account["sender"])
            if account.get("recipient"):
                # A relay that goes by addresses says here whom it serves.
                step = f"writing to {account['recipient']}"
                _announce(session, step, "RCPT TO", account["recipient"])
            session.docmd("RSET")
        finally:
            _leave(session)
    except Ended as end:
        return end.outcome
    except (smtplib.SMTPException, OSError):
        return Outcome(UNDECIDED, step, _lost(account))
    return Outcome(ACCEPTED)


def reach(account: Mapping[str, Any]) -> Outcome:
    """Connect, verify and be greeted, and have the token that a login would need; then leave without one."""
    try:
        _leave(connect(account))
        if account.get("oauth"):
            _token(account)
    except Ended as end:
        return end.outcome
    return Outcome(ACCEPTED)


def answers(account: Mapping[str, Any]) -> bool:
    """Whether the provider can be reached and greets; no login is made."""
    return reach(account).verdict == ACCEPTED


def _context(account: Mapping[str, Any]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if account["tls_security_level"] == "encrypt":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(account["ca_file"])
    return context


def connect(account: Mapping[str, Any]) -> smtplib.SMTP:
    """A session inside TLS with a server that is the right one; raises Ended."""
    host, port = account["host"], account["port"]
    try:
        context = _context(account) if account["tls"] != "none" else None
    except OSError as error:
        raise Ended(UNDECIDED, f"reading the CA bundle {account['ca_file'] or '(none)'}", _reason(error)) from error
    step = f"connecting to {host} port {port}"
    session: smtplib.SMTP | None = None
    try:
        if account["tls"] == "implicit":
            session = smtplib.SMTP_SSL(host, port, local_hostname=account["helo"], timeout=SECONDS, context=context)
        else:
            session = smtplib.SMTP(host, port, local_hostname=account["helo"], timeout=SECONDS)
        session.ehlo_or_helo_if_needed()
        if account["tls"] == "starttls":
            if not session.has_extn("starttls"):
                raise Ended(REFUSED, "asking for TLS", f"TLS is required, but was not offered by host {host}")
            code, said = session.starttls(context=context)
            if code != 220:
                raise Ended(_verdict(code), "asking for TLS", _text(code, said))
            session.ehlo_or_helo_if_needed()
        return session
    except ssl.SSLCertVerificationError as error:
        raise Ended(REFUSED, f"verifying the certificate of {host}", f"{error.verify_message} ({error})") from error
    except ssl.SSLError as error:
        raise Ended(REFUSED, f"starting TLS with {host} port {port}", str(error)) from error
    except smtplib.SMTPResponseException as error:
        raise Ended(_verdict(error.smtp_code), step, _text(error.smtp_code, error.smtp_error)) from error
    except socket.gaierror as error:
        raise Ended(UNDECIDED, f"looking up {host}", _reason(error)) from error
    except (smtplib.SMTPException, OSError) as error:
        # Before there is a session, the server has not greeted.
        raise Ended(UNDECIDED, step, _lost(account) if session else _reason(error)) from error


def _lost(account: Mapping[str, Any]) -> str:
    # In Postfix' words, because the same means the same.
    return f"lost connection with {account['host']}"


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", "") or error) or type(error).__name__


def _mechanism(session: smtplib.SMTP, known: Iterable[str]) -> str:
    """The first of these ways to log in that the server has."""
    offered = session.esmtp_features.get("auth", "").upper().split()
    for name in known:
        if name in offered:
            return name
    raise Ended(REFUSED, "logging in", f"the server offers only: {' '.join(offered) or 'no login at all'}")


def _authenticate(session: smtplib.SMTP, account: Mapping[str, Any]) -> None:
    if account.get("oauth"):
        answer = reply_to_token(session, account)
        if not answer.startswith("235"):
            raise Ended(_verdict(int(answer.partition(" ")[0])), "logging in", answer)
        return
    username, password = account["username"].encode(), account["password"].encode()
    # Postfix knows no other that takes a password and that main.cf would let it use.
    if _mechanism(session, ("PLAIN", "LOGIN")) == "PLAIN":
        code, said = session.docmd("AUTH", "PLAIN " + _base64(b"\0" + username + b"\0" + password))
    else:
        code, said = session.docmd("AUTH", "LOGIN")
        for answer in (username, password):
            if code == 334:
                code, said = session.docmd(_base64(answer))
    if code != 235:
        raise Ended(_verdict(code), "logging in", _text(code, said))


# How a token is shown (RFC 7628, and what came before it), and the answer to the reason of a refusal.
_BEARER = {
    "XOAUTH2": ("user={username}\1auth=Bearer {token}\1\1", ""),
    "OAUTHBEARER": ("n,a={name},\1host={host}\1port={port}\1auth=Bearer {token}\1\1", "AQ=="),
}


def reply_to_token(session: smtplib.SMTP, account: Mapping[str, Any]) -> str:
    """What the server answers to an access token; raises Ended where there is none."""
    mechanism = _mechanism(session, _BEARER)
    shown, nothing = _BEARER[mechanism]
    name = account["username"].replace("=", "=3D").replace(",", "=2C")
    token, said = "", ""
    # One that the server does not like may have ended early.
    for _attempt in range(2):
        try:
            token, before = _token(account, refused=token), token
        except Ended as end:
            if said and end.outcome.verdict == UNDECIDED:
                break
            raise
        if token == before:
            break
        whole = shown.format(**account, name=name, token=token)
        code, text = session.docmd("AUTH", f"{mechanism} {_base64(whole.encode())}")
        if code == 334:
            # Why not, for programs; the reply for people comes after an answer that says nothing.
            code, text = session.docmd(nothing)
        said = _text(code, text).replace(token, "********")
        if code != 535:
            break
    return said


def _token(account: Mapping[str, Any], refused: str = "") -> str:
    try:
        return oauth.access_token(account, refused=refused)
    except oauth.Ended as error:
        raise Ended(REFUSED, "logging in", str(error)) from None
    except oauth.Away as error:
        raise Ended(UNDECIDED, "logging in", str(error)) from None


def _announce(session: smtplib.SMTP, step: str, command: str, address: str) -> None:
    """Some providers refuse a foreign sender here; others only when they have read the mail."""
    code, said = session.docmd(f"{command}:<{address}>")
    if code not in (250, 251):
        raise Ended(_verdict(code), step, _text(code, said))


def _leave(session: smtplib.SMTP) -> None:
    try:
        session.quit()
    except (smtplib.SMTPException, OSError):
        session.close()


def _verdict(code: int) -> str:
    """A reply that begins with 5 is a no, one with 4 a not now; a broken one (-1) says nothing."""
    return REFUSED if 500 <= code < 600 else UNDECIDED


def _text(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", errors="replace") if isinstance(said, bytes) else said
    first, *others = text.split("\n")
    # Each line of a reply begins with the same code.
    others = [re.sub(r"^[245]\.\d{1,3}\.\d{1,3}\s", "", line) for line in others]
    return f"{code} {' '.join(' '.join([first, *others]).split())}"


def _base64(text: bytes) -> str:
    return base64.b64encode(text).decode("ascii")


# The arguments of a module that tries a login.
_TEXT = {"type": "str", "required": True}
OPTIONS: dict[str, Any] = {
    "id": {"type": "str", "default": ""},
    **dict.fromkeys(("provider", "host", "helo", "username", "sender"), _TEXT),
    "port": {"type": "int", "required": True},
    "tls": {"type": "str", "required": True, "choices": ["implicit", "starttls", "none"]},
    "tls_security_level": {"type": "str", "required": True, "choices": ["secure", "verify", "encrypt", "none"]},
    "ca_file": {"type": "path", "required": True},
    "password": {"type": "str", "default": "", "no_log": True},
    "recipient": {"type": "str", "default": ""},
    "required": {"type": "bool", "default": False},
    "oauth": {
        "type": "dict",
        "options": {
            **dict.fromkeys(("token_url", "device_url", "client_id", "scope"), _TEXT),
            "client_secret": {"type": "str", "default": "", "no_log": True},
        },
    },
}


def of(account: Mapping[str, Any]) -> str:
    """What begins a sentence of a further account."""
    return f"{account['id']}: " if account.get("id") else ""


# The first word of the step that a server ended -> what it did.
_REFUSALS = {
    "logging": "{host} refused the login",
    "sending": "{host} refused the sender {sender}",
    "writing": "{host} refused the recipient {recipient}",
    "asking": "{host} did not begin TLS",
    "verifying": "the certificate of {host} could not be verified",
    "starting": "TLS with {host} port {port} failed",
    "connecting": "{host} refused the connection",
}


def sentence(outcome: Outcome, account: Mapping[str, Any]) -> str:
    """What came of a login that was not accepted, for people: what happened, why, what to do."""
    host, said = account["host"], outcome.said.rstrip(".")
    if account["password"]:
        said = said.replace(account["password"], "********")
    if outcome.verdict == REFUSED:
        what = f"{_REFUSALS[outcome.step.split()[0]].format(**account)}: {said}."
        default = "The old configuration stays."
    else:
        tried = host if account.get("recipient") else f"the login at {host}"
        what = f"{tried} could not be tried ({outcome.step}): {said}."
        default = "Mail waits in the queue until the provider can be reached."
    meaning = diagnosis.meaning(said, account["provider"], account.get("id", ""))
    return f"{what} {meaning.cause} {meaning.remedy}" if meaning else f"{what} {default}"
