"""What starts Postfix on a host and keeps it there, its log, and the jobs beside it. Runs on the managed host.

Each service manager is a kind of `ServiceManager`; `managers` knows them all.
"""

from __future__ import annotations

import contextlib
import glob
import gzip
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from typing import NamedTuple

from ansible_collections.homelab.mail.plugins.module_utils._program import system

Run = Callable[..., tuple[int, str, str]]

LAUNCHER = "/usr/local/bin/smarthost"
LIBRARY = "/usr/local/lib/smarthost"
# What `smarthost watch` remembers.
STATE = "/var/lib/smarthost"
# What it writes for node_exporter.
TEXTFILE = "smarthost.prom"
CRON = "/etc/cron.d"
# Where a syslog daemon, or Postfix itself, writes its log on systems without a journal.
LOG_FILES = ("/var/log/mail.log", "/var/log/maillog", "/var/log/mail", "/var/log/messages")
# The programs of Postfix that say what became of a mail, those that tell of a loss, and those that say why it does not
# run.
DELIVERING = ("smtp", "error", "lmtp", "local", "virtual", "pipe")
LOSING = (*DELIVERING, "bounce", "postdrop", "sendmail")
# So do these, but what they say of mail that is well is more than can be searched quickly.
TALKING = ("qmgr", "cleanup", "smtpd")
ALL_OF_POSTFIX = (*LOSING, *TALKING, "master", "postfix", "postfix-script", "pickup")
# How much of it is searched for the last delivery.
RECENT_BYTES = 1_000_000
RECENT_LINES = 2000
# What they say of mail that was given up or never got in, and of notices; and for how long that counts.
LOSSES = (
    "status=bounced", "status=expired", "status=force-expired", "notification: ", "mail_queue_enter: ",
    "main.cf: Permission denied", "write queue file: ", "warning: uid=", "Insufficient system storage",
    "message file too big", "is not allowed to submit mail", "No recipient addresses found", "saving corrupt file",
)  # fmt: skip
LOSS_SECONDS = 86400
# Of each file of a log.
LOSS_BYTES = 50_000_000


class Mark(NamedTuple):
    """A moment in the log."""

    time: float
    sizes: dict[str, int]


class Job(NamedTuple):
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


def textfile(ways: str) -> str:
    """The file that a watch with these settings writes for node_exporter; empty where there is none."""
    # Anything may stand in them.
    with contextlib.suppress(ValueError, AttributeError, TypeError, KeyError):
        return os.path.join(json.loads(ways or "{}")["textfile"], TEXTFILE)
    return ""


def retry(queue: str) -> Job:
    """Sends what waited for a provider that was away."""
    return Job("retry", "Send what waited for a provider that was away", 30, queue)


def renew() -> Job:
    """Uses a consent that would end because nothing is sent."""
    return Job("renew", "Use a consent that would end because nothing is sent", 1800)


def idle(manager: ServiceManager) -> list[str]:
    """The jobs of this host that do not run, a sentence each."""
    # Not every host has the last two.
    wanted = [job for job in (watch(1), renew()) if any(map(os.path.lexists, manager.schedule(job)))]
    reasons = {job.command: manager.idle(job) for job in (retry(""), *wanted) if manager.schedule(job)}
    remedy = "Run the playbook again." if manager.times_jobs else "Start cron, and let it start at boot."
    return [f"smarthost {name} does not do its work: {reason}. {remedy}" for name, reason in reasons.items() if reason]


class ServiceError(Exception):
    """What the service manager says against starting Postfix."""


class ServiceManager:
    """What starts Postfix. As it is here, no service manager does: cron runs the jobs, and the log is in files.

    `run(*argv)` calls a program: it returns status, output and errors, and 127 if the program is not there.
    """

    #: Said to the person once where it matters.
    note = ""
    #: Whether it runs the jobs itself; otherwise cron does, which is not the role's to start.
    times_jobs = False
    #: Whether it starts Postfix by being told to do so at boot. Else it may run by its hand and not at boot.
    starts_what_is_enabled = False

    def __init__(self, run: Run, named_log: str | None = None) -> None:
        self.run = run
        # Where the caller has not asked Postfix for it.
        self._named_log = named_log

    def restart(self) -> None:
        """Start Postfix, anew where it runs."""
        self.run("postfix", "stop")
        self.expect("postfix", "start")

    def stop(self) -> None:
        """Stop it."""
        self.run("postfix", "stop")

    def holds(self) -> bool:
        """Whether a Postfix that runs is this manager's to keep."""
        return True

    def owns(self, groups: str) -> bool:
        """The same of a process, by the control groups that /proc names."""
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
        if not os.path.isdir(CRON) or not any(shutil.which(name, path=system.PATH) for name in ("cron", "crond")):
            return {}
        # cron knows nothing shorter than a minute.
        every = max(1, job.seconds // 60)
        # Into the log, not into a mail.
        line = f"*/{every} * * * * root {LAUNCHER} {job.command} 2>&1 | logger -t {job.name}"
        return {f"{CRON}/{job.name}": f'# Managed by Ansible.\n# {job.description}.\nMAILTO=""\n{line}\n'}

    def idle(self, job: Job) -> str:
        """Why a job that has its files does not run; empty where nothing is seen against it."""
        found = " ".join(_comm(path) for path in glob.glob("/proc/[0-9]*/comm"))
        # Other users may not be shown what root runs.
        return "" if "cron" in found or not os.path.exists("/proc/1/comm") else "cron does not run"

    def begin_schedule(self, job: Job) -> None:
        """Start a job whose files were just written."""

    def end_schedule(self, job: Job) -> None:
        """Stop a job before its files are removed."""

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

    def unlogged(self) -> str:
        """Why nothing is known of what becomes of mail, a sentence with the remedy; empty where a log tells."""
        if self.named_log() or self._log_file():
            return ""
        return (
            "What becomes of mail is not seen, because no log of Postfix is kept on this host. Let journald store it "
            "(Storage=auto in /etc/systemd/journald.conf) or install rsyslog, or set smarthost_parameters: "
            "{maillog_file: /var/log/postfix.log} and run the playbook again."
        )

    def _log_file(self) -> str:
        return next((path for path in (self.named_log(), *LOG_FILES) if path and os.path.isfile(path)), "")

    def expect(self, *argv: str) -> None:
        """Call a program that must not fail."""
        code, out, err = self.run(*argv)
        if code != 0:
            raise ServiceError((err.strip() or out.strip()) or f"{' '.join(argv)} failed with status {code}")


def _comm(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
        return file.read().strip()
    return ""


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
