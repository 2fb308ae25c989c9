"""Run the unit tests of what runs on hosts with the oldest Python that a host may have, and with the newest there is.

python -m workshop.checks.pythons KIND …: in a container of each kind of host, without a network.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from workshop.lab import STATE, images
from workshop.lab.host import podman

PROJECT = Path(__file__).resolve().parents[2]
PINNED = PROJECT / "requirements/host.txt"
OURS = ".collections/ansible_collections/homelab/mail/plugins"
# Doctest loads each module.
TESTS = ("tests/unit/plugins/module_utils", f"{OURS}/module_utils", f"{OURS}/modules")


def _pytest() -> Path:
    """A folder with pytest, in Python alone, so that the oldest and the newest can both load it."""
    folder = STATE / "python" / hashlib.sha256(PINNED.read_bytes()).hexdigest()[:12]
    if not folder.exists():
        shutil.rmtree(folder.parent, ignore_errors=True)
        new = folder.with_suffix(".new")
        options = ["--quiet", "--target", str(new), "--require-hashes", "--python-version=3.9", "--only-binary=:all:"]
        subprocess.run([sys.executable, "-m", "pip", "install", *options, "-r", str(PINNED)], check=True)
        new.rename(folder)
    return folder


def _run(kind: str) -> bool:
    images.build_missing({kind})
    spec = find_spec("ansible")
    assert spec and spec.submodule_search_locations
    folders = {PROJECT: "/project", _pytest(): "/python", Path(spec.submodule_search_locations[0]): "/modules/ansible"}
    variables = {
        "PYTHONPATH": "/python:/modules",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/hypothesis",
    }
    done = podman(
        *("run", "--rm", "--network=none", "--tmpfs=/tmp", "--workdir=/project"),
        *(f"--volume={here}:{there}:ro" for here, there in folders.items()),
        *(f"--env={name}={value}" for name, value in variables.items()),
        *(images.reference(kind), "python3", "-m", "pytest", "-p", "no:cacheprovider"),
        *("--quiet", "--doctest-modules", *TESTS),
        check=False,
    )
    print(f"{kind}:\n{done.stdout}{done.stderr}", flush=True)
    return done.returncode == 0


def main() -> int:
    """Run them one after the other."""
    return 0 if all([_run(kind) for kind in sys.argv[1:]]) else 1


if __name__ == "__main__":
    sys.exit(main())
