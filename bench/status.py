"""How long `smarthost status` takes, and how much memory, on a host with a long queue."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from lab import environment, labs
from lab.host import exec

PROJECT = Path(__file__).resolve().parent.parent
LAB = os.environ.get("LAB", "bench")
SERVER = "nas.lan"
MAILS = 10_000

# Prints seconds and kilobytes; the best of ten, because the machine may have other things to do.
MEASURE = """
import json, resource, subprocess, time
def run():
    start = time.monotonic()
    said = subprocess.run(["smarthost", "status", "--json"], stdout=subprocess.PIPE).stdout
    assert json.loads(said)["queue"]["messages"] == %d, said
    return time.monotonic() - start
seconds = min(run() for _ in range(10))
print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss]))
"""


def measure() -> tuple[float, float]:
    """Seconds and megabytes."""
    labs.up(LAB, {SERVER: "trixie"})
    try:
        inventories = ["--inventory=lab/inventory", "--inventory=demo/inventory", f"--extra-vars=lab={LAB}"]
        command = ["ansible-playbook", *inventories, "--vault-password-file=demo/vault-password", "site.yml"]
        precedence = "all_inventory,groups_inventory,all_plugins_inventory,groups_plugins_inventory"
        settings = {**os.environ, **environment(), "ANSIBLE_PRECEDENCE": precedence}
        subprocess.run(command, cwd=PROJECT, env=settings, check=True, stdout=subprocess.DEVNULL)
        container = f"{LAB}-{SERVER}"
        fill = (
            f"postconf -e defer_transports=smtp && postfix reload && smtp-source -s 10 -m {MAILS} -t root 127.0.0.1:25"
        )
        exec(container, "sh", "-euc", fill)
        # Until Postfix has looked at all of it.
        exec(container, "sh", "-euc", "while postqueue -j | grep -qv '\"deferred\"'; do sleep 0.5; done")
        seconds, kilobytes = json.loads(exec(container, "python3", "-c", MEASURE % MAILS).stdout)
    finally:
        labs.down(LAB, [])
    return seconds, kilobytes / 1024
