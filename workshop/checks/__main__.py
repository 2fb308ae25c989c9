"""Run the checks that are named, alone or by their group: python -m workshop.checks [lint] [mypy] […].

Without a name, all but those of the group proof, which take too long to be waited for; with proof, all.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from workshop.lab.images import build_missing

from .jobs import PROJECT, chosen

# By the name under which they are imported; their examples are tests, too.
MODULE_UTILS = ".collections/ansible_collections/homelab/mail/plugins/module_utils"
# What the controller does: half of the unit tests, so that both processors have some.
CONTROLLER = ("tests/unit/plugins/action", "tests/unit/plugins/plugin_utils")
# Without a host, the playbooks end with an error.
HOSTS = "molecule/default/inventory/hosts.yml"
# Hosts mostly wait: for mail, for a timer, for Ansible on the other side.
JOBS_AT_ONCE = 2 * (os.cpu_count() or 1)
BEGUN = time.monotonic()


@dataclass(frozen=True)
class Check:
    """One command, the group that it belongs to and its name in the summary."""

    group: str
    name: str
    command: tuple[str, ...]
    environment: dict[str, str] = field(default_factory=dict)


def _shell_scripts() -> tuple[str, ...]:
    """Tracked files that begin with a line for sh or bash."""
    files = subprocess.run(["git", "ls-files"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    paths = (PROJECT / name for name in files if name)
    return tuple(
        str(path.relative_to(PROJECT))
        for path in paths
        if path.is_file() and re.match(rb"#!.*\b(ba)?sh\b", path.read_bytes()[:40])
    )


def _checks() -> tuple[Check, ...]:
    limit = os.environ.get("LIMIT", "all")
    ignored = [f"--ignore={folder}" for folder in CONTROLLER]
    # What .github/workflows/macos.yml runs on a Mac.
    mac = Check("proof", "mac", ("pytest", "tests/mac"))
    # The oldest Python of a host, and the newest.
    pythons = Check("proof", "pythons", (sys.executable, "-m", "workshop.checks.pythons", "bullseye", "sid"))
    alerts = Check("proof", "prometheus", (sys.executable, "-m", "workshop.checks.prometheus", "trixie"))
    oldest = Check("proof", "oldest", (sys.executable, "-m", "workshop.checks.oldest"))
    return (
        # The longest first.
        Check(
            "unit", "unit tests: rest", ("pytest", "--quiet", "--doctest-modules", *ignored, "tests/unit", MODULE_UTILS)
        ),
        Check("unit", "unit tests: control", ("pytest", "--quiet", *CONTROLLER)),
        Check("lint", "ansible-lint", ("ansible-lint", "--offline", "--strict"), {"ANSIBLE_INVENTORY": HOSTS}),
        Check("lint", "mypy", ("mypy",)),
        Check("lint", "yamllint", ("yamllint", "--strict", ".")),
        Check("lint", "ruff", ("ruff", "check", ".")),
        Check("lint", "ruff format", ("ruff", "format", "--check", ".")),
        Check("lint", "shellcheck", ("shellcheck", *_shell_scripts())),
        *(
            Check(job.group, job.name, ("molecule", "test", "--scenario-name", job.scenario), job.environment())
            for job in chosen(limit)
        ),
        *([mac, pythons, alerts, oldest] if limit == "all" else []),
    )


@dataclass
class Outcome:
    """How a check went: its status, what its tests counted, and those that failed, with the reason."""

    passed: bool = False
    counted: str = ""
    failures: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def read(self, line: str) -> None:
        """Take what a line of pytest's own summary says."""
        if found := re.search(r"\b(\d+ (?:passed|failed).*?) in [\d.]+s", line):
            self.counted = found.group(1)
        if found := re.search(r"\b(?:FAILED|ERROR) (\S+::.*)", line):
            self.failures.append(found.group(1).strip())


def _run(check: Check) -> Outcome:
    """Run it and show its output as it comes."""
    _say(f"=== {check.name}: {' '.join(check.command)}")
    start = time.monotonic()
    process = subprocess.Popen(
        check.command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        # Wide enough for pytest to give the reason, too.
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200", "PYTHONUNBUFFERED": "1", **check.environment},
    )  # fmt: skip
    assert process.stdout
    outcome = Outcome()
    for line in process.stdout:
        _say(f"{check.name} | {line.rstrip()}")
        outcome.read(line)
    outcome.passed = process.wait() == 0
    outcome.seconds = time.monotonic() - start
    _say(f"=== {check.name}: {'passed' if outcome.passed else 'FAILED'} after {time.monotonic() - BEGUN:.0f} s")
    return outcome


_ONE_LINE_AT_A_TIME = threading.Lock()


def _say(line: str) -> None:
    with _ONE_LINE_AT_A_TIME:
        print(line, flush=True)


def main() -> int:
    """Run, then say in a few lines how it went."""
    wanted = sys.argv[1:]
    named = {"lint", "unit", "molecule", *wanted} if wanted in ([], ["proof"]) else {*wanted}
    checks = [check for check in _checks() if {check.group, check.name} & named]
    if not checks:
        names = ", ".join(dict.fromkeys(name for check in _checks() for name in (check.group, check.name)))
        print(f"checks: there is no {', '.join(wanted)}; there are {names}", file=sys.stderr)
        return 2
    # What takes a moment comes first, so that what is broken shows in the first half minute.
    first = [check for check in checks if check.group in ("lint", "unit")]
    jobs_named = {check.name for check in checks}
    images = {
        image for job in chosen(os.environ.get("LIMIT", "all")) if job.name in jobs_named for image in job.images()
    }
    with ThreadPoolExecutor(1) as builder, ThreadPoolExecutor(os.cpu_count()) as pool:
        # Where they are there, this takes a second; where not, the jobs would wait for them and say why there are none.
        builder.submit(build_missing, images)
        outcomes = list(pool.map(_run, first))
    jobs = [check for check in checks if check not in first]
    with ThreadPoolExecutor(max_workers=JOBS_AT_ONCE) as pool:
        outcomes += pool.map(_run, jobs)
    results = list(zip([*first, *jobs], outcomes, strict=True))

    print("\nSummary")
    for check, outcome in results:
        word = "passed" if outcome.passed else "FAILED"
        print(f"  {word}  {check.name:<19} {outcome.seconds:6.0f} s  {outcome.counted}")
        # The end of the output alone is enough to begin.
        for failure in outcome.failures:
            print(f"          {failure[:300]}")
    failed = sum(not outcome.passed for _check, outcome in results)
    print(f"{len(results) - failed} passed, {failed} failed after {time.monotonic() - BEGUN:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
