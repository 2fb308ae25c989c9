"""Which system a host has, and what starts services there.

Not by Ansible's collectors of facts: to ask three of them, all have to be sent and loaded, which takes as long as all
the rest of a run that changes nothing. Runs on the managed host.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from typing import NamedTuple

from ansible.module_utils import distro

# What process 1 calls itself -> what people call it.
_PROCESS_1 = {"openrc-init": "openrc", "runit-init": "runit", "svscan": "svc"}
# Where it says no more than init, or is a shell, as in containers: what is there only where the manager runs.
_SIGNS = {"systemd": "/run/systemd/system", "openrc": "/sbin/openrc"}


class System(NamedTuple):
    """What os-release says: its ID and those of the systems that it is like, its name and its release."""

    ids: list[str]
    name: str
    release: str

    def family(self, families: Iterable[str]) -> str:
        """The family that it is of by its own ID or one that it is like; empty where none is known."""
        known = {name.lower(): name for name in families}
        return next((known[one] for one in self.ids if one in known), "")


def system() -> System:
    """The system of this host."""
    if platform.system() != "Linux":
        return System([platform.system().lower()], platform.system(), platform.release())
    said = distro.os_release_info()
    ids = [said.get("id", ""), *said.get("id_like", "").split()]
    return System(ids, said.get("name", "Linux"), said.get("version_id", ""))


def first_line(path: str) -> str:
    """The first line of a file; empty where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readline().strip()
    except OSError:
        return ""


def service_manager() -> str:
    """What starts services on this host; in a container it may be the name of any program."""
    if platform.system() == "Darwin":
        return "launchd"
    process = first_line("/proc/1/comm")
    if process and process != "init" and not process.endswith("sh"):
        return _PROCESS_1.get(process, process)
    return next((name for name, path in _SIGNS.items() if os.path.exists(path)), "none")


def interpreter() -> str:
    """The Python that runs this, by the name that stays after an upgrade; Ansible finds /usr/bin/python3.13."""
    lasting = os.path.join(os.path.dirname(sys.executable), "python3")
    return lasting if os.path.realpath(lasting) == os.path.realpath(sys.executable) else sys.executable
