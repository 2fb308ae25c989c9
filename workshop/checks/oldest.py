"""Run a host's whole life with the oldest ansible-core that README names: python -m workshop.checks.oldest.

What it cannot do, an import in a file that a variable names for one, no run with a newer one shows.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from workshop.bench.common import site
from workshop.lab import STATE

PROJECT = Path(__file__).resolve().parents[2]
PINNED = PROJECT / "requirements/oldest.txt"
# What is run, and how many tasks change something then; None where that is no matter.
LIFE: tuple[tuple[tuple[str, ...], int | None], ...] = (
    (("--check", "--diff", "site.yml"), None),
    (("site.yml",), None),
    (("site.yml",), 0),
    (("playbooks/check.yml",), 0),
    (("-e", "smarthost_hostname=other.lan", "site.yml"), 1),
    (("-e", "smarthost_state=absent", "site.yml"), 1),
)


def _playbook() -> Path:
    """The program `ansible-playbook` of that version."""
    folder = STATE / "oldest" / hashlib.sha256(PINNED.read_bytes()).hexdigest()[:12]
    if not (folder / "whole").exists():
        shutil.rmtree(folder.parent, ignore_errors=True)
        venv.create(folder, with_pip=True)
        pip = (folder / "bin/python", "-m", "pip", "install", "--quiet", "--require-hashes", "-r", PINNED)
        subprocess.run(pip, check=True)
        (folder / "whole").touch()
    return folder / "bin/ansible-playbook"


def main() -> int:
    """Run all of it on a fresh host."""
    playbook = str(_playbook())
    with site("life", {"host": "trixie"}) as where:
        for arguments, changes in LIFE:
            said = where.run(playbook, *arguments)
            found = re.findall(r"changed=(\d+) ", said)
            print(f"{' '.join(arguments)}: changed {', '.join(found)}", flush=True)
            if changes is not None and found != [str(changes)]:
                print(said)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
