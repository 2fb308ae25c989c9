"""Postfix and what it needs, installed and given back, and the mailer that makes room for it meanwhile.

The record lies beside that of the configuration (`original.py`) and says all that giving back takes: the commands,
the packages that came and went, and the files that were there. Runs on the managed host.
"""

from __future__ import annotations

import glob
import json
import os
import re
import signal
import stat
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import aliases, alternatives, mailserver
from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Failed, Refused
from ansible_collections.homelab.mail.plugins.module_utils._program import files, system

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host

Files = dict[str, Any]

RECORD = "packages.json"
# Postfix's package brings these, however what is there now came there.
PROGRAMS = (system.SENDMAIL, "/usr/lib/sendmail", "/usr/bin/mailq", "/usr/bin/newaliases")
# Postfix's package may write these, and the role's Postfix reads none of them.
SHARED = ("/etc/aliases", "/etc/aliases.db", "/etc/mailname")
POSTFIX = "postfix"
# No mailer's settings are larger.
_LARGEST = 1 << 20
_LEAVING_SECONDS = 5


class Packages:
    """The packages of a host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.path = os.path.join(host.original, RECORD)
        self._along: list[str] = []

    def record(self) -> dict[str, Any]:
        """What came and what went; empty where the role has installed nothing."""
        found: dict[str, Any] = json.loads(self.host.read(self.path) or "{}")
        return found

    # --- before anything is installed -----------------------------------------------------------

    def going(self, wanted: Mapping[str, str], family: Mapping[str, Any]) -> list[str]:
        """The packages that make room."""
        if POSTFIX not in wanted or "simulate" not in family:
            return []
        code, out, _err = self.host.command(*family["simulate"], *wanted.values())
        if code == 0:
            # Not those that would be newer only, whose version stands before.
            self._along = re.findall(r"^Inst (\S+) \(", out, re.MULTILINE)
            return re.findall(r"^Remv (\S+)", out, re.MULTILINE)
        # A host without package lists, in a dry run: only one package at a time can have this file.
        _code, out, _err = self.host.command(*family["owner"], os.path.realpath(system.SENDMAIL))
        return [line.partition(":")[0] for line in out.splitlines()]

    def by_hand(self, wanted: Mapping[str, str], family: Mapping[str, Any]) -> list[str]:
        """What of a mailer is there that no package brought: a link to msmtp, a script of one's own."""
        there = filter(os.path.lexists, PROGRAMS if POSTFIX in wanted and "owner" in family else ())
        return [path for path in there if self.host.command(*family["owner"], path)[0] != 0]

    def notice(self, going: list[str], mailers: Mapping[str, Any]) -> str:
        """What a person should know of it before."""
        settings = [path for mailer in self._present(mailers).values() for path in mailer["settings"]]
        there = ", ".join(filter(os.path.exists, settings))
        return (
            f"Postfix takes the place of {', '.join(going)}, which the package manager removes. "
            f"{f'The settings in {there} stay. ' if there else ''}smarthost_state: absent installs it again."
        )

    def judge(self, going: list[str], mailers: Mapping[str, Any], own_names: list[str], take_over: bool) -> None:
        """Refuse to let a mailer go that has mail, and to change one that serves others."""
        reasons = []
        for name, mailer in self._present(mailers if going else {}).items():
            count = sum(len(glob.glob(pattern)) for pattern in mailer["queue"])
            if count:
                reasons.append(alternatives.left_behind(count, name, mailer["flush"]))
        signs = mailserver.other_signs(self.host, own_names) if going else []
        main_cf = self.host.read(self.host.main_cf)
        if self.host.installed and main_cf and not self.host.slot() and not configuration.serves_nobody(main_cf):
            signs += mailserver.look(self.host, own_names, aliases.look(self.host, own_names, asks_postfix=True))
        if signs and not take_over:
            reasons.append(mailserver.refusal(signs))
        if reasons:
            raise Refused(" ".join(reasons))

    @staticmethod
    def _present(mailers: Mapping[str, Any]) -> dict[str, Any]:
        return {name: mailer for name, mailer in mailers.items() if os.path.exists(mailer["program"])}

    # --- installing -----------------------------------------------------------------------------

    def install(
        self, wanted: Mapping[str, str], family: Mapping[str, Any], mailers: Mapping[str, Any], going: Iterable[str],
        by_hand: Iterable[str],
    ) -> None:  # fmt: skip
        """Install them; raises Failed with the host as it was, as far as that can be."""
        main_cf, present = self.host.read(self.host.main_cf), self._present(mailers)
        settings = [path for mailer in present.values() for path in mailer["settings"]]
        before = self._files([*SHARED, self.host.directory, *settings]) if POSTFIX in wanted else {}
        ours = configuration.slot_in_use(main_cf, self.host.directory) or configuration.serves_nobody(main_cf)
        earlier = self.record() if ours else {}
        record = {
            **{name: family.get(name, []) for name in ("install", "remove", "leaves", "fetch", "fetch_into")},
            "installed": [*dict.fromkeys([*earlier.get("installed", []), *wanted.values()])],
            "ca": wanted.get("ca", earlier.get("ca", "")),
            "removed": [*dict.fromkeys([*earlier.get("removed", []), *going])],
            "files": {**before, **earlier.get("files", {})},
            "along": [*dict.fromkeys([*earlier.get("along", []), *self._along])],
            "programs": {**self._files(by_hand), **earlier.get("programs", {})},
        }
        for folder, mode in ((self.host.folder, 0o755), (self.host.original, 0o700)):
            files.own_folder(folder, mode)
        files.replace(self.path, json.dumps(record), 0o600)
        if POSTFIX in wanted and family.get("starts_at_once") and not main_cf:
            # It may listen to the whole network. With this no part of Postfix runs, whatever starts it; what programs
            # send meanwhile waits. Not by forbidding packages to touch services: exim has to be stopped.
            files.replace(self.host.main_cf, "master_service_disable = inet, unix\n")
        code, out, err = self.host.command(*family["install"], *wanted.values())
        if code != 0:
            raise Failed(f"{', '.join(wanted.values())} could not be installed: {_words(out, err)} {self.put_back()}")
        self._restore({path: file for path, file in before.items() if path in SHARED})
        if POSTFIX in wanted:
            # It does not run if nothing starts services, and says so by its status alone.
            self.host.command("postfix", "stop", check=False)
            _end_what_was_removed(self.host.read, [mailer["program"] for mailer in present.values()])

    # --- giving back ----------------------------------------------------------------------------

    def put_back(self) -> str:
        """Undo what this run has installed, before its configuration was in place; in words, how that went."""
        record = self.record()
        try:
            stay = self.give_back(record)
        except Failed as reason:
            return str(reason)
        files.remove(self.host.original)
        with suppress(OSError):
            os.rmdir(self.host.folder)
        return " ".join(stay.values()) or "The packages are as they were before."

    def obstacle(self, record: Mapping[str, Any]) -> str:
        """Why what made room cannot come back; empty where nothing is seen against it."""
        if not record.get("removed") or not record.get("fetch"):
            return ""
        command = [*record["install"], *record["fetch"]]
        with tempfile.TemporaryDirectory() as folder:
            if self.host.module.check_mode:
                # A host that is only asked keeps no file of it.
                os.mkdir(f"{folder}/partial")
                command += [option.format(folder) for option in record.get("fetch_into", [])]
            code, out, err = self.host.command(*command, *record["removed"])
        if code == 0:
            return ""
        names = ", ".join(record["removed"])
        return (
            f"{names} made room for Postfix and cannot be installed again: {_words(out, err)} "
            "Run apt-get update and see what it says. If a package is there no more, take its name out of "
            f'"removed" in {self.path}.'
        )

    def give_back(self, record: Mapping[str, Any]) -> dict[str, str]:
        """The packages as they were; those of the role that stay, with the reason."""
        # What a person has changed since stays changed.
        kept = {**record["files"], **{path: file for path, file in self._files(record["files"]).items() if file}}
        if record["removed"]:
            code, out, err = self.host.command(*record["install"], *record["removed"])
            if code != 0:
                raise Failed(
                    f"{', '.join(record['removed'])} could not be installed again: {_words(out, err)} "
                    "Postfix stays and serves no one. Run the playbook again with smarthost_state: absent."
                )
        stay = {}
        for name in record["installed"]:
            if name == record["ca"]:
                stay[name] = f"{name} stays installed: programs read its CA bundle without saying so."
                continue
            code, out, err = self.host.command(*record["remove"], name)
            if code != 0:
                needing = re.findall(r"^ (\S+) depends on", out + err, re.MULTILINE)
                why = f"{' and '.join(needing)} {'need' if len(needing) > 1 else 'needs'} it" if needing else ""
                stay[name] = f"{name} stays installed: {why or _words(out, err).rstrip('.')}."
        # What came along, the last one first; what another package needs by now stays.
        for name in reversed(record.get("along", [])):
            if name not in (*record["installed"], record["ca"]):
                self.host.command(*record["remove"], name)
        if not self.host.path("postconf", required=False):
            for path in record["leaves"]:
                files.remove(path)
        self._restore(kept)
        programs = record.get("programs", {})
        self._restore({path: file for path, file in programs.items() if not os.path.lexists(path)})
        return stay

    # --- files ----------------------------------------------------------------------------------

    def _files(self, paths: Iterable[str]) -> Files:
        """Path -> mode, owner, group and text of the files there and below; None for a shared one that is not there."""
        found: Files = {path: None for path in paths if path in SHARED}
        for top in paths:
            below = (os.path.join(folder, name) for folder, _folders, names in os.walk(top) for name in names)
            for path in [top, *below]:
                with suppress(OSError):
                    status = os.lstat(path)
                    if path in PROGRAMS and stat.S_ISLNK(status.st_mode):
                        found[path] = [None, 0, 0, os.readlink(path)]
                    elif stat.S_ISREG(status.st_mode) and status.st_size < _LARGEST and not self._is_ours(path):
                        mode = stat.S_IMODE(status.st_mode)
                        found[path] = [mode, status.st_uid, status.st_gid, self.host.read(path)]
        return found

    def _is_ours(self, path: str) -> bool:
        text = self.host.read(path) if path == self.host.main_cf else ""
        return path.startswith(self.host.folder + os.sep) or configuration.serves_nobody(text)

    def _restore(self, kept: Files) -> None:
        """Put back those that are another now, or gone."""
        now = self._files(kept)
        for path, file in kept.items():
            if file is None:
                files.remove(path)
            elif now.get(path) != file:
                mode, user, group, text = file
                if mode is None:
                    os.symlink(text, path)
                    continue
                files.replace(path, text, mode)
                os.chown(path, user, group)


def _end_what_was_removed(read: Callable[[str], str], programs: Iterable[str]) -> None:
    """A daemon that its package did not stop, because something else has started it, would keep port 25."""
    names = {os.path.basename(program) for program in programs if not os.path.exists(program)}
    for path in glob.glob("/proc/[0-9]*/status"):
        # Not by the link to its program: a container does not show that of a daemon. And none that is in a container.
        with suppress(OSError):
            name, alone = (re.search(pattern, read(path)) for pattern in (r"Name:\s*(.+)", r"NSpid:\s*(\d+)\n"))
            if name and alone and name.group(1) in names:
                os.kill(int(alone.group(1)), signal.SIGTERM)
                end = time.monotonic() + _LEAVING_SECONDS
                while os.path.exists(path) and time.monotonic() < end:
                    time.sleep(0.1)


def _words(out: str, err: str) -> str:
    """What the package manager complained of; a sentence."""
    lines = (err.strip() or out.strip()).splitlines()
    said = [line for line in lines if re.match(r"E:|error|dpkg: ", line, re.IGNORECASE)] or lines[-3:]
    return " ".join(line.strip() for line in said).rstrip(".") + "."
