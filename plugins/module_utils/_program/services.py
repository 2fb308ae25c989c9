"""What starts Postfix on a host and keeps it there. Runs on the managed host.

Each service manager is a class with the same few methods; `run(*argv)` is how they call a program:
it returns status, output and errors, and 127 where the program is not there.
"""

from __future__ import annotations

import glob
import gzip
import os
import plistlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from ansible_collections.homelab.mail.plugins.module_utils._program import files

Run = Callable[..., tuple[int, str, str]]

# Ours, beside Apple's job com.apple.postfix.master, which System Integrity Protection keeps as it is.
LABEL = "homelab.mail.smarthost"
PLIST = f"/Library/LaunchDaemons/{LABEL}.plist"
LAUNCHER = "/usr/local/bin/smarthost"
# What `smarthost watch` remembers.
STATE = "/var/lib/smarthost"
CRON = "/etc/cron.d"
# Where a syslog daemon, or Postfix itself, writes its log on systems without a journal.
LOG_FILES = ("/var/log/mail.log", "/var/log/maillog", "/var/log/mail", "/var/log/messages")
# The programs of Postfix that say what became of a mail, those that tell of a loss, and those that say why it does not
# run.
DELIVERING = ("smtp", "error", "lmtp", "local", "virtual", "pipe")
LOSING = (*DELIVERING, "bounce", "postdrop")
# So do these, but what they say of mail that is well is more than can be searched quickly.
TALKING = ("qmgr", "cleanup", "smtpd")
ALL_OF_POSTFIX = (*LOSING, *TALKING, "master", "postfix", "postfix-script", "pickup")
# How much of it is searched for the last delivery.
RECENT_BYTES = 1_000_000
RECENT_LINES = 2000
# What they say of mail that was given up or never got in, and of notices; and for how long that counts.
LOSSES = (
    "status=bounced", "status=expired", "status=force-expired", "notification: ", "mail_queue_enter: ",
    "Insufficient system storage",
)  # fmt: skip
LOSS_SECONDS = 86400
# Of each file of a log.
LOSS_BYTES = 50_000_000


class Mark(NamedTuple):
    """A moment in the log."""

    time: float
    sizes: dict[str, int]


@dataclass(frozen=True)
class Job:
    """What looks after the mail now and then: `smarthost` with this command, every so many seconds."""

    command: str
    description: str
    seconds: int
    #: Where it names Postfix' queue, nothing is started, and nothing logged, while no mail is deferred there.
    queue: str = ""

    @property
    def name(self) -> str:
        """What its timer is called."""
        return f"smarthost-{self.command}"

    @property
    def label(self) -> str:
        """What launchd calls it."""
        return f"homelab.mail.{self.command}"


def watch(minutes: int) -> Job:
    """Tells of an outage."""
    return Job("watch", "Tell of mail that does not leave", 60 * minutes)


def retry(queue: str) -> Job:
    """Sends what waited for a provider that was away."""
    return Job("retry", "Send what waited for a provider that was away", 30, queue)


class ServiceError(Exception):
    """What the service manager says against starting Postfix."""


