"""Mail that waits in the queue when the configuration changes. Runs on the managed host."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ansible_collections.homelab.mail.plugins.module_utils import addresses

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host


# Where mail is that Postfix is to deliver, the usual one first. What is on hold stays so.
QUEUES = ("deferred", "incoming", "active")


def count(host: Host) -> int:
    """How many mails wait; none where Postfix was removed."""
    return len(host.command("postqueue", "-j", check=False)[1].splitlines())


def senders(host: Host) -> list[str]:
    """The public addresses that mail in the queue is from."""
    _code, queue, _err = host.command("postqueue", "-j")
    found = {json.loads(line)["sender"].lower() for line in queue.splitlines()}
    # Others than the usual ones are no address that a provider has accepted before.
    usual = (sender for sender in found if re.fullmatch(r"[a-z0-9._+=-]+@[a-z0-9.-]+", sender))
    return sorted(sender for sender in usual if not addresses.is_private_domain(addresses.domain_of(sender)))


def send(host: Host) -> None:
    """Let Postfix try all of them now."""
    host.command("postqueue", "-f")


def requeue(host: Host, slot: str, anew: Mapping[str, Sequence[str]], queues: Sequence[str] = QUEUES[:1]) -> None:
    """Let mail be queued anew that waits with a public sender of this host: offered with that, it would be lost.

    It is queued when Postfix looks for it, once a minute, or is told to (`wake`): by the configuration of that moment.
    `anew` is what of a mail is looked up (`sender` or `recipients`) -> the tables of this folder that it is in. Queues
    other than the first may be named only while Postfix is stopped.
    """
    _code, queue, _err = host.command("postqueue", "-j")
    waiting = [mail for mail in map(json.loads, queue.splitlines()) if mail["queue_name"] in queues]
    ids: set[str] = set()
    for what, tables in anew.items():
        if not tables:
            continue
        named = {
            mail["queue_id"]: {mail["sender"]} if what == "sender" else {item["address"] for item in mail["recipients"]}
            for mail in waiting
        }
        maps = [f"regexp:{host.table(slot, name)}" for name in tables]
        asked = "".join(f"{address}\n" for address in set().union(*named.values()))
        _code, out, _err = host.command("postmap", "-q", "-", *maps, text=asked)
        # A bounce has no sender, and what its From says may be such a name as well.
        found = {"MAILER-DAEMON", *(line.split("\t")[0] for line in out.splitlines())}
        ids.update(name for name, those in named.items() if those & found)
    if ids:
        host.command("postsuper", "-r", "-", *queues, text="".join(f"{name}\n" for name in sorted(ids)))


def wake(host: Host) -> None:
    """Let Postfix look for what is to be queued."""
    host.command("postkick", "public", "pickup", "W", check=False)
