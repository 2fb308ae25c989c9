"""What was found on a host before the role, kept as one record, and given back. Runs on the managed host.

The record lies beside the role's tables: main.cf, its password tables, and in `found.json` how Postfix ran and what
the role has added to master.cf. What it has installed is noted in another file, before that (`packages.py`).
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import (
    alternatives,
    daemon,
    errors,
    hiding,
    installation,
    waiting,
)
from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Failed, Refused
from ansible_collections.homelab.mail.plugins.module_utils._change.packages import Packages
from ansible_collections.homelab.mail.plugins.module_utils._program import files, services

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host
    from ansible_collections.homelab.mail.plugins.module_utils._change.plan import Plan


class Original:
    """The record of a host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.folder = host.original
        self._new = self.folder + ".new"
        self._path = os.path.join(self.folder, "found.json")

    def found(self) -> dict[str, Any]:
        """How the host was found; empty where that was not written down."""
        found: dict[str, Any] = json.loads(self.host.read(self._path) or "{}")
        return found

    def main_cf(self) -> str:
        """The main.cf from before."""
        return self.host.read(os.path.join(self.folder, "main.cf"))

    def is_due(self, plan: Plan) -> bool:
        """Whether what is here now was here before the role.

        A record from before is of a run that has failed, or was given up: it does not say what is here now. But if
        there is no main.cf, the role's was taken away.
        """
        return not plan.kept and bool(plan.before or not self.found())

    def keep(self, plan: Plan, installed: bool) -> None:
        """Keep what was here before the role."""
        if not self.is_due(plan):
            return
        packages = Packages(self.host)
        noted = self.host.read(packages.path) if installed or plan.fresh else ""
        there = os.path.isfile(self.host.main_cf)
        # Whole or not at all: absent would trust half of it.
        files.remove(self._new)
        files.own_folder(self._new, 0o700)
        if noted:
            files.write(os.path.join(self._new, os.path.basename(packages.path)), noted, 0o600)
        found = {
            "running": there
            and (plan.found.running or (self.host.manager.starts_what_is_enabled and self.host.started())),
            "enabled": plan.found.enabled and not plan.fresh,
            "mode": os.stat(self.host.main_cf).st_mode & 0o7777 if there else None,
            "link": os.readlink(self.host.main_cf) if os.path.islink(self.host.main_cf) else "",
            "password_tables": [],
            "senders": waiting.senders(self.host),
            "mailer": alternatives.note(self.host),
        }
        files.write(os.path.join(self._new, "main.cf"), plan.before, 0o600)
        files.write(os.path.join(self._new, "found.json"), json.dumps(found), 0o600)
        files.remove(self.folder)
        os.rename(self._new, self.folder)
        files.sync(self.host.folder)

    def forget(self) -> None:
        """Remove the record, of a change that did not come to pass; and the role's folder, if nothing else is in it.

        What was installed for it is still to be undone.
        """
        packages = Packages(self.host).path
        files.remove(self._new)
        for name in self.host.names(self.folder):
            if os.path.join(self.folder, name) != packages:
                files.remove(os.path.join(self.folder, name))
        for folder in (self.folder, self.host.folder):
            with suppress(OSError):
                os.rmdir(folder)

    def add_services(self, names: Iterable[str]) -> None:
        """Note what the role adds to master.cf."""
        found = self.found()
        if found:
            self._write({**found, "services": sorted({*found.get("services", []), *names})})

    def _write(self, found: dict[str, Any]) -> None:
        files.replace(self._path, json.dumps(found), 0o600)

    def bring_along(self) -> None:
        """If the role's folder was made a link, what was there before the role comes back from behind it."""
        if not os.path.islink(self.host.folder) or not os.path.isfile(self._path):
            return
        behind = os.path.realpath(self.folder)
        os.unlink(self.host.folder)
        os.mkdir(self.host.folder)
        os.mkdir(self.folder, 0o700)
        for name in self.host.names(behind):
            files.write(os.path.join(self.folder, name), self.host.read(os.path.join(behind, name)), 0o600)

    def close(self) -> None:
        """Let only root read it, and nothing be in it that was left half-written."""
        if os.path.isdir(self.folder):
            os.chmod(self.folder, 0o700)
            for path in (os.path.join(self.folder, name) for name in self.host.names(self.folder)):
                if os.path.basename(path).startswith("."):
                    files.remove(path)
                else:
                    os.chmod(path, 0o600)

    # --- password tables ------------------------------------------------------------------------

    def move_secrets_away(self) -> None:
        """Take the password tables of the main.cf from before out of reach: only root's copy stays.

        Not earlier than the new configuration runs, because the old one would need them.
        """
        found = self.found()
        maps = configuration.password_maps(self.main_cf())
        for path in configuration.table_files(maps, self.host.directory) if found else []:
            there = [path, *(path + suffix for suffix in sorted({*configuration.COMPILED.values()}))]
            present = [name for name in there if os.path.isfile(name)]
            if not present or path.startswith(self.host.folder):
                continue
            if path not in [table["path"] for table in found["password_tables"]]:
                # Some people remove the text when it is compiled.
                text = self.host.read(path)
                for spelled in self._spelled(maps, path)[:1] if path not in present else []:
                    text = self.host.command("postmap", "-s", spelled)[1]
                if not text:
                    # It could not be given back.
                    self.host.module.warn(
                        f"{', '.join(present)} cannot be read and stays. Remove it: it may hold a password."
                    )
                    continue
                kept = os.path.join(self.folder, f"password_table_{len(found['password_tables'])}")
                mode = os.stat(present[0]).st_mode & 0o7777
                files.write(kept, text, 0o600)
                table = {"path": path, "mode": mode, "compiled": present != [path], "text": path in present}
                found["password_tables"].append(table)
                self._write(found)
            for name in reversed(present):
                os.unlink(name)

    def put_link_back(self) -> None:
        """What main.cf was where it was no file: a link, if what it leads to is as it was, or nothing."""
        found, path = self.found(), self.host.main_cf
        behind = os.path.join(self.host.directory, found.get("link", ""))
        if found["mode"] is None:
            files.remove(path)
        if found.get("link") and self.host.read(behind) == self.main_cf():
            files.remove(path)
            os.symlink(found["link"], path)

    def _spelled(self, maps: str, path: str) -> list[str]:
        """This table as a list of tables names it."""
        named = configuration.expanded(maps, self.host.directory).replace(",", " ").split()
        return [spelled for spelled in named if spelled == path or spelled.endswith(":" + path)]

    def put_secrets_back(self) -> None:
        """The password tables of the main.cf from before, compiled where they were."""
        maps = configuration.password_maps(self.main_cf())
        for number, table in enumerate(self.found()["password_tables"]):
            text = self.host.read(os.path.join(self.folder, f"password_table_{number}"))
            files.write(table["path"], text, table["mode"])
            for spelled in self._spelled(maps, table["path"]) if table["compiled"] else []:
                self.host.command("postmap", spelled, check=False)
            if not table.get("text", True):
                os.unlink(table["path"])


