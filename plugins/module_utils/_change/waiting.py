"""Mail that waits in the queue when the configuration changes. Runs on the managed host."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host


def count(host: Host) -> int:
    """How many mails wait; none where Postfix was removed."""
    return len(host.command("postqueue", "-j", check=False)[1].splitlines())


def send(host: Host) -> None:
    """Let Postfix try all of them now."""
    host.command("postqueue", "-f")


def requeue(host: Host, slot: str, anew: Mapping[str, Sequence[str]]) -> None:
    """Let mail be queued anew that waits with a public sender of this host: offered with that, it would be lost.

    It is queued when Postfix looks for it, once a minute, or is told to (`wake`): by the configuration of that moment.
    `anew` is what of a mail is looked up (`sender` or `recipients`) -> the tables of this folder that it is in.
    """
    if not any(anew.values()):
        return
    _code, queue, _err = host.command("postqueue", "-j")
    waiting = [mail for mail in map(json.loads, queue.splitlines()) if mail["queue_name"] == "deferred"]
    ids = set()
    for what, tables in anew.items():
        found: dict[str, list[str]] = {}
        for mail in waiting:
            named = [mail["sender"]] if what == "sender" else [item["address"] for item in mail["recipients"]]
            for address in named:
                found.setdefault(address, []).append(mail["queue_id"])
        if what == "sender" and tables:
            # A bounce has no sender, and what its From says may be such a name as well.
            ids.update(found.get("MAILER-DAEMON", []))
        for name in tables:
            asked = "".join(f"{address}\n" for address in found)
            _code, out, _err = host.command("postmap", "-q", "-", f"regexp:{host.table(slot, name)}", text=asked)
            for line in out.splitlines():
                ids.update(found.get(line.split("\t")[0], []))
    if ids:
        host.command("postsuper", "-r", "-", "deferred", text="".join(f"{name}\n" for name in sorted(ids)))


def wake(host: Host) -> None:
    """Let Postfix look for what is to be queued."""
    host.command("postkick", "public", "pickup", "W", check=False)
