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
_HEADERS = "BODY.PEEK[HEADER.FIELDS (SUBJECT FROM RECEIVED AUTHENTICATION-RESULTS)]"
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
            imap.capabilities = tuple(imap.capability()[1][0].decode().upper().split())
            while True:
                closed = _look(imap, tokens, found, inbox["provider"], tidy)
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


def _folders(imap: imaplib.IMAP4_SSL) -> list[tuple[str, str, bool]]:
    """Each folder, as IMAP calls it and as people do, and whether it is for spam: the inbox, spam, the others."""
    found = [('"INBOX"', "INBOX", False)]
    # Without being asked, not every server says what a folder is for.
    asked = " RETURN (SPECIAL-USE)" if {"SPECIAL-USE", "LIST-EXTENDED"} <= {*imap.capabilities} else ""
    for line in imap.list(pattern=f"*{asked}")[1]:
        head, literal = line if isinstance(line, tuple) else (line or b"", b"")
        if shape := re.match(rb'\((.*?)\) (?:NIL|"(?:\\.|[^"\\])*") "?(.*?)"?$', head):
            # Modified UTF-7, so all of it is ASCII.
            name = (re.sub(rb'(["\\])', rb"\\\1", literal) or shape[2]).decode("ascii", "ignore")
            shown = re.sub("&([^-]*)-", _decoded, name)
            about = f"{shape[1].decode()} {shown}"
            if shown.upper() != "INBOX" and not _NOT_RECEIVED.search(about):
                found.append((f'"{name}"', shown, bool(_JUNK.search(about))))
    return found[:1] + sorted(found[1:], key=lambda folder: not folder[2])


def _decoded(code: re.Match[str]) -> str:
    return f"+{code[1].replace(',', '/')}-".encode().decode("utf-7", "replace") if code[1] else "&"


def _look(imap: imaplib.IMAP4_SSL, tokens: list[str], found: dict[str, Any], provider: str, tidy: bool) -> list[str]:
    """Look into every folder for what is still missing; those that cannot be opened."""
    closed = []
    for name, shown, junk in _folders(imap):
        wanted = [token for token in tokens if token not in found]
        if not wanted:
            break
        # Read-only (EXAMINE): nothing there becomes read.
        if imap.select(name, readonly=True)[0] != "OK":
            closed.append(shown)
            continue
        subjects = " ".join(f"OR SUBJECT {token}" for token in wanted[1:])
        status, [uids] = imap.uid("SEARCH", f"{subjects} SUBJECT {wanted[0]}".strip())
        for uid in (uids or b"").decode().split() if status == "OK" else ():
            header = b"".join(part[1] for part in imap.uid("FETCH", uid, _HEADERS)[1] if isinstance(part, tuple))
            arrived = imaplib.Internaldate2tuple(b"".join(filter(None, imap.uid("FETCH", uid, "INTERNALDATE")[1])))
            for token in (token for token in wanted if token.encode() in header):
                found[token] = {
                    "folder": shown,
                    "junk": junk,
                    "arrived": time.mktime(arrived) if arrived else None,
                    "stays": tidy and not ("UIDPLUS" in imap.capabilities and _deleted(imap, name, uid)),
                    **authentication.judged(header, provider),
                }
    return closed


def _deleted(imap: imaplib.IMAP4_SSL, name: str, uid: str) -> bool:
    """Delete this one mail, and no other that is marked; whether it is gone."""
    imap.select(name)
    imap.uid("STORE", uid, "+FLAGS.SILENT", r"(\Deleted)")
    imap.uid("EXPUNGE", uid)
    return not imap.uid("SEARCH", "UID", uid)[1][0]
