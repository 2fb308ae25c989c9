"""What a host gives for its mail while nothing happens, and what each program loses in an outage."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from workshop.lab.host import podman

from .common import Site, progress, site, table

MAILS = 20
MAIL = r"printf 'Subject: x\n\nx'"
# What counts, by the path of the program.
PROGRAMS = re.compile(r"/postfix/|/(msmtpd?|nullmailer[-a-z]*|dma)$")
# A relay that is down: nothing listens there.
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends {name} >/dev/null 2>&1"
SETTINGS = {
    "msmtp": "",
    "nullmailer": "echo '127.0.0.1 smtp --port=9' >/etc/nullmailer/remotes; systemctl restart nullmailer",
    "dma": "printf 'SMARTHOST 127.0.0.1\nPORT 9\n' >/etc/dma/dma.conf",
}
SEND = {
    "msmtp": "msmtp --host=127.0.0.1 --port=9 --from=root@host.lan root@example.com",
    "nullmailer": "sendmail -f root@host.lan root@example.com",
    "dma": "/usr/sbin/dma -f root@host.lan root@example.com",
    "postfix": "sendmail root",
}
WAITING = {
    "msmtp": "echo 0",
    "nullmailer": "ls /var/spool/nullmailer/queue | wc -l",
    "dma": "ls /var/spool/dma | grep -c ^Q || true",
    "postfix": "postqueue -j | wc -l",
}


def measure() -> str:
    """All four, as a table."""
    hosts = {"postfix": "installed", "msmtp": "trixie", "nullmailer": "trixie", "dma": "trixie"}
    with site("footprint", hosts) as where:
        progress("Postfix, msmtp, nullmailer and dma at rest and in an outage")
        where.configure("--limit=postfix")
        for name, settings in SETTINGS.items():
            where.on(name, f"apt-get -qq update; {INSTALL.format(name=name)}; {settings}")
        where.on("postfix", "sleep 20")
        rows = [_row(where, name) for name in hosts]
    return table(
        "The footprint",
        f"At rest: processes and their memory (PSS, as each shared page counts for its part). In an outage: {MAILS} "
        "mails handed in while nothing answers at the relay's port; what does not wait then is lost. One round.",
        ["program", "processes", "MB", "waiting in an outage", "lost", "processes in the outage"],
        rows,
    )


def _memory(where: Site, name: str) -> tuple[int, float]:
    """Processes and megabytes; seen from this machine, because a container hides those of other users."""
    first = podman("inspect", "--format", "{{.State.Pid}}", f"{where.lab}-{name}").stdout.strip()
    own = os.readlink(f"/proc/{first}/ns/pid")
    count = kilobytes = 0
    for path in Path("/proc").glob("[0-9]*"):
        # It may have ended meanwhile.
        with suppress(OSError):
            if os.readlink(path / "ns/pid") == own and PROGRAMS.search(os.readlink(path / "exe")):
                found = re.search(r"^Pss:\s+(\d+)", (path / "smaps_rollup").read_text(), re.MULTILINE)
                kilobytes += int(found.group(1)) if found else 0
                count += 1
    return count, kilobytes / 1024


def _row(where: Site, name: str) -> list[object]:
    processes, megabytes = _memory(where, name)
    if name == "postfix":
        where.provider.answer(False)
    where.on(
        name,
        f"for n in $(seq {MAILS}); do {MAIL} | {SEND[name]} 2>/dev/null || true; done; sleep 3",
    )
    waiting = int(where.on(name, WAITING[name]))
    busy, _memory_then = _memory(where, name)
    shown = "this role" if name == "postfix" else name
    return [shown, processes, f"{megabytes:.1f}", f"{waiting} of {MAILS}", MAILS - waiting, busy]
