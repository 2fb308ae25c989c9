"""What of the scenarios runs beside what: each job has its own hosts and provider, because tests spoil a provider."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
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
    # Whether it has tests that are marked as long: no, only, too.
    long: str = "no"

    def environment(self) -> dict[str, str]:
        """What the job's Molecule and pytest are told."""
        lab = os.environ.get("LAB", "molecule") + ("" if self.name == self.scenario else f"-{self.name}")
        chosen = {"LIMIT": self.hosts} if self.hosts != "all" else {}
        # Molecule's notes, which are one for all runs of a scenario.
        notes = {"MOLECULE_EPHEMERAL_DIRECTORY": str(STATE / "molecule" / self.name)}
        short = {"STEPS": "[destroy, create, prepare, converge, verify, destroy]"}
        steps = short if self.tests and (self.long == "only" or not {*EACH} & {*self.tests}) else {}
        return {"LAB": lab, **chosen, **notes, **steps, "TESTS": ",".join(self.tests), "LONG": self.long}

    def images(self) -> set[str]:
        """The images that it needs."""
        inventory = yaml.safe_load((PROJECT / f"molecule/{self.scenario}/inventory/hosts.yml").read_text())["all"]
        wanted = re.split("[,:]", self.hosts)
        suites = {host["suite"] for name, host in inventory["hosts"].items() if {name, "all"} & {*wanted}}
        return {PROVIDER, *suites}


# A host's own way: rendered, delivered, run again, booted, given back.
EACH = ("test_host", "test_mail", "test_untidy", "test_whole_life")
# Where mail leaves, by which account and login.
AT_PROVIDERS = (
    *("test_accounts", "test_bursts", "test_recipients", "test_oauth"),
    *("test_provider", "test_arrival", "test_found"),
)
# make test has each promise on one host, Debian's stable; what goes by Postfix's version on the oldest and the newest
# that a Debian has, or the oldest alone; and a Mac. The longest first.
JOBS = (
    Job("run", "default", "trixie", ("test_run",)),
    Job("rest", "default", "trixie"),
    Job("provider", "default", "trixie", AT_PROVIDERS),
    Job("house", "default", "trixie", ("test_house", "test_hub", "test_faults", "test_names")),
    Job("old-new", "default", "bullseye,sid", (*EACH, "test_tables", "test_check")),
    Job("replies", "replies"),
    Job("systems", "systems", "macbook"),
    Job("trial", "default", "bullseye", ("test_trial", "test_flow")),
    # make proof has the other systems, and what takes long: half a minute, many hosts, many packages.
    Job("long", "default", "trixie", group="proof", long="only"),
    Job("other-systems", "systems", "openrc,noinit", group="proof", long="too"),
    Job("fleet", "default", "bookworm,trixie,forky", EACH, "proof", long="too"),
    Job("oauth-old", "default", "bullseye", ("test_oauth",), "proof", long="too"),
    Job("mac-long", "systems", "macbook", ("test_systems", "test_tokens"), "proof", long="only"),
    Job("trial-new", "default", "sid", ("test_trial", "test_flow"), "proof", long="too"),
    Job("rehearsal", "default", "bullseye,sid", ("test_rehearsal",), "proof", long="too"),
    Job("long-replies", "replies", group="proof", long="only"),
    Job("many-spokes", "default", "trixie", ("test_many_spokes", "test_firewalls", "test_seldom"), "proof", long="too"),
    Job("recipes", "default", "trixie", ("test_recipes_of_programs",), "proof", long="too"),
)


def _present(scenario: str) -> list[str]:
    return sorted(path.stem for path in PROJECT.glob(f"molecule/{scenario}/tests/test_*.py"))


def chosen(limit: str) -> list[Job]:
    """All jobs, or the whole of each scenario that has a host that LIMIT names."""
    taken = {test for job in JOBS if job.group != "proof" for test in job.tests}
    alone = {test for job in JOBS for test in job.tests} - taken
    ours = [test for test in _present("default") if test not in alone]
    if limit == "all":
        rest = {"no": tuple(test for test in ours if test not in taken), "only": tuple(ours)}
        return [job if job.tests or job.scenario != "default" else replace(job, tests=rest[job.long]) for job in JOBS]
    parts = {"default": tuple(ours)}
    wanted = set(re.split("[,:]", limit))
    inventories = sorted(PROJECT.glob("molecule/*/inventory/hosts.yml"))
    hosts = {path.parts[-3]: set(yaml.safe_load(path.read_text())["all"]["hosts"]) for path in inventories}
    return [Job(name, name, limit, parts.get(name, ())) for name, present in hosts.items() if wanted & present]
