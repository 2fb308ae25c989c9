"""Run the checks that are named (lint, unit, molecule), or all: python -m workshop.checks [NAME …]."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]
# By the name under which they are imported; their examples are tests, too.
MODULE_UTILS = ".collections/ansible_collections/homelab/mail/plugins/module_utils"


@dataclass(frozen=True)
class Check:
    """One command, the group that it belongs to and its name in the summary."""

    group: str
    name: str
    command: tuple[str, ...]


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


def _scenarios(limit: str) -> list[str]:
    """Those that have a host that LIMIT names (Molecule calls it an error to have none), or those of every day."""
    inventories = sorted(PROJECT.glob("molecule/*/inventory/hosts.yml"))
    wanted = set(re.split("[,:]", limit))
    hosts = {path.parts[-3]: set(yaml.safe_load(path.read_text())["all"]["hosts"]) for path in inventories}
    chosen = [name for name, present in hosts.items() if wanted & present]
    # Much of it needs a container registry.
    return chosen or [name for name in hosts if name != "distributions"]


def _checks() -> tuple[Check, ...]:
    limit = os.environ.get("LIMIT", "all")
    # What .github/workflows/macos.yml runs on a Mac.
    mac = Check("molecule", "mac", ("pytest", "--quiet", "tests/mac"))
    return (
        Check("lint", "yamllint", ("yamllint", "--strict", ".")),
        Check("lint", "ansible-lint", ("ansible-lint", "--offline", "--strict")),
        Check("lint", "ruff", ("ruff", "check", ".")),
        Check("lint", "ruff format", ("ruff", "format", "--check", ".")),
        Check("lint", "mypy", ("mypy",)),
        Check("lint", "shellcheck", ("shellcheck", *_shell_scripts())),
        Check("unit", "unit tests", ("pytest", "--quiet", "--doctest-modules", "tests/unit", MODULE_UTILS)),
        *(
            Check("molecule", f"molecule {name}", ("molecule", "test", "--scenario-name", name))
            for name in _scenarios(limit)
        ),
        *([mac] if limit == "all" else []),
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


def _run(check: Check, prefix: str = "") -> Outcome:
    """Run it and show its output as it comes."""
    print(f"\n=== {check.name}: {' '.join(check.command)}", flush=True)
    start = time.monotonic()
    process = subprocess.Popen(
        check.command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        # Wide enough for pytest to give the reason, too.
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "200"},
    )  # fmt: skip
    assert process.stdout
    outcome = Outcome()
    for line in process.stdout:
        print(f"{prefix}{line}", end="", flush=True)
        outcome.read(line)
    outcome.passed = process.wait() == 0
    outcome.seconds = time.monotonic() - start
    return outcome


def main() -> int:
    """Run, then say in a few lines how it went."""
    wanted = sys.argv[1:]
    checks = [check for check in _checks() if not wanted or check.group in wanted]
    if not checks:
        print(f"checks: there is no {', '.join(wanted)}; there are lint, unit and molecule", file=sys.stderr)
        return 2
    alone = [check for check in checks if check.group != "molecule"]
    results = [(check, _run(check)) for check in alone]
    # Scenarios have hosts of their own and mostly wait for them: two at once.
    scenarios = [check for check in checks if check.group == "molecule"]
    with ThreadPoolExecutor(max_workers=2) as pool:
        prefixes = [f"{check.name.split()[-1]} | " if len(scenarios) > 1 else "" for check in scenarios]
        done = pool.map(_run, scenarios, prefixes)
        results += zip(scenarios, done, strict=True)

    print("\nSummary")
    for check, outcome in results:
        word = "passed" if outcome.passed else "FAILED"
        print(f"  {word}  {check.name:<18} {outcome.seconds:6.0f} s  {outcome.counted}")
        # Whoever sees the end of the output alone needs no more to begin.
        for failure in outcome.failures:
            print(f"          {failure[:300]}")
    failed = sum(not outcome.passed for _check, outcome in results)
    print(f"{len(results) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
