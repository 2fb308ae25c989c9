"""How long playbooks/check.yml takes for 16 hosts, beside `ansible all -m ping` in the same run."""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import yaml

from lab import environment, labs

PROJECT = Path(__file__).resolve().parent.parent
LAB = os.environ.get("LAB", "bench") + "-fleet"
HOSTS = [f"h{number:02}" for number in range(1, 17)]
FORKS = "--forks=16"
ROUNDS = 5
# The lab's own account; nothing else knows it.
VARIABLES = {
    "lab": LAB,
    "smarthost_provider": "fastmail",
    "smarthost_username": "casey@fastmail.com",
    "smarthost_password": "q7w2 e9r4 t6y1 u8i3",
}


def measure() -> tuple[list[float], list[float]]:
    """Seconds of each round, of ping and of the check."""
    labs.up(LAB, dict.fromkeys(HOSTS, "trixie"))
    try:
        with tempfile.TemporaryDirectory() as folder:
            inventory = Path(folder) / "hosts.yml"
            inventory.write_text(yaml.safe_dump({"all": {"hosts": dict.fromkeys(HOSTS), "vars": VARIABLES}}))
            where = ("--inventory=lab/inventory", f"--inventory={inventory}", FORKS)
            _seconds("ansible-playbook", *where, "site.yml")
            pings, checks = [], []
            # In turn, so that whatever else the machine does befalls both.
            for _round in range(ROUNDS):
                pings.append(_seconds("ansible", *where, "all", "--module-name=ping"))
                checks.append(_seconds("ansible-playbook", *where, "playbooks/check.yml"))
    finally:
        labs.down(LAB, [])
    return pings, checks


def _seconds(*command: str) -> float:
    precedence = "all_inventory,groups_inventory,all_plugins_inventory,groups_plugins_inventory"
    settings = {**os.environ, **environment(), "ANSIBLE_PRECEDENCE": precedence}
    start = time.monotonic()
    subprocess.run(command, cwd=PROJECT, env=settings, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start


def show() -> None:
    """Measure, and print the figures beside the promise."""
    pings, checks = measure()
    ping, check = statistics.median(pings), statistics.median(checks)
    promise = 2 * ping + 1
    print(f"playbooks/check.yml, {len(HOSTS)} hosts, {FORKS}, medians of {ROUNDS} rounds in turn")
    print(f"  ansible all -m ping   {ping:6.2f} s   ({min(pings):.2f} to {max(pings):.2f})")
    print(f"  check.yml             {check:6.2f} s   ({min(checks):.2f} to {max(checks):.2f})")
    print(f"  promised 2 x ping + 1 {promise:6.2f} s   ratio {check / promise:.2f}", flush=True)
