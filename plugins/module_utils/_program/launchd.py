"""launchd, on a Mac: a job of our own, and Apple's log. Runs on the managed host."""

from __future__ import annotations

import os
import re
import time
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils._program import files, services

# Ours, beside Apple's job com.apple.postfix.master, which System Integrity Protection keeps as it is.
LABEL = "homelab.mail.smarthost"
PLIST = f"/Library/LaunchDaemons/{LABEL}.plist"


def _property_list(job: dict[str, Any]) -> str:
    import plistlib  # not above: a Mac alone needs it

    return plistlib.dumps(job).decode()


class Launchd(services.ServiceManager):
    """A LaunchDaemon of our own, because Apple's starts Postfix only when a mail is handed in, and for a minute."""

    times_jobs = True
    starts_what_is_enabled = True

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
        return _property_list(job)

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
        if re.search(r"(?m)^(\S*/)?master -", self.run("ps", "-A", "-o", "args=")[1]):
            # Apple's or a person's, unlike ours with an option; while it runs, no other can.
            self.run("postfix", "stop")
        if self.holds():
            self.expect("launchctl", "kickstart", "-k", f"system/{LABEL}")
            return
        if self._loaded():
            self.run("launchctl", "bootout", f"system/{LABEL}")
        # Only one master can run, be it started by hand or by Apple's job.
        self.run("postfix", "stop")
        files.replace(PLIST, self._plist())
        self.run("launchctl", "enable", f"system/{LABEL}")
        self._bootstrap(PLIST)

    def schedule(self, job: services.Job) -> dict[str, str]:
        plist = {"Label": job.label, "ProgramArguments": [services.LAUNCHER, job.command], "StartInterval": job.seconds}
        return {f"/Library/LaunchDaemons/{job.label}.plist": _property_list(plist)}

    def idle(self, job: services.Job) -> str:
        return "" if self.run("launchctl", "print", f"system/{job.label}")[0] == 0 else "launchd has not loaded it"

    def begin_schedule(self, job: services.Job) -> None:
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
        self.expect("launchctl", "bootstrap", "system", plist)

    def end_schedule(self, job: services.Job) -> None:
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

    def log(self, mark: services.Mark) -> list[str]:
        start = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(mark.time))
        return self._shown(services.ALL_OF_POSTFIX, "--start", start)

    def unlogged(self) -> str:
        return ""

    def recent(self) -> list[str]:
        # A longer time takes a Mac many seconds to search. The mails of a trial are in the same log.
        shown = reversed(self._shown(services.DELIVERING, "--last", "1h"))
        return [line for line in shown if "status=" in line and "to=<check@example." not in line]

    def losses(self) -> list[str]:
        said = " OR ".join(f'eventMessage CONTAINS "{text}"' for text in services.LOSSES)
        return self._shown((*services.LOSING, *services.TALKING), "--last", "1d", said=f" AND ({said})")[::-1]

    def _shown(self, processes: tuple[str, ...], *when: str, said: str = "") -> list[str]:
        names = ", ".join(f'"{name}"' for name in processes)
        _code, out, _err = self.run(
            "log", "show", "--style", "compact", "--info", *when, "--predicate", f"process IN {{{names}}}{said}"
        )
        return out.splitlines()