def remove_services(host: Host, names: Iterable[str]) -> None:
    """Take services that the role has added out of master.cf."""
    for name in names:
        host.command("postconf", "-MX", name, check=False)


def remove_sockets(host: Host, names: Iterable[str]) -> None:
    """Remove what Postfix, which does not know them any more, leaves of such services."""
    queue = host.value("queue_directory") if names else ""
    for name, _slash, kind in (name.partition("/") for name in names):
        files.remove(os.path.join(queue, "private", name))
        files.remove(os.path.join(queue, "pid", f"{kind}.{name}"))


def sweep(host: Host) -> None:
    """Remove what a run has left beside main.cf that was killed while it wrote or replaced that."""
    for path in glob.glob(os.path.join(host.directory, ".main.cf-*")):
        files.remove(path)


# --- giving it back ---------------------------------------------------------------------------------


def give_back(host: Host, abandon_queue: bool) -> dict[str, Any]:
    """The host as it was found; raises Refused with everything as it is."""
    original, packages = Original(host), Packages(host)
    found, record, main_cf = original.found(), packages.record(), host.read(host.main_cf)
    ours = host.slot() is not None
    if ours and not found:
        raise Refused(
            f"what this host had before is not in {original.folder} any more, so it cannot be given back. "
            f"Write a main.cf of your own, or remove Postfix; then remove {host.folder}, which has the password."
        )
    if not ours and main_cf not in ("", original.main_cf()) and not configuration.serves_nobody(main_cf):
        # A person has configured Postfix since; the record is of another time.
        found, record = {}, {}
    waits = waiting.count(host) if found else 0
    if waits and not abandon_queue:
        raise Refused(
            f"{waits} mails wait in the queue, and the configuration from before may not be able to send them. "
            "See mailq for why they wait, or set smarthost_abandon_queue: true to leave them there."
        )
    obstacle = packages.obstacle(record)
    if obstacle:
        raise Refused(obstacle)
    actions, diff = [], []
    if found:
        actions.append("gave back the configuration from before")
        before, after = (hiding.hide_logins(text) for text in (host.read(host.main_cf), original.main_cf()))
        diff = [{"before_header": host.main_cf, "after_header": host.main_cf, "before": before, "after": after}]
    elif os.path.lexists(host.folder) or host.jobs_left():
        # Of a run that was killed before main.cf named its tables, or after they had served: with a password.
        actions.append("removed what a run had left")
    if record:
        actions.append(f"removed {', '.join(record['installed'])}")
        actions += [f"installed {name} again" for name in record["removed"]]
    if actions and not host.module.check_mode:
        _put_back(host, original, found, record, host.queue(main_cf) if waits and record else "")
    return {"changed": bool(actions), "actions": actions, "diff": diff}


