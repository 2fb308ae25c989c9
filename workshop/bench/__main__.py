"""Measure what the project promises, beside what it is compared with: python -m workshop.bench [NAME …].

Without a name, all is measured. NAME is one of runs, fleet, mail, accounts, outage, footprint and status, which print
tables in Markdown (docs/benchmarks.md has those of a whole run), or demo and test: how long `make demo` and `make test`
take in a fresh clone, with what package managers and podman have cached on this machine. A figure that is not what was
promised is printed **bold**.
"""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from . import accounts, fleet, footprint, mail, outage, runs, status
from .common import PROJECT, only_tables, progress

# make target -> promised seconds
TARGETS = {"demo": 180, "test": 1500}
TABLES: dict[str, Callable[[], str]] = {
    "runs": runs.measure,
    "mail": mail.measure,
    "footprint": footprint.measure,
    "status": status.measure,
    "accounts": accounts.measure,
    "fleet": fleet.measure,
}
OUTAGE_SECONDS = 60
INTRODUCTION = """# Benchmarks

What `make bench` printed. Hosts are containers (Debian 13 where nothing else is said), the provider is one more, and
Ansible reaches them by its ssh connection through `podman exec`. Each figure stands beside what it is compared with,
measured in the same run; one that is not what was promised is **bold**. The machine is shared and noisy: ratios tell
more than seconds."""


def _target(target: str) -> str:
    """How long a target takes in a clone; it is given nothing to answer with."""
    with tempfile.TemporaryDirectory(prefix="homelab-mail-bench-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True)
        progress(f"make {target}, from a fresh clone")
        log = Path(tempfile.gettempdir()) / f"homelab-mail-bench-{target}.log"
        start = time.monotonic()
        with log.open("w") as output:
            done = subprocess.run(
                ["make", target], cwd=clone, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
            )
        seconds = time.monotonic() - start
    promise = TARGETS[target]
    verdict = "" if done.returncode == 0 else f" FAILED, see {log}"
    return f"make {target}: {seconds:.0f} s, promised {promise} s, ratio {seconds / promise:.2f}{verdict}\n"


def _machine() -> str:
    """What the figures were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} processors ({platform.machine()}), {memory:.0f} GiB"


def main() -> int:
    """Measure, and print a table each."""
    unknown = [name for name in sys.argv[1:] if name not in (*TABLES, *TARGETS, "outage")]
    if unknown:
        print(f"bench: there is no {', '.join(unknown)}.\n\n{__doc__}", file=sys.stderr)
        return 2
    wanted = sys.argv[1:] or [*TABLES, "outage"]
    start = time.monotonic()
    tables = only_tables()
    day = datetime.date.today().isoformat()
    print(f"{INTRODUCTION}\n\nMeasured on {day}, on {_machine()}, with all hosts on it.\n", file=tables, flush=True)
    # Postfix' own defaults take ten minutes after it, which pass while the others are measured.
    away = outage.Outage(OUTAGE_SECONDS) if "outage" in wanted else None
    if away:
        away.begun.wait()
    for name in wanted:
        if name != "outage":
            print(TABLES[name]() if name in TABLES else _target(name), file=tables, flush=True)
    if away:
        away.join()
        print(away.text, file=tables)
    print(f"All of it took {(time.monotonic() - start) / 60:.0f} minutes.", file=tables)
    return 0 if away is None or away.text else 1


if __name__ == "__main__":
    sys.exit(main())
