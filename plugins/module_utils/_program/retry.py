"""Sends what waited for a provider that was away, and notices where Postfix alone cannot reach it.

Standard library only. `smarthost retry` runs it on the managed host, every half a minute while mail waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._program import chroot, files, queued, services, system

# What is remembered of a queue: if none of these has left, hardly any has.
MOST = 100
# How long Postfix may take to begin with a mail that it was told to try.
BEGIN_SECONDS = 10
# Between two attempts where it cannot reach the provider: 30 connections in an hour.
ATTEMPT_SECONDS = 120
NOTHING, FLUSH, RESTART, ATTEMPT = "nothing", "flush", "restart", "attempt"

Memory = dict[str, Any]
Asked = Callable[[], bool]


def decide(
    memory: Memory, waiting: Mapping[str, str | None], now: float, reached: Asked, stale: Asked
) -> tuple[str, Memory]:
    """What to do, and what to remember: `ids` that were told to leave, when (`at`), and why Postfix fails (`reason`).

    `waiting` is mail -> why, if the provider could not be reached; empty while it is tried, None if it waits for
    another reason; such mail must not be hurried. `reached` connects to the provider, so it is asked if that decides.
    """
    away = {identifier: reason for identifier, reason in waiting.items() if reason}
    # Later than now it would be where the clock was put back; then they may as well be told again.
    ids = memory.get("ids", []) if memory.get("at", now) <= now else []
    reason = memory.get("reason", "")
    if ids:
        if any(waiting.get(identifier) is None for identifier in ids):
            # It has left, or the provider has answered.
            return (FLUSH if memory["attempt"] and away else NOTHING), {}
        if now - memory["at"] < BEGIN_SECONDS or not all(waiting[identifier] for identifier in ids):
            return NOTHING, memory
        if not reason and not reached():
            return NOTHING, {}
        if reason and now - memory["at"] < ATTEMPT_SECONDS:
            return NOTHING, memory
        told = {"at": now, "reason": away[ids[0]], "restarted": memory["restarted"]}
        if not memory["restarted"] and stale():
            return RESTART, {**told, "ids": list(away)[:MOST], "attempt": False, "restarted": True}
        return ATTEMPT, {**told, "ids": list(away)[:1], "attempt": True}
    if away and reached():
        return FLUSH, {"ids": list(away)[:MOST], "at": now, "reason": "", "attempt": False, "restarted": False}
    return NOTHING, {}


def state(account: str) -> str:
    """The file in which is remembered what an account's mail was told."""
    return os.path.join(services.STATE, f"retry-{account}.json" if account else "retry.json")


def look(account: Mapping[str, Any], manager: services.ServiceManager, reached: Asked) -> str:
    """Do what is to be done now; says what that was."""
    path = state(account.get("id", ""))
    memory = files.remembered(path)
    waiting = _waiting(account, enough=0 if memory else MOST)
    action, new = decide(memory, waiting, time.time(), reached, _has_stale_chroot)
    if new != memory:
        # What cannot be remembered is no reason to keep mail waiting.
        with contextlib.suppress(OSError):
            files.replace(path, json.dumps(new))
    if action == NOTHING:
        return ""
    if action == ATTEMPT:
        system.run("postqueue", "-i", new["ids"][0])
        return "" if memory["reason"] else unreached(new, account["host"])
    if action == RESTART:
        manager.restart()
    if system.run("postqueue", "-f")[0] != 0:
        return ""
    if action == RESTART:
        return "Postfix had old copies of files in its chroot and was restarted; what waits is being sent."
    return "The provider can be reached again: what waited for it is being sent."


def waits(account: Mapping[str, Any]) -> bool:
    """Whether mail waits because the server of this account could not be reached."""
    return any(_waiting(account, enough=1).values())


def _waiting(account: Mapping[str, Any], enough: int) -> dict[str, str | None]:
    """The queue as `decide` takes it; not much more than what is enough of it."""
    found: dict[str, str | None] = {}
    with contextlib.suppress(queued.Unreadable):
        for mail in queued.mails():
            tried = "" if mail["queue_name"] in ("active", "incoming") else None
            found[mail["queue_id"]] = queued.reason_away(mail, account["host"], account["port"]) or tried
            if enough and found[mail["queue_id"]] and len(list(filter(None, found.values()))) >= enough:
                break
    return found


def _has_stale_chroot() -> bool:
    return bool(chroot.stale_copies(system.values("queue_directory").get("queue_directory") or "/nowhere"))


def unreached(memory: Memory, host: str) -> str:
    """That Postfix does not reach a provider which this host reaches, for people; empty where nothing says so."""
    if not memory.get("reason"):
        return ""
    tried = " It was restarted, which did not help." if memory["restarted"] else ""
    return (
        f"This host reaches {host}, but Postfix does not: {memory['reason']}.{tried} Check in this order: where "
        "Postfix runs in a chroot, hosts and resolv.conf in /var/spool/postfix/etc are those of /etc (a restart of "
        "Postfix copies them); smtp_bind_address and its like in smarthost_parameters; a firewall that keeps the user "
        "postfix in."
    )
