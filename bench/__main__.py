"""Print figures beside what was promised: python -m bench [demo] [test] [status] [fleet]; all without a name.

demo and test: a fresh clone in a temporary folder, with what package managers and podman have cached
on this machine. One run each: a figure to hold against a promise in minutes, not to compare closely.
status: smarthost status on a host with 10,000 mails in the queue. fleet: playbooks/check.yml on 16 hosts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from . import fleet, status

PROJECT = Path(__file__).resolve().parent.parent
# make target -> promised seconds
PROMISES = {"demo": 180, "test": 1200}
STATUS_SECONDS, STATUS_MEGABYTES = 0.5, 50


def _seconds(target: str, clone: Path, log: Path) -> tuple[float, bool]:
    """How long a target takes in a clone, and whether it succeeded; it is given nothing to answer with."""
    start = time.monotonic()
    with log.open("w") as output:
        done = subprocess.run(
            ["make", target], cwd=clone, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    return time.monotonic() - start, done.returncode == 0


def main() -> int:
    """Measure, then print a line each."""
    targets = sys.argv[1:] or [*PROMISES, "status", "fleet"]
    failed = False
    for target in targets:
        if target == "fleet":
            fleet.show()
            continue
        if target == "status":
            seconds, megabytes = status.measure()
            print(f"smarthost status, {status.MAILS} mails in the queue")
            for figure, promise, unit in ((seconds, STATUS_SECONDS, "s"), (megabytes, STATUS_MEGABYTES, "MB")):
                print(f"  {figure:6.2f} {unit:<3} promised {promise} {unit}   ratio {figure / promise:.2f}", flush=True)
            continue
        with tempfile.TemporaryDirectory(prefix="homelab-mail-bench-") as folder:
            clone = Path(folder) / "clone"
            subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True)
            print(f"make {target}, from a fresh clone …", flush=True)
            log = Path(tempfile.gettempdir()) / f"homelab-mail-bench-{target}.log"
            seconds, succeeded = _seconds(target, clone, log)
        promise = PROMISES[target]
        verdict = "" if succeeded else f"  FAILED, see {log}"
        print(f"  {seconds:6.0f} s   promised {promise} s   ratio {seconds / promise:.2f}{verdict}", flush=True)
        failed |= not succeeded
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
