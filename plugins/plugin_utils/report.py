"""What a fleet says of its mail, as rows and as a table. Pure functions; run on the controller."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._program import health, system

CHECK_COLUMNS = ("host", "mail", "configuration", "postfix", "login", "queue", "last sent")
FAULT, NOT_CHECKED = "FAULT", "NOT CHECKED"
MAIL_COLUMNS = ("host", "mail", "reply")
STEPS = ("handed in", "queued", "hub", "taken", "arrived")
ARRIVAL_COLUMNS = ("host", "mail", *STEPS, "folder", "shown as", "judged")


def check_row(host: str, found: Mapping[str, Any], now: float | None = None) -> dict[str, Any]:
    """One host of playbooks/check.yml; `found` is what `postfix_info` and `postfix` returned, or why they did not."""
    row: dict[str, Any] = {"host": host, "healthy": False, "notes": [], "details": found.get("state")}
    if found.get("absent"):
        return {**row, "healthy": True, "mail": "absent", "notes": ["smarthost_state is absent: no mail is expected."]}
    if not found.get("state") or "actions" not in found:
        absent = "Postfix is not installed. Run site.yml for this host." if "actions" in found else ""
        return {**row, "mail": _without_answer(found), "notes": [absent or _said(found)]}
    state, login = found["state"], found["login"]
    waiting, sent = state["queue"], state["last_delivery"]
    # Queue and login mostly tell of the same fault: once is enough.
    notes = [
        f"{reason.get('account', '')}: {health.meaning(reason) or reason['reason']}".removeprefix(": ")
        for reason in waiting["reasons"]
    ]
    notes += [problem for problem in state["problems"] if not any(problem in note for note in notes)]
    known = any(reason.get("cause", login["said"] + "?") in login["said"] for reason in waiting["reasons"])
    if not known:
        notes.append(login["said"])
    notes += found.get("advice", [])
    drift = [action for action in found["actions"] if action != "logged in at the provider"]
    if drift:
        notes.append("site.yml would change this host: it has not yet " + ", ".join(drift) + ".")
    ago = system.span(max(0, (now or time.time()) - sent["time"])) + " ago" if sent and sent["time"] else ""
    none = "unknown" if waiting.get("unreadable") else "empty"
    # A provider that cannot be reached now is no fault of the host as long as no mail is stuck.
    healthy = state["healthy"] and not drift and login["verdict"] != "refused"
    return {
        **row,
        "healthy": healthy,
        "mail": "leaves" if healthy else FAULT,
        "configuration": "changed" if drift else "as it should be",
        "postfix": "up" if state["running"] else "down",
        "login": login["verdict"],
        "accounts": {name: said for name, said in login.get("accounts", {}).items() if name},
        "queue": f"{waiting['messages']}, {system.span(waiting['oldest_seconds'])}" if waiting["messages"] else none,
        "last sent": ago or "not in the log",
        "notes": list(dict.fromkeys(note for note in notes if note)),
    }


def mail_row(host: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """One host of playbooks/test-mail.yml; `found` is what the module `test_mail` returned, or why it did not."""
    row: dict[str, Any] = {"host": host, "healthy": found.get("status") == "sent", "notes": [], "details": None}
    if "status" not in found:
        return {**row, "mail": _without_answer(found), "notes": [_said(found)]}
    meaning = health.meaning(found)
    return {**row, "mail": found["status"], "reply": found["said"], "notes": [meaning] if meaning else []}


def arrival_row(host: str, found: Mapping[str, Any]) -> dict[str, Any]:
    """The same with -e arrival=true; `found["arrival"]` is what the mailbox had of it."""
    row, seen, own = mail_row(host, found), found.get("arrival") or {}, found.get("times", {})
    # A host with a hub does not know when the provider took it.
    taken = own.get("taken") or _behind(found.get("said", ""), seen.get("received", ()))
    times = {**own, "taken": taken, "arrived": seen.get("arrived")}
    # The host's own clock: how long each of its steps took. All others say whole seconds, by other clocks.
    clock = {step: time.strftime("%H:%M:%S", time.localtime(moment)) for step, moment in times.items() if moment}
    passed = {step: f"+{own[step] - own['handed in']:.1f} s" for step in [*own][1:] if own[step]}
    row.update({step: {**clock, **passed}.get(step, "-") for step in STEPS})
    row["details"] = {"times": times, "relay": found.get("relay"), "server": seen.get("server")}
    if row["healthy"] and "folder" in seen:
        judged = ", ".join(f"{method.upper()} {result}" for method, result in seen["results"].items())
        row.update(mail="SPAM" if seen["junk"] else "arrived", healthy=not seen["junk"], judged=judged or "not judged")
        row.update({name: seen[name] for name in ("folder", "shown as")})
        spam = f"It is in {seen['folder']}, where spam goes. Mark it as wanted there." if seen["junk"] else ""
        stays = "It stays there: the server does not delete one mail alone (UIDPLUS)." if seen["stays"] else ""
        row["notes"] += [note for note in (spam, *seen["notes"], stays) if note]
    elif row["healthy"]:
        # What could not be looked for may well be there.
        row.update(mail="sent" if seen["said"] else "NOT THERE", healthy=bool(seen["said"]))
        waits = " Or does it wait on the hub? smarthost status says so there." if "hub" in own else ""
        row["notes"].append(seen["said"] or f"It is in no folder yet. Is this the recipient's mailbox?{waits}")
    if "status" in found and not row["healthy"] and "folder" not in seen:
        row[next(step for step in STEPS if not times.get(step, step == "hub"))] = "STOPPED"
    return row


def _behind(reply: str, received: Sequence[str]) -> float | None:
    """When the server behind the hub took a mail, as it wrote above the line that has the name from the hub's reply."""
    above = next((above for above, below in pairwise(received) if f" id {reply.rpartition(' ')[2]}" in below), "")
    when = email.utils.parsedate_tz(above.rpartition(";")[2])
    return email.utils.mktime_tz(when) if when else None


