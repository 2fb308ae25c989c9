"""The program `smarthost` and its jobs, put on the managed host and taken away. Runs there."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ansible_collections.homelab.mail.plugins.module_utils._change import surroundings
from ansible_collections.homelab.mail.plugins.module_utils._program import files as writer
from ansible_collections.homelab.mail.plugins.module_utils._program import installed, services

if TYPE_CHECKING:
    # Ansible packs into its archive what it sees imported, and what that imports. To be copied, none of it need run,
    # which would take a while.
    from ansible_collections.homelab.mail.plugins.module_utils._program import smarthost  # noqa: F401 (packed, not used)


def files() -> dict[str, tuple[str, int]]:
    """Path -> text and mode of each file of the program."""
    return installed.files(surroundings.interpreter())


def put(outdated: Mapping[str, tuple[str, int]]) -> None:
    """Write these files of the program and of its jobs: path -> text and mode."""
    for path, (text, mode) in outdated.items():
        writer.replace(path, text, mode)


def end(manager: services.ServiceManager, jobs: Iterable[services.Job]) -> None:
    """Stop the jobs and remove their files."""
    for job in jobs:
        manager.end_schedule(job)
        for path in manager.schedule(job):
            writer.remove(path)


def remove() -> None:
    """Take the program away."""
    for folder in (services.LIBRARY, services.STATE):
        shutil.rmtree(folder, ignore_errors=True)
    writer.remove(services.LAUNCHER)
