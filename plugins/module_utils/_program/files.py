"""The one writer of files on the managed host: whole, down to the disk, with its mode and its owner.

Standard library only. The role and the program both write with it.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

# Postfix waits for a second or two on a file so new that it may still be being written. Ours are whole before they
# are read, so their time is set back.
AGE_SECONDS = 60
ROOT = (0, 0)


def remembered(path: str) -> dict[str, Any]:
    """What the program wrote down there; nothing where there is nothing, or nothing that it can have written."""
    with suppress(OSError, ValueError), open(path, encoding="utf-8") as file:
        found = json.load(file)
        return found if isinstance(found, dict) else {}
    return {}


def write(path: str, text: str, mode: int, owner: tuple[int, int] = ROOT) -> None:
    """Write a file that only its owner can read until it has its mode. Half of it may be seen: see `replace`."""
    _fill(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), text, mode, owner)


def replace(path: str, text: str, mode: int = 0o644, owner: tuple[int, int] = ROOT) -> None:
    """Put a file in place that is never seen half-written, nor lost with the power."""
    folder, name = os.path.split(path)
    make_folder(folder)
    # The module tempfile takes long to load. A name that is taken already is not opened.
    new = os.path.join(folder, f".{name}-{os.urandom(8).hex()}")
    try:
        _fill(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), text, mode, owner)
        os.replace(new, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(new)
        raise
    sync(folder)


def _fill(handle: int, text: str, mode: int, owner: tuple[int, int]) -> None:
    """All by the handle: in a folder where others may write, the name may lead elsewhere by now."""
    with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        own(handle, owner)
        file.write(text)
        file.flush()
        os.fchmod(handle, mode)
        past = time.time() - AGE_SECONDS
        os.utime(handle, (past, past))
        os.fsync(handle)


def make_folder(path: str) -> None:
    """Make a folder, and those around it, where it is not there."""
    if not os.path.isdir(path):
        os.makedirs(path, exist_ok=True)


def own_folder(path: str, mode: int, owner: tuple[int, int] = ROOT) -> None:
    """Make it root's or another's, with this mode."""
    make_folder(path)
    own(path, owner)
    os.chmod(path, mode)


def own(path: str | int, owner: tuple[int, int] = ROOT) -> None:
    """Give root what on a Mac would belong to the group of the folder around it."""
    if os.geteuid() == 0:
        os.chown(path, *owner)


def remove(path: str) -> None:
    """Take away a file, a link or a whole folder; nothing where there is none."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def sync(folder: str) -> None:
    """Make renames and new names in a folder survive a power loss."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def alone(directory: str) -> Iterator[None]:
    """Two that do this at once take turns. The lock is the folder itself, so that no file stays behind."""
    if not os.path.isdir(directory):
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
