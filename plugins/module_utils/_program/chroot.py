"""Copies of the host's own files in Postfix's chroot, which are as old as Postfix's last start.

Standard library only. Runs on the managed host.
"""

from __future__ import annotations

import contextlib
import os

# What Debian copies into the queue directory whenever Postfix starts, for daemons in a chroot.
COPIER = "/usr/lib/postfix/configure-instance.sh"
COPIES = ("localtime", "services", "resolv.conf", "hosts", "host.conf", "nsswitch.conf", "nss_mdns.config")


def stale_copies(queue_directory: str) -> list[str]:
    """The files there that are not what the host has."""
    with contextlib.suppress(OSError):
        return sorted(
            entry.path
            for entry in os.scandir(f"{queue_directory}/etc")
            if entry.is_file() and _differ(f"/etc/{entry.name}", entry.path)
        )
    return []


def is_renewed_by_a_start(queue_directory: str) -> bool:
    """Whether a start of Postfix would change what daemons in a chroot know of networks and names."""
    return os.path.exists(COPIER) and any(_differ(f"/etc/{name}", f"{queue_directory}/etc/{name}") for name in COPIES)


def _differ(original: str, copy: str) -> bool:
    """Whether a copy is missing or another than the original; what has no original is no copy."""
    return os.path.isfile(original) and _content(original) != _content(copy)


def _content(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
