"""Where tokens are kept, and the secret that Postfix shows the proxy: with the user that this runs as.

Standard library only, on the managed host. Root writes there, too, and never leaves anything of its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._program import files, services

USER = "_smarthost"
FOLDER = os.path.join(services.STATE, "oauth")
# Where Postfix finds the proxy, and what it is in master.cf.
PROXY = "[127.0.0.1]:10587"
SERVICE = "127.0.0.1:10587/inet"
LINE = f"127.0.0.1:10587 inet n n n - 20 spawn user={USER} argv={services.LAUNCHER} proxy"
# How the proxy's word begins for a server that cannot be reached, and what stands for the host's secret elsewhere.
AWAY = "421 4.4.1"
SECRET = "@secret@"


def kept(account: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an account; nothing where it is another one by now."""
    try:
        with open(path(account), encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and found.get("of") == _of(account) else {}


def keep(account: Mapping[str, Any], what: Mapping[str, Any]) -> None:
    """Write it down, where there is a user that it can belong to."""
    if own_folder():
        _write(path(account), json.dumps({**what, "of": _of(account)}))


def path(account: Mapping[str, Any]) -> str:
    """Where it is."""
    return os.path.join(FOLDER, f"token-{account.get('id', '')}".rstrip("-") + ".json")


def _of(account: Mapping[str, Any]) -> list[str]:
    """What a token is good for; one that was got by another secret says nothing of this one."""
    # Not above: what only looks at the host needs none of it.
    import hashlib

    secret = hashlib.sha256((account["oauth"].get("client_secret") or "").encode()).hexdigest()
    return [account["username"], secret, *(account["oauth"][name] for name in ("client_id", "token_url", "scope"))]


@contextmanager
def locked() -> Iterator[None]:
    """What is kept, for one process alone."""
    with ExitStack() as opened:
        if own_folder():
            handle = os.open(FOLDER, os.O_RDONLY)
            opened.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def owner() -> tuple[int, int] | None:
    """User and group of the proxy, if there are any."""
    try:
        return pwd.getpwnam(USER)[2:4]
    except KeyError:
        return None


def own_folder() -> bool:
    """Whether the folder is there; root makes it for the user, if there is one."""
    if os.geteuid() == 0 and owner() and not os.path.isdir(FOLDER):
        files.own_folder(FOLDER, 0o700)
        give_away(FOLDER)
    return os.path.isdir(FOLDER)


def _write(path: str, text: str) -> None:
    """Never half of it, and never root's: the proxy writes there as its user."""
    new = f"{path}.new"
    with suppress(FileNotFoundError):
        os.unlink(new)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        give_away(file.fileno())
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)
    files.sync(os.path.dirname(path))


def give_away(path: int | str) -> None:
    """Let what root has written belong to the user of the proxy."""
    whose = owner()
    if os.geteuid() == 0 and whose:
        os.chown(path, *whose)


def local_secret(make: bool = False) -> str:
    """What Postfix shows the proxy, so that other users of this host cannot send; empty where there is none."""
    path = os.path.join(FOLDER, "secret")
    with suppress(OSError), open(path, encoding="ascii") as file:
        return file.read()
    if not make or not own_folder():
        return ""
    _write(path, os.urandom(24).hex())
    return local_secret()
