"""What of the scenarios runs beside what: each job has its own hosts and provider, because tests spoil a provider."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import yaml

from workshop.lab import STATE
from workshop.lab.images import PROVIDER

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Job:
    """A scenario, or a part of it: these files of tests (else all that no other job has) on these hosts."""

    name: str
    scenario: str
    hosts: str = "all"
    tests: tuple[str, ...] = ()
    group: str = "molecule"

    def environment(self) -> dict[str, str]:
        """What the job's Molecule and pytest are told."""
        lab = os.environ.get("LAB", "molecule") + ("" if self.name == self.scenario else f"-{self.name}")
        chosen = {"LIMIT": self.hosts} if self.hosts != "all" else {}
        # Molecule's notes, which are one for all runs of a scenario.
        notes = {"MOLECULE_EPHEMERAL_DIRECTORY": str(STATE / "molecule" / self.name)}
        short = {"STEPS": "[destroy, create, prepare, converge, verify, destroy]"}
        steps = short if self.tests and not {*EACH} & {*self.tests} else {}
        return {"LAB": lab, **chosen, **notes, **steps, "TESTS": ",".join(self.tests)}

    def images(self) -> set[str]:
        """The images that it needs."""
        inventory = yaml.safe_load((PROJECT / f"molecule/{self.scenario}/inventory/hosts.yml").read_text())["all"]
        wanted = re.split("[,:]", self.hosts)
        suites = {host["suite"] for name, host in inventory["hosts"].items() if {name, "all"} & {*wanted}}
        return {PROVIDER, *suites}


# A host's own way: rendered, delivered, run again, booted, given back.
EACH = ("test_host", "test_mail", "test_untidy", "test_whole_life")
# The longest first. What is on two hosts for the sake of Postfix's versions needs the oldest and the newest.
JOBS = (
    Job("run", "default", "trixie", ("test_run",)),
    Job("replies", "replies"),
    Job("systems", "systems"),
    Job("trial", "default", "bullseye,sid", ("test_trial", "test_rehearsal", "test_flow")),
    Job("faults", "default", "trixie", ("test_faults", "test_names")),
    Job("provider", "default", "trixie", ("test_provider", "test_arrival", "test_found")),
    Job("house", "default", "trixie", ("test_house", "test_hub")),
    Job("accounts", "default", "trixie", ("test_accounts", "test_recipients")),
    Job("oauth", "default", "trixie", ("test_oauth",)),
    Job("old-new", "default", "bullseye,sid", (*EACH, "test_tables")),
    Job("rest", "default", "trixie"),
    Job("fleet", "default", "bookworm,trixie,forky", (*EACH, "test_check")),
    # Many hosts, or packages that take long: of make proof alone.
    Job("many-spokes", "default", "trixie", ("test_many_spokes", "test_firewalls", "test_seldom"), "proof"),
)


def _present(scenario: str) -> list[str]:
    return sorted(path.stem for path in PROJECT.glob(f"molecule/{scenario}/tests/test_*.py"))


def chosen(limit: str) -> list[Job]:
    """All jobs, or the whole of each scenario that has a host that LIMIT names."""
    if limit == "all":
        taken = {test for job in JOBS for test in job.tests}
        rest = tuple(test for test in _present("default") if test not in taken)
        return [
            job if job.tests or job.scenario != "default" else Job(job.name, "default", job.hosts, rest) for job in JOBS
        ]
    long = {test for job in JOBS if job.group == "proof" for test in job.tests}
    parts = {"default": tuple(test for test in _present("default") if test not in long)}
    wanted = set(re.split("[,:]", limit))
    inventories = sorted(PROJECT.glob("molecule/*/inventory/hosts.yml"))
    hosts = {path.parts[-3]: set(yaml.safe_load(path.read_text())["all"]["hosts"]) for path in inventories}
    return [Job(name, name, limit, parts.get(name, ())) for name, present in hosts.items() if wanted & present]