def _without_answer(found: Mapping[str, Any]) -> str:
    if not found or found.get("unreachable"):
        return "NOT REACHED"
    # The variables were judged first.
    return FAULT if found.keys() & {"failed", "seen", "actions"} else NOT_CHECKED


def summary(rows: list[dict[str, Any]]) -> list[str]:
    """How many of the hosts are not well, and how many were not asked; nothing where all are well.

    >>> summary([{"host": "nas", "healthy": False, "mail": "FAULT"}, {"host": "web", "healthy": True}])
    ['', '1 of 2 hosts is not well: nas']
    """
    faulty = [row for row in rows if not row["healthy"]]
    said = []
    for what, unasked in (("not well", False), ("not checked", True)):
        names = [row["host"] for row in faulty if (row["mail"] == NOT_CHECKED) == unasked]
        if names:
            were = "is" if len(names) == 1 else "are"
            said += ["", f"{len(names)} of {len(rows)} hosts {were} {what}: {', '.join(names)}"]
    return said


def _said(found: Mapping[str, Any]) -> str:
    return " ".join(str(found.get("msg") or "The host cannot be reached.").split())


def table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> str:
    """The rows for a terminal, what to do about each below.

    >>> print(table([{"host": "nas", "mail": "sent", "reply": "250 ok", "notes": []}], MAIL_COLUMNS))
    HOST  MAIL  REPLY
    nas   sent  250 ok
    """
    # Only spokes have a hub.
    columns = tuple(name for name in columns if name != "hub" or any(row.get(name, "-") != "-" for row in rows))
    shown: list[Mapping[str, Any]] = []
    for row in rows:
        shown += [row, *({"host": f"  {name}", "login": said} for name, said in row.get("accounts", {}).items())]
    cells = [
        [column.upper() for column in columns],
        *([str(line.get(column, "-")) for column in columns] for line in shown),
    ]
    widths = [max(len(line[number]) for line in cells) for number in range(len(columns))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]
    for row in rows:
        lines += ["", *(f"{row['host']}: {note}" for note in row["notes"])] if row["notes"] else []
    return "\n".join(lines)
