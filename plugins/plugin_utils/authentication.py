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


def results(value: str) -> tuple[str, list[tuple[str, str, str]]]:
    """The server that wrote a header, and each method with its result and the domain that it is about.

    >>> results('mx.example 1 (a "b;" (c)); SPF=pass reason="x; header.d=y" smtp.mailfrom=a@b.example; none')
    ('mx.example', [('spf', 'pass', 'b.example')])
    """
    parts, depth, quoted = [""], 0, False
    for sign in re.findall(r"\\.|.", value, re.DOTALL):
        quoted ^= sign == '"' and not depth
        inside = depth
        depth += 0 if quoted else (sign == "(") - (sign == ")" and depth > 0)
        if sign == ";" and not quoted and not depth:
            parts.append("")
        else:
            parts[-1] += " " if depth or inside else sign
    found = []
    reason = re.compile(r'\breason\s*=\s*("(\\.|[^"\\])*"|\S+)')
    for part in (reason.sub("", part) for part in parts[1:]):
        if shape := re.match(r"\s*([\w-]+)\s*(?:/\s*\d+\s*)?=\s*([\w-]+)", part):
            about = re.search(r'(?:header\s*\.\s*[di]|smtp\s*\.\s*mailfrom)\s*=\s*"?(?:[^\s"]*@)?([\w.-]+)', part)
            found.append((shape[1].lower(), shape[2].lower(), about[1].lower() if about else ""))
    return (parts[0].split() or [""])[0].strip('"'), found


def judged(header: bytes, provider: str) -> dict[str, Any]:
    """As whom a mail shows, and how its receiver judged it: by the topmost header alone, and by none it came with."""
    mail = email.message_from_bytes(header, policy=email.policy.default)
    names = " ".join(mail.keys()).lower()
    # What lies below every Received was there before any server had the mail.
    seen = "received" in names.partition("authentication-results")[2]
    server, found = results(str(mail["Authentication-Results"])) if seen else ("", [])
    verdict: dict[str, str] = {}
    for method, result, _about in found:
        # A mail may have several signatures: one that is right is enough.
        if method in ("spf", "dkim", "dmarc") and verdict.get(method) not in _PASS:
            verdict[method] = result
    author = getattr(mail["From"], "addresses", ())
    domain = author[0].domain.lower() if author else "its sender"
    passed = [about for method, result, about in found if method in ("spf", "dkim") and result in _PASS and about]
    other = next((about for about in passed if about != domain), "")
    notes = []
    for method, result in verdict.items():
        # Nothing was asserted, so nothing failed: no fault where DMARC passes.
        silent = result in ("none", "neutral") and (method == "dmarc" or verdict.get("dmarc") in _PASS)
        if result not in _PASS and not silent:
            key = result if result in _REMEDIES else "alignment" if method == "dmarc" and other else method
            remedy = _REMEDIES[key].format(provider=provider, domain=domain, other=other)
            notes.append(f"{method.upper()} says {result} for {domain}. {remedy}")
    return {"shown as": str(mail["From"] or ""), "server": server, "results": verdict, "notes": notes}
