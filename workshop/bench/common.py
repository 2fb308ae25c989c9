"""What the measurements share: hosts of their own, a stopwatch, and tables."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import yaml

from workshop.lab import environment, labs
from workshop.lab.host import exec
from workshop.lab.provider import ACCOUNT, PASSWORD, Provider

PROJECT = Path(__file__).resolve().parents[2]
LAB = os.environ.get("LAB", "bench")
VARIABLES = {"smarthost_provider": "fastmail", "smarthost_username": ACCOUNT, "smarthost_password": PASSWORD}
PRECEDENCE = "all_inventory,groups_inventory,all_plugins_inventory,groups_plugins_inventory"


def progress(text: str) -> None:
    """Say what is measured; on the terminal alone, so that the tables can be kept in a file."""
    print(f"… {text}", file=sys.stderr, flush=True)


def only_tables() -> TextIO:
    """Where tables go; from now on, all that a lab says of itself goes to the terminal instead."""
    tables, sys.stdout = sys.stdout, sys.stderr
    return tables


class Site:
    """A lab with a provider, and an inventory of its hosts."""

    def __init__(self, lab: str, hosts: Sequence[str], folder: Path) -> None:
        self.lab = lab
        self.provider = Provider(lab)
        self.folder = folder
        inventory = {"all": {"hosts": dict.fromkeys(hosts), "vars": {"lab": lab, **VARIABLES}}}
        (folder / "hosts.yml").write_text(yaml.safe_dump(inventory))

    def run(self, *command: str, **settings: str) -> str:
        """What a command of Ansible's says, to which the inventory is added; it must go well."""
        inventories = ("--inventory=workshop/lab/inventory", f"--inventory={self.folder / 'hosts.yml'}")
        done = subprocess.run(
            [command[0], *inventories, *command[1:]], cwd=PROJECT, capture_output=True, text=True, check=False,
            env={**os.environ, **environment(), "ANSIBLE_PRECEDENCE": PRECEDENCE, **settings},
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def seconds(self, *command: str, **settings: str) -> float:
        """How long it takes."""
        start = time.monotonic()
        self.run(*command, **settings)
        return time.monotonic() - start

    def configure(self, *options: str) -> None:
        """Run the main job."""
        self.seconds("ansible-playbook", *options, "site.yml")

    def playbook(self, name: str, tasks: object, facts: bool = True) -> str:
        """Write a playbook for all hosts; its path."""
        path = self.folder / f"{name}.yml"
        path.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": facts, "tasks": tasks or []}]))
        return str(path)

    def on(self, host: str, script: str) -> str:
        """What a script says that runs on a host."""
        return exec(f"{self.lab}-{host}", "sh", "-euc", script).stdout


@contextmanager
def site(name: str, hosts: dict[str, str]) -> Iterator[Site]:
    """A lab (HOST: KIND) that is gone afterwards."""
    lab = f"{LAB}-{name}"
    with tempfile.TemporaryDirectory() as folder:
        try:
            labs.up(lab, hosts)
            yield Site(lab, list(hosts), Path(folder))
        finally:
            labs.down(lab, [])


def medians(rounds: dict[str, list[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: statistics.median(values) for name, values in rounds.items()}


def spread(values: Sequence[float], digits: int = 1) -> str:
    """A median with the least and the most."""
    middle, least, most = (f"{value:.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{middle} ({least} to {most})"


def table(title: str, remark: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A section in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    text = "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
    return f"## {title}\n\n{remark}\n\n{text}\n"


def kept(text: str, promise: bool) -> str:
    """A ratio, and whether it is what was promised."""
    return text if promise else f"**{text}**"
