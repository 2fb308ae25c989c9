"""Lets another account deliver while the default one's provider cannot be reached.

Standard library only. `smarthost retry` asks it, which runs while mail waits and while the other account delivers. All
that changes is a line of a table that Postfix looks into behind all others, from a comment to a line that counts: what
waits takes its way anew at each try.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._program import files, services, system

# There only while the provider is away.
STATE = os.path.join(services.STATE, "second_way.json")
# For how long it has to be back, and for how long what was seen counts.
BACK_SECONDS = 120
SEEN_SECONDS = 300


def decide(
    memory: Mapping[str, Any], waits: bool, reached: Callable[[], bool], now: float, minutes: float
) -> dict[str, Any]:
    """What to remember: `since` when the provider is away, since when it is `back`, and whether the other is `on`."""
    if memory.get("on"):
        if not reached():
            return {"on": True, "since": memory["since"]}
        # Never later than now: the clock may have been put back.
        back = min(memory.get("back", now), now)
        return {} if now - back >= BACK_SECONDS else {**memory, "back": back}
    # What waits may be just under way; what was seen long ago was another outage.
    known = now - memory.get("seen", 0) < SEEN_SECONDS
    if not (waits or known) or reached():
        return {}
    since = min(memory["since"], now) if known else now
    return {"on": now - since >= 60 * minutes, "since": since, "seen": now}


def look(way: Mapping[str, Any], waits: bool, reached: Callable[[], bool]) -> str:
    """Turn to the other account, or back; says which of them."""
    memory = files.remembered(STATE)
    new = decide(memory, waits, reached, time.time(), way["minutes"])
    path = system.table(configuration.SECOND_WAY)
    with open(path, encoding="utf-8") as file:
        before = file.read()
    text = re.sub("^#?/", "/" if new.get("on") else "#/", before, flags=re.MULTILINE)
    if text != before:
        files.replace(path, text)
        system.run("postfix", "reload")
        system.run("postqueue", "-f")
    if new != memory:
        with contextlib.suppress(OSError):
            files.replace(STATE, json.dumps(new)) if new else files.remove(STATE)
    if text == before:
        return ""
    return (
        f"Mail leaves through {way['account']} now."
        if new.get("on")
        else "Mail leaves through the default account again."
    )
