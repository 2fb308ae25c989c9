"""Which of several mailers programs reach as `sendmail`, where `alternatives` says so: on RHEL and what is like it.

There, installing Postfix removes no other mailer, and that one may stay what programs send with, and keep port 25.
Runs on the managed host.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Refused

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host

LINK = "/etc/alternatives/mta"
OURS = "/usr/sbin/sendmail.postfix"


def other() -> str:
    """The mailer that is reached in place of Postfix; empty where it is Postfix, or where a host has no such choice."""
    chosen = os.readlink(LINK) if os.path.islink(LINK) else OURS
    # A Postfix that is not the system's own is not among them.
    can_be = os.path.exists(OURS) or not os.path.exists("/usr/sbin/postconf")
    return chosen if chosen != OURS and can_be else ""


def sendmail() -> str:
    """What Postfix' own is called."""
    return os.path.basename(OURS) if os.path.exists(OURS) else "sendmail"


def check(host: Host) -> None:
    """Refuse to let a mailer go in whose queue mail waits."""
    mailer = other()
    waits = count(host.command("mailq", check=False)[1]) if mailer else 0
    if waits:
        raise Refused(left_behind(waits, mailer, f"{mailer} -q"))


def left_behind(waits: int, mailer: str, flush: str) -> str:
    """What to say of mail that waits in the queue of a mailer that is to go."""
    return (
        f"{waits} mail{'s' * (waits > 1)} would stay behind in the queue of {mailer}, which makes room for Postfix. "
        f"`{flush}` lets it try them again, and `mailq` shows what waits."
    )


def count(queue: str) -> int:
    """How many mails wait, by what the `mailq` of sendmail or exim says.

    >>> count("\\t\\tTotal requests: 2\\n"), count(" 3m  1.2K 1tabcd-000abc-2x <root>\\n\\t me@casey.test\\n")
    (2, 1)
    >>> count("mailq: Mail queue is empty\\n")
    0
    """
    total = re.search(r"Total requests: (\d+)", queue)
    return int(total.group(1)) if total else len(re.findall(r"^ *\d+[mhd] .*<", queue, re.MULTILINE))


def note(host: Host) -> dict[str, Any]:
    """What is chosen, whether by itself, and whether it runs; empty where that is Postfix."""
    mailer = other()
    if not mailer:
        return {}
    unit = mailer.rpartition(".")[2]
    shown = host.command("alternatives", "--display", "mta", check=False)[1].partition("\n")[0]
    asked = {"running": "is-active", "enabled": "is-enabled"}
    found = {name: host.command("systemctl", verb, unit, check=False)[0] == 0 for name, verb in asked.items()}
    return {"path": mailer, "auto": "auto" in shown, "unit": unit, **found}


def take(host: Host) -> None:
    """Let programs reach Postfix, and the other mailer end."""
    found = note(host)
    if found["running"] or found["enabled"]:
        host.command("systemctl", "disable", "--now", found["unit"], check=False)
    _choose(host, "--set", "mta", OURS)


def give_back(host: Host, found: Mapping[str, Any]) -> None:
    """Let the other mailer be what it was."""
    if found:
        _choose(host, *(("--auto", "mta") if found["auto"] else ("--set", "mta", found["path"])))
        for verb in (*(["enable"] if found["enabled"] else []), *(["start"] if found["running"] else [])):
            host.command("systemctl", verb, found["unit"], check=False)


def _choose(host: Host, *how: str) -> None:
    code, out, err = host.command("alternatives", *how, check=False)
    if code != 0:
        raise Refused(f"`alternatives {' '.join(how)}` fails, so programs reach another mailer: {(err or out).strip()}")
