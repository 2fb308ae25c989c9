"""What waits in Postfix's queue, for how long, and why. Runs on the managed host."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._program import health, system

# How long Postfix may take to begin with the list.
SECONDS = 20
# Why mail on hold waits.
HELD = "on hold, so Postfix does not try it; postsuper -H ALL, as root, lets all go that was held"
# What follows is why Postfix makes a pause with the server, and the reason of others that wait.
SUSPENDED = "delivery temporarily suspended: "
# What Postfix says of a server that it did not come to speak with. Not of one that it lost later on, because of a mail
# that the server cannot take, perhaps.
AWAY = re.compile(
    r"connect to |Host or domain name not found|unable to look up host|host \S+ refused to talk to me: 4|"
    # The proxy for tokens, of the server behind it.
    r"SASL authentication failed; server 127\S+ said: 421 4\.4\.1 |"
    r"(lost connection|conversation) with \S+ (timed out )?while "
    r"(receiving the initial server greeting|performing the (EHLO|HELO) handshake)"
)


class Unreadable(Exception):
    """Why the queue, or the rest of it, cannot be read."""


def queue(provider: health.Provider, now: float) -> dict[str, Any]:
    """What waits, for how long, and why: the reasons with what they mean, the most frequent first."""
    count, size, oldest, unreadable = 0, 0, now, {}
    reasons: Counter[str] = Counter()
    try:
        for mail in mails():
            count += 1
            size += mail["message_size"]
            oldest = min(oldest, mail["arrival_time"])
            # What it waited for before that is over, or not; it waits for a person now.
            held = {HELD} if mail["queue_name"] == "hold" else None
            reasons.update(held or {recipient.get("delay_reason", "") for recipient in mail["recipients"]} - {""})
    except Unreadable as why:
        unreadable = {"unreadable": str(why)}
    return {
        "messages": count,
        "bytes": size,
        "oldest_seconds": int(now - oldest),
        "reasons": grouped(reasons, provider),
        **unreadable,
    }


def mails() -> Iterator[dict[str, Any]]:
    """Mail by mail, as Postfix lists them; raises Unreadable."""
    path = shutil.which("postqueue", path=system.PATH)
    if path is None:
        raise Unreadable("Postfix is not installed")
    with subprocess.Popen(
        [path, "-j"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", errors="replace"
    ) as process:
        limit = threading.Timer(SECONDS, process.kill)
        limit.start()
        try:
            # Line by line: the queue may be long.
            for line in process.stdout or ():
                limit.cancel()
                yield json.loads(line)
        finally:
            limit.cancel()
    if process.returncode != 0 and (process.returncode < 0 or os.geteuid() == 0):
        raise Unreadable("Postfix does not list it")
    if process.returncode != 0:
        raise Unreadable("only root may read it while Postfix is down")


def grouped(reasons: Counter[str], provider: health.Provider) -> list[dict[str, Any]]:
    """Reasons with what they mean; those that mean the same are one."""
    alike: dict[str, dict[str, Any]] = {}
    for text, count in reasons.most_common():
        reason = text.removeprefix(SUSPENDED)
        alike.setdefault(health.shape(reason), {"messages": 0, "reason": reason})["messages"] += count
    most = sorted(alike.values(), key=lambda item: -item["messages"])[: health.REASONS]
    return [{**item, **health.explained(item["reason"], provider)} for item in most]


def reason_away(mail: dict[str, Any], host: str, port: int) -> str:
    """Why a mail waits, if that is a host that could not be reached, by this port; empty where it is not.

    It does not wait while it is tried, nor, on hold, for this reason.
    """
    if mail["queue_name"] != "deferred":
        return ""
    reasons = (recipient.get("delay_reason", "").removeprefix(SUSPENDED) for recipient in mail["recipients"])
    other = re.compile(rf"\]:(?!{port}:)\d+: ")
    return next(
        (why for why in reasons if AWAY.match(why) and health.is_about(why, host) and not other.search(why)), ""
    )
