"""Where tokens are kept, and the secret that Postfix shows the proxy: with the user that this runs as.

Standard library only, on the managed host. Root writes there, too, and never leaves anything of its own.
"""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._program import files, services

USER = "_smarthost"
FOLDER = os.path.join(services.STATE, "oauth")
# Where Postfix finds the proxy, and what it is in master.cf. It ends by itself; a large mail may take long.
PORT = 10587
PROXY = f"[127.0.0.1]:{PORT}"
SERVICE = f"127.0.0.1:{PORT}/inet"
LINE = f"127.0.0.1:{PORT} inet n n n - 20 spawn -o command_time_limit=1d user={USER} argv={services.LAUNCHER} proxy"
# How the proxy's word begins for a server that cannot be reached, and what stands for the host's secret elsewhere.
AWAY = "421 4.4.1"
SECRET = "@secret@"
NO_CONSENT = "no_consent: this host has no consent to send for this account"


def kept(account: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an account."""
    return files.remembered(path(account))


def keep(account: Mapping[str, Any], what: Mapping[str, Any]) -> None:
    """Write it down, where there is a user that it can belong to."""
    if own_folder():
        files.replace(path(account), json.dumps(what), 0o600, owner() or files.ROOT)


def forget_others(accounts: Iterable[Mapping[str, Any]]) -> None:
    """Leave nothing of what is no account by now, nor of one for which there was a try alone."""
    there = {_secret(), *map(path, accounts)}
    with locked():
        for found in os.scandir(FOLDER):
            if found.path not in there:
                files.remove(found.path)


def ended(account: Mapping[str, Any]) -> str:
    """Why there are no more tokens for an account; empty where nothing is known against it."""
    found = kept(account)
    missing = not found.get("access_token") and not account["oauth"].get("client_secret")
    return str(found.get("ended") or (NO_CONSENT if missing else ""))


def path(account: Mapping[str, Any]) -> str:
    """The file of an account, another one for each application, secret and user: what is tried spoils nothing."""
    # Not above: what only looks at the host needs none of it.
    import hashlib

    whole = json.dumps([account["username"], account["oauth"]], sort_keys=True)
    return os.path.join(FOLDER, f"token-{hashlib.sha256(whole.encode()).hexdigest()[:16]}.json")


def locked() -> AbstractContextManager[None]:
    """What is kept, for one process alone."""
    own_folder()
    return files.alone(FOLDER)


def owner() -> tuple[int, int] | None:
    """User and group of the proxy, if there are any."""
    try:
        return pwd.getpwnam(USER)[2:4]
    except KeyError:
        return None


def own_folder() -> bool:
    """Whether the folder is there; root makes it for the user, if there is one."""
    whose = owner()
    if os.geteuid() == 0 and whose:
        # Of a user who was taken away; another may have the number by now.
        if os.path.isdir(FOLDER) and os.stat(FOLDER).st_uid != whose[0]:
            files.remove(FOLDER)
        files.own_folder(FOLDER, 0o700, whose)
    return os.path.isdir(FOLDER)


def local_secret(make: bool = False) -> str:
    """What Postfix shows the proxy, so that other users of this host cannot send; empty where there is none."""
    if make and own_folder() and not os.path.exists(_secret()):
        files.replace(_secret(), os.urandom(24).hex(), 0o600, owner() or files.ROOT)
    with suppress(OSError), open(_secret(), encoding="ascii") as file:
        return file.read()
    return ""


def _secret() -> str:
    return os.path.join(FOLDER, "secret")
