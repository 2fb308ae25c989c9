"""What the role finds on a host, and what a run would do there whatever the configuration says.

Reads only. Runs on the managed host; what changes it goes by this.
"""

from __future__ import annotations

import fcntl
import glob
import json
import os
import re
import stat
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import alternatives, master, surroundings, waiting
from ansible_collections.homelab.mail.plugins.module_utils._program import chroot, managers, services, system, tokens

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.answering import Module

QUEUE = "/var/spool/postfix"
# How the host was found, in the folder `original`.
RECORD = "found.json"
EVERYWHERE = (("0.0.0.0", 25), ("::", 25))


_STATUS = re.compile(r"(\d+) \((.*)\) \S (\d+) (?:\S+ ){17}(\d+) ")


class Process(NamedTuple):
    """What /proc says of one."""

    number: str
    name: str
    parent: str
    #: In seconds since the system began.
    begun: float


class Found(NamedTuple):
    """How Postfix and what belongs to it are on the host."""

    running: bool
    #: Why it runs, but not as it should: a sentence or empty.
    astray: str
    enabled: bool
    #: Files of the program `smarthost` and of its timers that are not as they should be: path -> text and mode.
    outdated: dict[str, tuple[str, int]]
    #: Timers that do not run, or not as they should, and those of a run before that are not wanted any more.
    begin: list[services.Job]
    end: list[services.Job]
    #: The mailer that programs reach in place of Postfix; empty where there is none.
    mailer: str = ""

    def postfix(self) -> list[str]:
        """What a run does about Postfix itself, as long as its configuration stays."""
        return ["started Postfix"] if not self.running else [f"restarted Postfix: {self.astray}"] if self.astray else []

    def actions(self) -> list[str]:
        """What a run does about it, but for starting Postfix."""
        return [
            *([f"let Postfix be sendmail in place of {self.mailer}"] if self.mailer else []),
            *([] if self.enabled else ["enabled Postfix at boot"]),
            *(["installed the program smarthost"] if self.outdated else []),
            *(f"let smarthost {job.command} run" for job in self.begin),
            *(f"ended smarthost {job.command}" for job in self.end),
        ]


