"""What the server that received a mail says of it: SPF, DKIM and DMARC (RFC 8601), and what to do. Pure functions."""

from __future__ import annotations

import email
import email.policy
import re
from typing import Any

_PASS = {"pass", "bestguesspass"}
_REMEDIES = {
    "temperror": "The receiver could not look it up at that moment. Send another mail later.",
    "permerror": "Its record in the DNS has an error, or there are two of them. Correct it.",
    "spf": "Its DNS does not name {provider} as a sender. Add the SPF entry that {provider} shows for the domain.",
    "dkim": "Its DNS confirms no signature of this mail. Publish the DKIM record that {provider} shows for the domain.",
    "dmarc": "Neither SPF nor DKIM passed for it. Publish the DKIM record that {provider} shows for the domain.",
    "alignment": "What passed is for {other}, not for the domain of From (not aligned). Publish the DKIM record that "
    "{provider} shows for {domain}, or set smarthost_from to an address of {other}.",
}


_WRITTEN = re.compile("^authentication-results:((?:.|\n[ \t])*)", re.IGNORECASE | re.MULTILINE)
# A quoted string, or a comment, in which there may be others.
_COMMENT = r"\((?:\\.|[^()\\]|{})*\)"
_ASIDE = re.compile(r'"((?:\\.|[^"\\])*)"|' + _COMMENT.format(_COMMENT.format(_COMMENT.format("(?!)"))), re.DOTALL)
# Method, result, and the domain that it is about.
_RESULT = re.compile(
    r";\s*([\w-]+)\s*(?:/\s*\d+\s*)?=\s*([\w-]+)"
    r"(?:[^;]*?\b(?:header\s*\.\s*[di]|smtp\s*\.\s*mailfrom)\s*=\s*(?:[^\s;]*@)?([\w.-]+))?"
)


def results(value: str) -> tuple[str, list[tuple[str, str, str]]]:
    """The server that wrote a header, and each method with its result and the domain that it is about.

    >>> results('mx.example 1 (a "b;" (c)); SPF=pass reason="x; header.d=y" smtp.mailfrom=a@b.example; none')
    ('mx.example', [('spf', 'pass', 'b.example')])
    """
    # Without comments, and each quoted string as one word, the rest has a simple shape.
    plain = _ASIDE.sub(lambda aside: re.sub(r"[^\w.@-]", "_", aside[1] or "") or " ", value).lower()
    return (plain.partition(";")[0].split() or [""])[0], _RESULT.findall(plain)


def _of_receiver(header: str) -> tuple[str, list[tuple[str, str, str]]]:
    """The server that received a mail, and what its topmost header says, or a header for each method."""
    # What lies below every Received was there before any server had the mail.
    blocks = re.split("(?im)^received:", header)[:-1]
    server, found = "", list[tuple[str, str, str]]()
    for writer, said in map(results, next(filter(None, map(_WRITTEN.findall, blocks)), [])):
        again = {each[0] for each in said} & {each[0] for each in found}
        # What another server has written, or what judges anew, came with the mail.
        if server and (not found or again or writer.split(".")[-2:] != server.split(".")[-2:]):
            break
        server, found = server or writer, found + said
    return server, found


def judged(header: bytes, provider: str) -> dict[str, Any]:
    """As whom a mail shows, and how its receiver judged it."""
    mail = email.message_from_bytes(header, policy=email.policy.default)
    server, found = _of_receiver(header.decode(errors="replace"))
    # A mail may have several signatures: one that is right is enough, so it comes last.
    rising = sorted(found, key=lambda said: said[1] in _PASS)
    verdict = {method: result for method, result, _about in rising if method in ("spf", "dkim", "dmarc")}
    author = getattr(mail["From"], "addresses", ())
    domain = author[0].domain.lower() if author else "its sender"
    other = next((about for _method, result, about in found if result in _PASS and about not in ("", domain)), "")
    notes = []
    for method, result in verdict.items():
        # Nothing was asserted, so nothing failed: no fault where DMARC passes.
        silent = result in ("none", "neutral") and (method == "dmarc" or verdict.get("dmarc") in _PASS)
        if result not in _PASS and not silent:
            key = result if result in _REMEDIES else "alignment" if method == "dmarc" and other else method
            remedy = _REMEDIES[key].format(provider=provider, domain=domain, other=other)
            notes.append(f"{method.upper()} says {result} for {domain}. {remedy}")
    shown, received = str(mail["From"] or ""), mail.get_all("Received", [])
    return {"shown as": shown, "server": server, "results": verdict, "notes": notes, "received": received}
