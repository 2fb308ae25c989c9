"""What Postfix's log says of mails: which were sent, put off, lost, and who was told of a loss.

Pure functions of lines, whatever wrote them: the journal, a file, `log show` of a Mac. The last line comes first.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

GIVEN_UP = ("bounced", "expired")
_DELIVERY = re.compile(
    r"\b(?P<id>[0-9A-Za-z]{6,}): to=<(?P<to>.*?)>, (?:orig_to=<(?P<orig_to>.*?)>, )?relay=(?P<relay>[^,]+), "
    r".*?(?:dsn=(?P<dsn>[\d.]+), )?status=(?P<status>[\w-]+) \((?P<said>.*)\)\s*$"
)
_EXPIRY = re.compile(r"\b([0-9A-Za-z]{6,}): from=<.*?>, status=(?:force-)?expired, returned to sender")
# Of mail that was lost, that waits or that was delivered; postmaster gets the first kind where that is configured.
_NOTICE = re.compile(r"\b([0-9A-Za-z]{6,}): (sender|postmaster) ([\w -]*)notification: ([0-9A-Za-z]{6,})")
# What sendmail or Postfix' server say of mail that they have no place for, or may not write; and of what they cannot
# read again.
_NOT_HANDED_IN = re.compile(
    r"mail_queue_enter: .*: (?P<reason>[^:]+)$|write queue file: (?P<cut>[^:]+)$|"
    # Of mail that is too large, sendmail says so as well.
    r"warning: uid=\d+: (?P<cut_off>(?!File too large)[^:]+)$|"
    r"reject: .*: (?P<answer>452 4\.3\.1 Insufficient system storage)|"
    r"fatal: (?:\S+\(\d+\): )?(?P<dropped>message file too big|User \S+ is not allowed to submit mail|"
    r"No recipient addresses found in message header|open \S+/main\.cf: Permission denied)|"
    r"(?P<damaged>saving corrupt file \S+)"
)


def deliveries(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """What became of mails at each attempt, the last one first."""
    for line in lines:
        found = _DELIVERY.search(line)
        if found:
            yield {"time": moment(line), **found.groupdict("")}


def notices(lines: Iterable[str]) -> dict[str, tuple[str, bool]]:
    """Notice -> the mail that it tells of, and whether it tells the sender of its loss."""
    found = (match.groups() for match in map(_NOTICE.search, lines) if match)
    return {new: (of, (whom, kind) == ("sender", "non-delivery ")) for of, whom, kind, new in found}


def lost(lines: list[str], recent: list[str], since: float) -> list[dict[str, Any]]:
    """Each recipient that a mail was given up for, the last one first.

    `told` is whether a notice went to the sender, and was not lost itself; why it was is the mail's `notice`.
    """
    known = notices(lines)
    told = {of for of, of_loss in known.values() if of_loss}
    given_up = [mail for mail in deliveries(lines) if mail["status"] in GIVEN_UP]
    given_up += _expired(lines, recent, told - {mail["id"] for mail in given_up})
    found = {(mail["id"], mail["to"]): {**mail, "told": mail["id"] in told} for mail in given_up}
    mails = [mail for mail in found.values() if mail["id"] not in known]
    refused = {known[mail["id"]][0]: mail["said"] for mail in found.values() if known.get(mail["id"], ("", False))[1]}
    for mail in mails:
        if mail["id"] in refused:
            mail.update(told=False, notice=refused[mail["id"]])
    recently = [mail for mail in mails if mail["time"] is None or mail["time"] >= since]
    return sorted(recently, key=lambda mail: -(mail["time"] or 0))


def _expired(lines: list[str], recent: list[str], returned: set[str]) -> Iterator[dict[str, Any]]:
    """The recipients that mails had waited for when their time was over, which the log of that moment does not name.

    Also of mails of which there is only the notice: that they are `returned`, and were not refused.
    """
    when: dict[str, float | None] = {}
    for line in lines:
        found = _EXPIRY.search(line) or _NOTICE.search(line)
        if found and (found.re is _EXPIRY or found.group(1) in returned):
            when.setdefault(found.group(1), moment(line))
    attempts = list(deliveries(recent)) if when else []
    for identifier, then in when.items():
        last = {mail["to"]: mail for mail in reversed(attempts) if mail["id"] == identifier}
        nothing = {"id": identifier, "to": "", "orig_to": "", "relay": "none", "dsn": "", "said": "", "status": ""}
        for mail in [mail for mail in last.values() if mail["status"] == "deferred"] or [nothing]:
            yield {**mail, "time": then, "status": "expired"}


def not_handed_in(lines: Iterable[str], since: float) -> list[dict[str, Any]]:
    """What did not even get into the queue, the last one first."""
    found = []
    for line in dict.fromkeys(lines):
        match = _NOT_HANDED_IN.search(line)
        when = moment(line)
        if match and (when is None or when >= since):
            found.append({"time": when, "said": next(filter(None, match.groups())).strip()})
    return found


def moment(line: str) -> float | None:
    """When a line of the log was written, in seconds since 1970; None where it does not say.

    >>> moment("1795255200.123456 nas postfix/smtp[1]: x")
    1795255200.123456
    """
    if re.match(r"\d{9,}\.\d+ ", line):
        return float(line.split(maxsplit=1)[0])
    iso = re.match(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)", line)
    if iso:
        return datetime.strptime(" ".join(iso.groups()), "%Y-%m-%d %H:%M:%S").timestamp()
    traditional = re.match(r"\w{3} [ \d]\d \d\d:\d\d:\d\d", line)
    if traditional:
        # Without the year: the last such day.
        year = datetime.now().year
        for guess in (year, year - 1):
            then = datetime.strptime(f"{guess} {traditional.group()}", "%Y %b %d %H:%M:%S").timestamp()
            if then <= time.time() + 86400:
                return then
    return None