class Host:
    """The Postfix of this host, as it is."""

    def __init__(self, module: Module, directory: str, service_manager: str, watch_minutes: int) -> None:
        self.module = module
        self.directory = directory.rstrip("/")
        self.folder = os.path.join(self.directory, configuration.FOLDER)
        self.main_cf = os.path.join(self.directory, "main.cf")
        self.original = os.path.join(self.folder, "original")
        self.watch_minutes = watch_minutes
        self.installed = module.get_bin_path("postconf", opt_dirs=["/usr/sbin"]) is not None
        self.manager = managers.manager(service_manager, lambda *argv: self.command(*argv, check=False))

    def path(self, program: str, required: bool = True) -> str:
        """Where a program lies; empty where it is not there."""
        return str(self.module.get_bin_path(program, opt_dirs=["/usr/sbin"], required=required) or "")

    def command(self, *argv: str, check: bool = True, text: str | None = None) -> tuple[int, str, str]:
        """Run one of Postfix's or the system's programs in the C locale, with this text on its standard input."""
        path = self.path(argv[0], check)
        if not path:
            return 127, "", f"{argv[0]} is not installed"
        code, out, err = self.module.run_command([path, *argv[1:]], data=text, environ_update={"LC_ALL": "C"})
        return code, out, err

    def value(self, name: str) -> str:
        """A parameter, as Postfix reads it."""
        return self.command("postconf", "-xh", name)[1].strip()

    # --- files ----------------------------------------------------------------------------------

    def read(self, path: str) -> str:
        """The text of a file, empty where it is not there or no file."""
        try:
            with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
                return file.read()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return ""

    def table(self, slot: str | None, name: str) -> str:
        """The path of a table."""
        return os.path.join(self.folder, slot or configuration.SLOTS[0], name)

    def read_login(self, path: str) -> str:
        """The text of a table as the controller knows it, without the secret of this host."""
        text, secret = self.read(path), tokens.local_secret()
        return text.replace(secret, tokens.SECRET) if secret else text

    def names(self, folder: str) -> list[str]:
        """What lies in a folder; nothing where there is none."""
        try:
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def slot(self) -> str | None:
        """The folder of tables that main.cf names; None where it is not the role's."""
        return configuration.slot_in_use(self.read(self.main_cf), self.directory)

    def earlier_senders(self) -> list[str]:
        """Public senders of mail that waited when the role took the host over, or that waits now if it has not yet."""
        if self.slot():
            found: dict[str, list[str]] = json.loads(self.read(os.path.join(self.original, RECORD)) or "{}")
            return found.get("senders", [])
        return waiting.senders(self) if self.installed and self.read(self.main_cf) else []

    def seals(self, key: str) -> dict[str, str]:
        """Path -> seal of main.cf, of the tables in use and of all that lies beside them.

        What was there before the role is looked at from outside only: what should be in it is not known.
        """
        slot = self.slot()
        tables = os.path.join(self.folder, slot) if slot else ""
        folders = [self.folder, self.original, *([tables] if slot else [])]
        beside = [os.path.join(folder, name) for folder in folders for name in self.names(folder)]
        unread = self.table(slot, configuration.SECOND_WAY)
        read = {self.main_cf, *(path for path in beside if tables and os.path.dirname(path) == tables)} - {unread}
        paths = [self.main_cf, self.folder, *beside]
        return self._sealed(key, paths, lambda path: self._content(path) if path in read else None)

    def _sealed(self, key: str, paths: Iterable[str], content: Callable[[str], str | None]) -> dict[str, str]:
        sealed = {}
        for path in paths:
            try:
                status = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            text = content(path) if stat.S_ISREG(status.st_mode) else None
            owner = (status.st_uid, status.st_gid)
            if os.path.basename(path) == configuration.OAUTH:
                # The controller does not know the numbers of users.
                owner = (0, 0) if owner == tokens.owner() else (-1, -1)
            sealed[path] = configuration.seal(key, status.st_mode, *owner, text)
        return sealed

    def _content(self, path: str) -> str | None:
        """What a table says; of a compiled one, in no order of its own, and None where it cannot be read."""
        name, suffix = os.path.splitext(path)
        if suffix not in configuration.COMPILED.values():
            return self.read_login(path)
        map_type = configuration.map_type(self.read(self.main_cf), name)
        code, out, _err = self.command("postmap", "-s", f"{map_type}:{name}")
        out = out.replace(tokens.local_secret() or tokens.SECRET, tokens.SECRET)
        return configuration.compiled_text(out) if code == 0 else None

    def program(self, key: str) -> dict[str, str]:
        """Path -> seal of each file of the program that is there."""
        within = [os.path.join(folder, name) for folder, _folders, names in os.walk(services.LIBRARY) for name in names]
        return self._sealed(key, [services.LAUNCHER, *(path for path in within if path.endswith(".py"))], self.read)

    @property
    def master_cf(self) -> str:
        """Its text, because postconf says nothing of it while main.cf is broken."""
        return self.read(os.path.join(self.directory, "master.cf"))

    def listed(self, directory: str = "") -> str:
        """The services of master.cf, as Postfix lists them; beside another main.cf than the one in place."""
        return self.command("postconf", *(["-c", directory] if directory else []), "-M")[1]

    # --- what runs ------------------------------------------------------------------------------

    def look(self, main_cf: str, program: Mapping[str, tuple[str, int]]) -> Found:
        """How it is; main_cf, which says where mail waits, is the one in place or the one to come.

        `program` is what of the program is compared: path -> text and mode.
        """
        wanted = self.jobs(main_cf)
        files = {**program, **{path: (text, 0o644) for own in wanted.values() for path, text in own.items()}}
        there = self._sealed("", files, self.read)
        outdated = {
            path: (text, mode)
            for path, (text, mode) in files.items()
            if there.get(path) != configuration.seal("", stat.S_IFREG | mode, text=text)
        }
        running = self.running()
        return Found(
            running,
            self.astray() if running else "",
            self.manager.enabled() if self.installed else False,
            outdated,
            [
                job
                for job, own in wanted.items()
                if own and (own.keys() & outdated or (self.manager.times_jobs and self.manager.idle(job)))
            ],
            self.jobs_left({job.name for job in wanted}),
            alternatives.other(),
        )

    def running(self) -> bool:
        """Whether the master daemon of this configuration runs, and not only until a user logs out."""
        return self.started() and self.manager.holds()

    def started(self) -> bool:
        """Whether it runs at all, however it was started."""
        if not self.installed:
            return False
        # master keeps this locked, by which `postfix status` goes, too, and takes 50 ms.
        with suppress(OSError), open(self._master_file(), "rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        # It does not run, or locks in another way on this system.
        return self.command("postfix", "status")[0] == 0

    def _master_file(self) -> str:
        """Where it writes its process number."""
        return os.path.join(self.queue(self.read(self.main_cf)), "pid/master.pid")

    def master(self) -> str:
        """Process number of the master daemon; empty where none has written it down, or it has ended."""
        pid = self.read(self._master_file()).strip()
        return pid if pid and os.path.isdir(f"/proc/{pid}") else ""

    def sockets(self, pid: str, state: str) -> list[tuple[str, int]]:
        """Address and port of a process's sockets that are in a state."""
        return self._of(pid, system.sockets(state, pid))

    @staticmethod
    def _of(pid: str, known: Mapping[str, tuple[str, int]]) -> list[tuple[str, int]]:
        found = []
        for path in glob.glob(f"/proc/{pid}/fd/*"):
            with suppress(OSError):
                found += [known[link] for link in [os.readlink(path)] if link in known]
        return found

    def astray(self) -> str:
        """Why a master daemon that runs is not the one that should; empty where nothing is seen against it."""
        pid, values = self.master(), configuration.parse_main_cf(self.read(self.main_cf))
        if not pid:
            return ""
        if not self.manager.owns(self.read(f"/proc/{pid}/cgroup")):
            return "it was not started as a service, so nothing keeps it"
        if self._is_older():
            return "an update has replaced its program, and the old one goes on"
        interfaces = values.get("inet_interfaces", "all").replace(",", " ").split()
        # If other processes cannot be looked into: a process that has a port everywhere has it on loopback alone.
        known = system.sockets("0A", pid)
        everywhere = [there for there in known.values() if there in EVERYWHERE]
        listens = dict.fromkeys(name for name, _port in [*self._of(pid, known), *everywhere])
        beyond = [name for name in listens if not master.LOOPBACK.fullmatch(name)]
        if beyond and all(map(master.LOOPBACK.fullmatch, interfaces)):
            return f"it also listens on {', '.join(beyond)}, which inet_interfaces does not allow"
        return "it has not read main.cf and master.cf since they were put there" if self._is_unread() else ""

    def _is_older(self) -> bool:
        """Whether the master daemon was started before its program was installed."""
        program = os.path.join(self.compiled_in["daemon_directory"], "master")
        with suppress(OSError):
            # What a package brings has the time of its making; only the other time is that of the installation.
            # What is later than now tells that the clock was put back.
            return os.stat(self._master_file()).st_mtime < os.stat(program).st_ctime < time.time()
        return False

    def _is_unread(self) -> bool:
        """Whether Postfix still goes by what stood there before, as after a restored backup.

        A reload ends the queue manager, which is the one that starts again by itself.
        """
        files = (self.main_cf, os.path.join(self.directory, "master.cf"))
        written = [os.stat(path).st_ctime for path in files if os.path.isfile(path)]
        processes = self._processes()
        master_daemon = processes.get(self.master())
        begun = [one.begun for one in processes.values() if (one.name, one.parent) == ("qmgr", self.master())]
        if not (written and master_daemon and begun):
            return False
        # When the system began: by the clock, which may have been put right since, and by when the master daemon wrote
        # its number down, as some containers show the age of another system.
        by_clock = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        by_file = os.stat(self._master_file()).st_mtime - master_daemon.begun
        # What is later than now tells that the clock was put back.
        return max(begun) + max(by_clock, by_file) < max(written) < time.time()

    def daemons(self) -> list[Process]:
        """What the master daemon has started; nothing where /proc does not tell."""
        parent = self.master()
        return [process for process in self._processes().values() if process.parent == parent]

    def _processes(self) -> dict[str, Process]:
        found = {}
        for path in glob.glob("/proc/[0-9]*/stat"):
            with suppress(OSError):
                status = _STATUS.match(self.read(path))
                if status:
                    number, name, parent, begun = status.groups()
                    found[number] = Process(number, name, parent, int(begun) / os.sysconf("SC_CLK_TCK"))
        return found

    def has_stale_chroot(self) -> bool:
        """Whether Postfix delivers from a chroot that knows other name servers, hosts or services than the host."""
        if not self.installed or self.command("postconf", "-F", "-h", "smtp/unix/chroot")[1].strip() == "n":
            return False
        return chroot.is_renewed_by_a_start(self.value("queue_directory"))

    def queue(self, main_cf: str) -> str:
        """The folder of its queue."""
        named = configuration.parse_main_cf(main_cf).get("queue_directory")
        return named or self.compiled_in["queue_directory"] or QUEUE

    def jobs(self, main_cf: str) -> dict[services.Job, dict[str, str]]:
        """What looks after the mail on this host, with the files that let it run: path -> text."""
        wanted = [services.retry(self.queue(main_cf))]
        if self.watch_minutes:
            wanted.append(services.watch(self.watch_minutes))
        if tokens.PROXY in main_cf:
            wanted.append(services.renew())
        return {job: self.manager.schedule(job) for job in wanted}

    def jobs_left(self, wanted: Collection[str] = ()) -> list[services.Job]:
        """Those of a run before, but for these names."""
        others = [job for job in (services.retry(QUEUE), services.watch(1), services.renew()) if job.name not in wanted]
        return [job for job in others if any(map(os.path.lexists, self.manager.schedule(job)))]

    @cached_property
    def compiled_in(self) -> dict[str, str]:
        """Version and folders of this Postfix, which no main.cf can break; empty where it is not installed."""
        names = ("mail_version", "queue_directory", "daemon_directory")
        _code, out, _err = self.command("postconf", "-d", *names, check=False)
        return {name: configuration.parse_main_cf(out).get(name, "") for name in names}


def observe(host: Host, key: str) -> dict[str, Any]:
    """All that says whether there is anything to do, for `configuration.is_in_place` on the controller."""
    main_cf, slot = host.read(host.main_cf), host.slot()
    # The controller compares the program, so that it need not be sent.
    found = host.look(main_cf, {})
    # Of a configuration that is not ours, this is not asked.
    listed = host.listed() if slot else ""
    return {
        "slot": slot,
        "against": master.broken(listed, main_cf),
        "advice": master.advice(listed, main_cf),
        "files": host.seals(key),
        "program": host.program(key),
        "interpreter": surroundings.interpreter(),
        "services": sorted(master.names(host.master_cf)),
        "copies": master.copies(host.master_cf),
        "to_do": [*found.actions(), *found.postfix()],
    }
