"""Where the program `smarthost` lies on the managed host: a launcher, and the role's own modules beside it.

The modules are the ones that the role runs with, taken from its own archive, so that the program and
the role cannot say different things.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ansible_collections.homelab.mail.plugins.module_utils._program import files as writer
from ansible_collections.homelab.mail.plugins.module_utils._program import services

if TYPE_CHECKING:
    # Ansible packs into its archive what it sees imported. To be copied, none of it need run, which would take a while.
    from ansible_collections.homelab.mail.plugins.module_utils import configuration  # noqa: F401 (packed, not used)
    from ansible_collections.homelab.mail.plugins.module_utils._program import (  # noqa: F401 (packed, not used)
        chroot,
        diagnosis,
        events,
        health,
        launchd,
        login,
        managers,
        queued,
        replies,
        retry,
        smarthost,
        system,
        systemd,
        watch,
    )

PROGRAM = services.__name__.rpartition(".")[0]
SHARED = PROGRAM.rpartition(".")[0]
# All that the program imports; a test compares.
MODULES = (
    f"{SHARED}.configuration",
    *(
        f"{PROGRAM}.{name}"
        for name in (
            "chroot", "diagnosis", "events", "files", "health", "launchd", "login", "managers", "queued", "replies",
            "retry", "services", "smarthost", "system", "systemd", "watch",
        )
    ),
)  # fmt: skip
LIBRARY = "/usr/local/lib/smarthost"


def _source(module: str) -> str:
    spec = importlib.util.find_spec(module)
    loader: Any = spec and spec.loader
    return str(loader.get_source(module))


def interpreter() -> str:
    """The Python that runs this, by the name that stays after an upgrade; Ansible finds /usr/bin/python3.13."""
    lasting = os.path.join(os.path.dirname(sys.executable), "python3")
    return lasting if os.path.realpath(lasting) == os.path.realpath(sys.executable) else sys.executable


def files() -> dict[str, tuple[str, int]]:
    """Path -> text and mode of each file of the program."""
    launcher = (
        f"#!{interpreter()}\n"
        "# Managed by Ansible. How mail leaves this host, and why it does not: smarthost --help\n"
        "import sys\n\n"
        f'sys.path.insert(0, "{LIBRARY}")\n'
        f"from {PROGRAM} import smarthost\n\n"
        "sys.exit(smarthost.main())\n"
    )
    modules = {os.path.join(LIBRARY, *module.split(".")) + ".py": (_source(module), 0o644) for module in MODULES}
    return {**modules, services.LAUNCHER: (launcher, 0o755)}


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
    for folder in (LIBRARY, services.STATE):
        shutil.rmtree(folder, ignore_errors=True)
    writer.remove(services.LAUNCHER)