def _put_back(host: Host, original: Original, found: dict[str, Any], record: dict[str, Any], queue: str) -> None:
    """`queue` is the folder of the queue, where mail is that is to stay when packages go."""
    metrics = services.textfile(host.read(host.table(host.slot(), configuration.WATCH)))
    if found:
        original.put_secrets_back()
        files.replace(host.main_cf, original.main_cf(), found["mode"] or 0o644)
    with errors.made_up_for_by_the_next_run():
        sweep(host)
        remove_services(host, found.get("services", []))
        if found and host.installed and not found["enabled"]:
            host.manager.disable()
        installation.end(host.manager, host.jobs_left())
        files.remove(metrics)
        installation.remove()
        try:
            if found and host.installed:
                _run_as_before(host, found)
                remove_sockets(host, found.get("services", []))
            if found:
                # Not before: where nothing was, Postfix could not even be stopped.
                original.put_link_back()
            alternatives.give_back(host, found.get("mailer", {}))
        finally:
            with _kept(queue):
                for sentence in Packages(host).give_back(record).values() if record else []:
                    host.module.warn(sentence)
            # Last of all: a run that is killed before finds in it what is to be done. And at once, not file by file.
            if os.path.lexists(original.folder):
                os.rename(original.folder, original.folder + ".gone")
            files.remove(host.folder)


@contextmanager
def _kept(queue: str) -> Iterator[None]:
    """Keep a queue from a package that takes it along when it goes, as Debian's does."""
    aside = f"{queue}.kept"
    if queue:
        os.rename(queue, aside)
    try:
        yield
    finally:
        if queue:
            files.remove(queue)
            os.rename(aside, queue)


def _run_as_before(host: Host, found: dict[str, Any]) -> None:
    try:
        if not found["running"]:
            host.manager.stop()
        elif found["enabled"] or not host.manager.starts_what_is_enabled:
            daemon.start(host)
        else:
            host.command("postfix", "start")
    except Refused as reason:
        raise Failed(f"The host has its configuration from before again, but {reason}") from reason
