"""Looks for test mails in the inbox of an account, over IMAP and on the controller; reads nothing else."""

from __future__ import annotations

import imaplib
import re
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.homelab.mail.plugins.plugin_utils import authentication

# For each answer of the server, and between two looks.
ANSWER_SECONDS, PAUSE_SECONDS = 30, 3
_HEADERS = "(INTERNALDATE BODY.PEEK[HEADER.FIELDS (SUBJECT FROM RECEIVED AUTHENTICATION-RESULTS)])"
_JUNK = re.compile(r"\b(junk|spam|bulk)", re.IGNORECASE)
# Some providers keep a copy of what was sent.
_NOT_RECEIVED = re.compile(r"\\(sent|all|drafts|noselect|nonexistent)\b|\b(sent|gesendet)", re.IGNORECASE)


def watch(
    inbox: Mapping[str, Any], tokens: list[str], minutes: float, tidy: bool, tell: Callable[[str], None]
) -> tuple[dict[str, dict[str, Any]], str]:
    """The mails with these in their subjects, and why it is not known of the others whether they are there."""
    found: dict[str, dict[str, Any]] = {}
    end, told = time.monotonic() + 60 * minutes, -1
    if "said" in inbox:
        return found, str(inbox["said"])
    try:
        context = ssl.create_default_context()
        with imaplib.IMAP4_SSL(inbox["host"], inbox["port"], ssl_context=context, timeout=ANSWER_SECONDS) as imap:
            imap.authenticate("PLAIN", lambda _: f"\0{inbox['username']}\0{inbox['password']}".encode())
            # Many say more to who has logged in.
            can = imap.capability()[1][0].decode().upper().split()
            while True:
                closed = _look(imap, can, tokens, found, inbox["provider"], tidy)
                if told < len(found):
                    told = len(found)
                    tell(f"{told} of {len(tokens)} mails are in the mailbox {inbox['username']}.")
                if told == len(tokens) or time.monotonic() >= end:
                    said = f"{inbox['host']} does not open {', '.join(closed)}: it may be there."
                    return found, said if closed else ""
                time.sleep(max(0, min(PAUSE_SECONDS, end - time.monotonic())))
    except (OSError, OverflowError, imaplib.IMAP4.error) as error:
        return found, _words(error, inbox)


def _words(error: Exception, inbox: Mapping[str, Any]) -> str:
    """Why the mailbox could not be read."""
    text = " ".join(str(error).replace(inbox["password"], "********").split()).rstrip(".")
    if isinstance(error, imaplib.IMAP4.error) and not isinstance(error, imaplib.IMAP4.abort):
        return f"{inbox['host']} did not let {inbox['username']} read: {text}. {inbox['help']}".rstrip()
    return f"{inbox['host']} port {inbox['port']} could not be read: {text}."


def _folders(imap: imaplib.IMAP4_SSL, can: list[str]) -> list[tuple[bytes, str, bool]]:
    """Each folder, as IMAP calls it and as people do, and whether it is for spam: the inbox, spam, the others."""
    found = [(b'"INBOX"', "INBOX", False)]
    # Without being asked, not every server says what a folder is for.
    for line in imap.list(pattern="* RETURN (SPECIAL-USE)" if {"SPECIAL-USE", "LIST-EXTENDED"} <= {*can} else "*")[1]:
        head, literal = line if isinstance(line, tuple) else (line or b"", b"")
        if shape := re.match(rb'\((.*?)\) (?:NIL|"(?:\\.|[^"\\])*") "?(.*?)"?$', head):
            name = re.sub(rb'(["\\])', rb"\\\1", literal) or shape[2]
            # Modified UTF-7.
            parts = re.split("&([^-]*)-", name.decode(errors="replace"))
            codes = [f"+{code.replace(',', '/')}-".encode() if code else b"&" for code in parts[1::2]]
            parts[1::2] = [code.decode("utf-7", "replace") for code in codes]
            about = f"{shape[1].decode()} {(shown := ''.join(parts))}"
            if shown.upper() != "INBOX" and not _NOT_RECEIVED.search(about):
                found.append((b'"' + name + b'"', shown, bool(_JUNK.search(about))))
    return found[:1] + sorted(found[1:], key=lambda folder: not folder[2])


def _look(
    imap: imaplib.IMAP4_SSL, can: list[str], tokens: list[str], found: dict[str, Any], provider: str, tidy: bool
) -> list[str]:
    """Look into every folder for what is still missing; those that cannot be opened."""
    closed = []
    for name, shown, junk in _folders(imap, can):
        wanted = [token for token in tokens if token not in found]
        if not wanted:
            break
        # Read-only (EXAMINE): nothing there becomes read.
        if imap.select(name, readonly=True)[0] != "OK":  # type: ignore[arg-type]
            closed.append(shown)
            continue
        subjects = " ".join(f"OR SUBJECT {token}" for token in wanted[1:])
        status, [uids] = imap.uid("SEARCH", f"{subjects} SUBJECT {wanted[0]}".strip())
        for uid in (uids or b"").decode().split() if status == "OK" else ():
            parts = [part for part in imap.uid("FETCH", uid, _HEADERS)[1] if part]
            header = b"".join(part[1] for part in parts if isinstance(part, tuple))
            outside = b" ".join(part[0] if isinstance(part, tuple) else part for part in parts)
            arrived = imaplib.Internaldate2tuple(outside)
            for token in (token for token in wanted if token.encode() in header and token not in found):
                found[token] = {
                    "folder": shown,
                    "junk": junk,
                    "arrived": time.mktime(arrived) if arrived else None,
                    "stays": tidy,
                    **authentication.judged(header, provider),
                }
                if tidy and "UIDPLUS" in can:
                    found[token]["stays"] = not _deleted(imap, name, uid)
    return closed


def _deleted(imap: imaplib.IMAP4_SSL, name: bytes, uid: str) -> bool:
    """Delete this one mail; whether it is gone."""
    imap.select(name)  # type: ignore[arg-type]
    imap.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)")
    imap.uid("EXPUNGE", uid)
    gone = not imap.uid("SEARCH", "UID", uid)[1][0]
    imap.select(name, readonly=True)  # type: ignore[arg-type]
    return gone