class NoManager:
    """No service manager, as in many containers: Postfix runs until the host is restarted."""

    #: Said to the person once where it matters.
    note = (
        "This host has no service manager that the role knows (systemd, OpenRC, launchd), so Postfix was started, but "
        "nothing starts it when the host is restarted. Let what starts the host run: postfix start"
    )

    def __init__(self, run: Run, named_log: str | None = None) -> None:
        self.run = run
        # Where the caller has not asked Postfix for it.
        self._named_log = named_log

    def restart(self) -> None:
        """Start Postfix, anew where it runs."""
        self.run("postfix", "stop")
        self._expect("postfix", "start")

    def stop(self) -> None:
        """Stop it."""
        self.run("postfix", "stop")

    def holds(self) -> bool:
        """Whether a Postfix that runs is this manager's to keep."""
        return True

    def enabled(self) -> bool:
        """Whether Postfix starts at boot, as far as this manager can do that."""
        return True

    def enable(self) -> None:
        """Start it at boot."""

    def disable(self) -> None:
        """Do not start it at boot."""

    def schedule(self, job: Job) -> dict[str, str]:
        """The files that let a job run, path -> text; none where nothing would."""
        if not os.path.isdir(CRON):
            return {}
        # cron knows nothing shorter than a minute.
        every = max(1, job.seconds // 60)
        # Into the log, not into a mail.
        line = f"*/{every} * * * * root {LAUNCHER} {job.command} 2>&1 | logger -t {job.name}"
        return {f"{CRON}/{job.name}": f'# Managed by Ansible.\n# {job.description}.\nMAILTO=""\n{line}\n'}

    def scheduled(self, job: Job) -> bool:
        """Whether these files have their effect."""
        return True

    def begin_schedule(self, job: Job) -> None:
        """Let them have it, after they were written."""

    def end_schedule(self, job: Job) -> None:
        """The contrary, before they are removed."""

    def obstacle(self) -> str:
        """What keeps Postfix from ever being started here, and the remedy; empty where nothing does."""
        return ""

    def named_log(self) -> str:
        """The file that Postfix itself writes its log into; empty where that is another program's task."""
        if self._named_log is None:
            self._named_log = self.run("postconf", "-xh", "maillog_file")[1].strip()
        return self._named_log

    def mark(self) -> Mark:
        """This moment in the log, for `log`."""
        paths = [path for path in (self.named_log(), *LOG_FILES) if path]
        return Mark(time.time(), {path: os.path.getsize(path) if os.path.isfile(path) else 0 for path in paths})

    def log(self, mark: Mark) -> list[str]:
        """What Postfix logged since then."""
        lines = []
        for path, size in mark.sizes.items():
            if os.path.isfile(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    file.seek(size)
                    lines += [line.strip() for line in file if "postfix" in line]
        return lines

    def recent(self) -> list[str]:
        """The last lines about deliveries, each with its time, the last one first."""
        path = self._log_file()
        return _last_lines(path, ("status=",), RECENT_BYTES) if path else []

    def losses(self) -> list[str]:
        """What was said of losses within a day, the last first; older lines may be among them."""
        path, since = self._log_file(), time.time() - LOSS_SECONDS
        # What was written before the log was put aside counts as well.
        older = glob.glob(glob.escape(path) + "[-.]*") if path else []
        names = sorted((name for name in older if os.path.getmtime(name) > since), key=os.path.getmtime, reverse=True)
        return [line for name in filter(None, (path, *names)) for line in _last_lines(name, LOSSES, LOSS_BYTES)]

    def _log_file(self) -> str:
        return next((path for path in (self.named_log(), *LOG_FILES) if path and os.path.isfile(path)), "")

    def _expect(self, *argv: str) -> None:
        code, out, err = self.run(*argv)
        if code != 0:
            raise ServiceError((err.strip() or out.strip()) or f"{' '.join(argv)} failed with status {code}")


def _last_lines(path: str, with_one_of: tuple[str, ...], size: int) -> list[str]:
    """The last lines of a file that have one of these in them, the last one first."""
    pattern = re.compile(b"^.*(?:%s).*$" % b"|".join(re.escape(text.encode()) for text in with_one_of), re.MULTILINE)
    try:
        with gzip.open(path) if path.endswith(".gz") else open(path, "rb") as file:
            if not path.endswith(".gz"):
                file.seek(max(0, os.path.getsize(path) - size))
            found = pattern.findall(file.read(size))
    except (OSError, EOFError):
        # Not for everybody's eyes, or just put aside.
        return []
    return [line.decode("utf-8", errors="replace").rstrip() for line in reversed(found)]


class Systemd(NoManager):
    """A unit of the distribution's."""

    note = ""

    def restart(self) -> None:
        # systemd refuses the sixth start within ten seconds, be it the one that puts things right.
        self.run("systemctl", "reset-failed", "postfix.service", "postfix@-.service")
        self._expect("systemctl", "restart", "postfix")

    def stop(self) -> None:
        self.run("systemctl", "stop", "postfix")

    def enabled(self) -> bool:
        return self.run("systemctl", "is-enabled", "--quiet", "postfix")[0] == 0

    def enable(self) -> None:
        self._expect("systemctl", "enable", "postfix")

    def disable(self) -> None:
        self.run("systemctl", "disable", "postfix")

    def schedule(self, job: Job) -> dict[str, str]:
        unit = f"/etc/systemd/system/{job.name}"
        # Whoever starts it by hand as well may do so as often as they like.
        limits = "StartLimitIntervalSec=0\n"
        if job.queue:
            # One of the two: mails lie in folders whose names are a letter each, or, where somebody wants that, do not.
            limits += f"ConditionPathExistsGlob=|{job.queue}/deferred/*/*\n"
            limits += f"ConditionPathExistsGlob=|{job.queue}/deferred/??????*\n"
        return {
            f"{unit}.service": f"# Managed by Ansible.\n[Unit]\nDescription={job.description}\n{limits}\n"
            # Not a word in the log for each time that it was started, but what it says itself.
            "[Service]\nType=oneshot\nNice=10\nLogLevelMax=notice\nSyslogLevel=warning\n"
            f"ExecStart={LAUNCHER} {job.command}\n",
            f"{unit}.timer": f"# Managed by Ansible.\n[Unit]\nDescription={job.description}\n\n"
            f"[Timer]\nOnActiveSec={job.seconds}\nOnUnitInactiveSec={job.seconds}\nAccuracySec=1\n\n"
            "[Install]\nWantedBy=timers.target\n",
        }

    def scheduled(self, job: Job) -> bool:
        # A timer may be active and have no next time, or be of older files.
        properties = ("NeedDaemonReload", "SubState")
        shown = self.run("systemctl", "show", *(f"--property={name}" for name in properties), f"{job.name}.timer")[1]
        return set(shown.split()) in (
            {"NeedDaemonReload=no", "SubState=waiting"},
            {"NeedDaemonReload=no", "SubState=running"},
        )

    def begin_schedule(self, job: Job) -> None:
        self.run("systemctl", "daemon-reload")
        self._expect("systemctl", "enable", f"{job.name}.timer")
        self._expect("systemctl", "restart", f"{job.name}.timer")

    def end_schedule(self, job: Job) -> None:
        self.run("systemctl", "disable", "--now", f"{job.name}.timer")

    def obstacle(self) -> str:
        if self.run("systemctl", "is-enabled", "postfix")[1].startswith("masked"):
            return "Postfix is masked on this host, so it can never start. Run: systemctl unmask postfix"
        return ""

    def log(self, mark: Mark) -> list[str]:
        if self.named_log():
            return super().log(mark)
        since = f"--since=@{mark.time:.6f}"
        _code, out, _err = self.run("journalctl", "--no-pager", "--output=cat", since, "--unit=postfix*")
        return out.splitlines()

    def recent(self) -> list[str]:
        return super().recent() if self.named_log() else self._journal(DELIVERING)[1].splitlines()

    def losses(self) -> list[str]:
        if self.named_log():
            return super().losses()
        since = f"--since=@{time.time() - LOSS_SECONDS:.0f}"
        _code, out, error = self._journal(LOSING, since, "--case-sensitive=yes", f"--grep={'|'.join(LOSSES)}")
        if "pattern matching" in error:
            # Built without it. Then the last lines have to do.
            out = self._journal(LOSING, since)[1]
        talk = self._journal(TALKING, since)[1].splitlines()
        return out.splitlines() + [line for line in talk if any(text in line for text in LOSSES)]

    def _journal(self, programs: tuple[str, ...], *which: str) -> tuple[int, str, str]:
        names = [f"--identifier=postfix/{name}" for name in programs]
        form = ("--no-pager", "--quiet", "--reverse", "--output=short-unix", f"--lines={RECENT_LINES}")
        return self.run("journalctl", *form, *which, *names)


class OpenRC(NoManager):
    """A script of the distribution's in /etc/init.d."""

    note = ""

    def restart(self) -> None:
        # Whoever started it. The scripts of some systems keep a state of their own, and neither stop nor start what
        # has died meanwhile: zap makes them forget; those of others do not know it.
        self.run("postfix", "stop")
        self.run("rc-service", "postfix", "zap")
        try:
            self._expect("rc-service", "postfix", "start")
        except ServiceError as error:
            # The script keeps Postfix' reason to itself.
            _code, _out, reason = self.run("postfix", "check")
            raise ServiceError(reason.strip() or str(error)) from error

    def stop(self) -> None:
        self.run("rc-service", "postfix", "stop")

    def enabled(self) -> bool:
        return os.path.lexists("/etc/runlevels/default/postfix")

    def enable(self) -> None:
        self._expect("rc-update", "add", "postfix", "default")

    def disable(self) -> None:
        self.run("rc-update", "del", "postfix", "default")


class Launchd(NoManager):
    """A LaunchDaemon of our own, because Apple's starts Postfix only when a mail is handed in, and for a minute."""

    note = ""

    def _plist(self) -> str:
        _code, daemons, _err = self.run("postconf", "-xh", "daemon_directory")
        master = os.path.join(daemons.strip() or "/usr/libexec/postfix", "master")
        # Without an option, master stays in the foreground, where launchd watches it.
        job = {
            "Label": LABEL,
            "ProgramArguments": [master],
            "RunAtLoad": True,
            "KeepAlive": True,
            # Deliveries under way end by themselves when master is started anew.
            "AbandonProcessGroup": True,
        }
        return plistlib.dumps(job).decode()

    def _written(self) -> bool:
        try:
            status = os.lstat(PLIST)
            with open(PLIST, encoding="utf-8") as file:
                text = file.read()
        except (OSError, ValueError):
            return False
        return (status.st_uid, status.st_gid, status.st_mode & 0o7777) == (0, 0, 0o644) and text == self._plist()

    def _loaded(self) -> bool:
        return self.run("launchctl", "print", f"system/{LABEL}")[0] == 0

    def restart(self) -> None:
        # master alone does not make the folders of the queue that a fresh Mac lacks.
        self.run("postfix", "check")
        if self.holds():
            self._expect("launchctl", "kickstart", "-k", f"system/{LABEL}")
            return
        if self._loaded():
            self.run("launchctl", "bootout", f"system/{LABEL}")
        # Only one master can run, be it started by hand or by Apple's job.
        self.run("postfix", "stop")
        files.replace(PLIST, self._plist())
        self.run("launchctl", "enable", f"system/{LABEL}")
        self._bootstrap(PLIST)

    def schedule(self, job: Job) -> dict[str, str]:
        plist = {"Label": job.label, "ProgramArguments": [LAUNCHER, job.command], "StartInterval": job.seconds}
        return {f"/Library/LaunchDaemons/{job.label}.plist": plistlib.dumps(plist).decode()}

    def scheduled(self, job: Job) -> bool:
        return self.run("launchctl", "print", f"system/{job.label}")[0] == 0

    def begin_schedule(self, job: Job) -> None:
        (path,) = self.schedule(job)
        self.run("launchctl", "bootout", f"system/{job.label}")
        self.run("launchctl", "enable", f"system/{job.label}")
        self._bootstrap(path)

    def _bootstrap(self, plist: str) -> None:
        """Load a job. One that was there a moment ago may still be on its way out, which launchd calls an error."""
        for _again in range(5):
            if self.run("launchctl", "bootstrap", "system", plist)[0] == 0:
                return
            time.sleep(1)
        self._expect("launchctl", "bootstrap", "system", plist)

    def end_schedule(self, job: Job) -> None:
        self.run("launchctl", "bootout", f"system/{job.label}")

    def stop(self) -> None:
        self.disable()

    def holds(self) -> bool:
        return self._written() and self._loaded()

    def enabled(self) -> bool:
        return self.holds()

    def enable(self) -> None:
        if not self.holds():
            self.restart()

    def disable(self) -> None:
        self.run("launchctl", "bootout", f"system/{LABEL}")
        files.remove(PLIST)

    def log(self, mark: Mark) -> list[str]:
        start = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(mark.time))
        return self._shown(ALL_OF_POSTFIX, "--start", start)

    def recent(self) -> list[str]:
        # A longer time takes a Mac many seconds to search.
        return [line for line in reversed(self._shown(DELIVERING, "--last", "1h")) if "status=" in line]

    def losses(self) -> list[str]:
        said = " OR ".join(f'eventMessage CONTAINS "{text}"' for text in LOSSES)
        return self._shown((*LOSING, *TALKING), "--last", "1d", said=f" AND ({said})")[::-1]

    def _shown(self, processes: tuple[str, ...], *when: str, said: str = "") -> list[str]:
        names = ", ".join(f'"{name}"' for name in processes)
        _code, out, _err = self.run(
            "log", "show", "--style", "compact", "--info", *when, "--predicate", f"process IN {{{names}}}{said}"
        )
        return out.splitlines()


#: What Ansible calls a service manager -> how it is told.
MANAGERS: dict[str, type[NoManager]] = {"systemd": Systemd, "openrc": OpenRC, "launchd": Launchd}
# Those that do start services, but that nobody here can speak to.
OTHERS = ("dinit", "runit", "svc", "upstart")
NONE = "none"


def known(fact: str) -> str:
    """The service manager that a fact of Ansible's means.

    The fact is the name of process 1 where Ansible does not know that program: in a container it may be anything
    (catatonit, tini, sleep, a shell), and then nobody starts services there.

    >>> known("systemd"), known("tini")
    ('systemd', 'none')
    """
    return fact if fact in MANAGERS else NONE


def manager(name: str, run: Run, named_log: str | None = None) -> NoManager:
    """The service manager of this name; one that is not known is none."""
    return MANAGERS.get(name, NoManager)(run, named_log)
