"""systemd: a unit of the distribution's, timers, and the journal. Runs on the managed host."""

from __future__ import annotations

import contextlib
import glob
import os
import re
import time

from ansible_collections.homelab.mail.plugins.module_utils._program import services

# Where journald's settings are, what counts more last.
CONFIGURATIONS = ("/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd")
# What Postfix says of mail that is well is of the level info.
_LESS_THAN_INFO = ("emerg", "alert", "crit", "err", "warning", "notice", *"012345")


def journal_keeps_mail() -> bool:
    """Whether journald stores what Postfix says; where it does not, it may still hand it on to a syslog daemon."""
    main = [os.path.join(folder, "journald.conf") for folder in CONFIGURATIONS]
    added = {
        os.path.basename(path): path
        for folder in CONFIGURATIONS
        for path in glob.glob(os.path.join(folder, "journald.conf.d/*.conf"))
    }
    said: dict[str, str] = {}
    for path in [*main, *(added[name] for name in sorted(added))]:
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            said.update(re.findall(r"^\s*(Storage|MaxLevelStore)\s*=\s*(\w*)", file.read(), re.MULTILINE))
    return said.get("Storage") != "none" and said.get("MaxLevelStore") not in _LESS_THAN_INFO


class Systemd(services.ServiceManager):
    """A unit of the distribution's."""

    times_jobs = True

    def restart(self) -> None:
        # systemd refuses the sixth start within ten seconds, be it the one that puts things right.
        self.run("systemctl", "reset-failed", "postfix.service", "postfix@-.service")
        self.expect("systemctl", "restart", "postfix")

    def stop(self) -> None:
        self.run("systemctl", "stop", "postfix")

    def owns(self, groups: str) -> bool:
        # Debian's unit is an instance, postfix@-.service, until 12.
        return not groups.strip() or "/postfix" in groups

    def enabled(self) -> bool:
        return self.run("systemctl", "is-enabled", "--quiet", "postfix")[0] == 0

    def enable(self) -> None:
        self.expect("systemctl", "enable", "postfix")

    def disable(self) -> None:
        self.run("systemctl", "disable", "postfix")

    def schedule(self, job: services.Job) -> dict[str, str]:
        unit = f"/etc/systemd/system/{job.name}"
        # It may be started by hand as often as one likes.
        limits = "StartLimitIntervalSec=0\n"
        if job.queue:
            # One of the two: mails lie in folders whose names are a letter each, or, if Postfix is told so, in none.
            limits += f"ConditionPathExistsGlob=|{job.queue}/deferred/*/*\n"
            limits += f"ConditionPathExistsGlob=|{job.queue}/deferred/??????*\n"
            limits += f"ConditionPathExists=|{services.STATE}/second_way.json\n"
        return {
            f"{unit}.service": f"# Managed by Ansible.\n[Unit]\nDescription={job.description}\n{limits}\n"
            # Not a word in the log for each time that it was started, but what it says itself.
            "[Service]\nType=oneshot\nNice=10\nLogLevelMax=notice\nSyslogLevel=warning\n"
            f"ExecStart={services.LAUNCHER} {job.command}\n",
            f"{unit}.timer": f"# Managed by Ansible.\n[Unit]\nDescription={job.description}\n\n"
            f"[Timer]\nOnActiveSec={job.seconds}\nOnUnitInactiveSec={job.seconds}\nAccuracySec=1\n\n"
            "[Install]\nWantedBy=timers.target\n",
        }

    def idle(self, job: services.Job) -> str:
        properties = ("NeedDaemonReload", "SubState", "UnitFileState", "Result")
        units = (f"{job.name}.timer", f"{job.name}.service")
        shown = self.run("systemctl", "show", *(f"--property={name}" for name in properties), *units)[1]
        timer, service = ({*block.split()} for block in f"{shown.strip()}\n\n".split("\n\n")[:2])
        # A timer may be active and have no next time, be of older files, or not be there after a reboot.
        well = {"NeedDaemonReload=no", "UnitFileState=enabled", "Result=success"}
        if not well < timer or not timer & {"SubState=waiting", "SubState=running"}:
            return f"its timer does not run as it should (see systemctl status {units[0]})"
        # systemd keeps this until the next time.
        if "Result=success" not in service:
            return f"it was ended before it was through, or failed (see journalctl --unit={units[1]})"
        return ""

    def begin_schedule(self, job: services.Job) -> None:
        self.run("systemctl", "daemon-reload")
        self.run("systemctl", "reset-failed", f"{job.name}.service")
        self.expect("systemctl", "enable", f"{job.name}.timer")
        self.expect("systemctl", "restart", f"{job.name}.timer")

    def end_schedule(self, job: services.Job) -> None:
        self.run("systemctl", "disable", "--now", f"{job.name}.timer")

    def obstacle(self) -> str:
        if self.run("systemctl", "is-enabled", "postfix")[1].startswith("masked"):
            return "Postfix is masked on this host, so it can never start. Run: systemctl unmask postfix"
        return ""

    def _has_files(self) -> bool:
        """Whether the log is in files."""
        return bool(self.named_log()) or not journal_keeps_mail()

    def unlogged(self) -> str:
        return super().unlogged() if self._has_files() else ""

    def log(self, mark: services.Mark) -> list[str]:
        if self._has_files():
            return super().log(mark)
        since = f"--since=@{mark.time:.6f}"
        _code, out, _err = self.run("journalctl", "--no-pager", "--output=cat", since, "--unit=postfix*")
        return out.splitlines()

    def recent(self) -> list[str]:
        return super().recent() if self._has_files() else self._journal(services.DELIVERING)[1].splitlines()

    def losses(self) -> list[str]:
        if self._has_files():
            return super().losses()
        since = f"--since=@{time.time() - services.LOSS_SECONDS:.0f}"
        _code, out, error = self._journal(
            services.LOSING, since, "--case-sensitive=yes", f"--grep={'|'.join(services.LOSSES)}"
        )
        if "pattern matching" in error:
            # Built without it. Then the last lines have to do.
            out = self._journal(services.LOSING, since)[1]
        talk = self._journal(services.TALKING, since)[1].splitlines()
        return out.splitlines() + [line for line in talk if any(text in line for text in services.LOSSES)]

    def _journal(self, programs: tuple[str, ...], *which: str) -> tuple[int, str, str]:
        names = [f"--identifier=postfix/{name}" for name in programs]
        form = ("--no-pager", "--quiet", "--reverse", "--output=short-unix", f"--lines={services.RECENT_LINES}")
        return self.run("journalctl", *form, *which, *names)
