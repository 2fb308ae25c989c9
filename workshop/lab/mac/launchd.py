#!/usr/bin/python3
"""PID 1 of the lab's Mac: keeps LaunchDaemons as Apple's launchd does, answers launchctl, and takes the log.

All of launchctl's behaviour is here; the program of that name only carries words to and fro.
"""

import contextlib
import grp
import json
import os
import plistlib
import pwd
import re
import select
import signal
import socket
import stat
import struct
import sys
import time
from typing import Any, Callable, Optional

FOLDERS = ("/System/Library/LaunchDaemons", "/Library/LaunchDaemons")
CONTROL = "/var/run/launchd.sock"
DISABLED = "/var/db/com.apple.xpc.launchd/disabled.plist"
UNIFIED_LOG = "/var/db/diagnostics/messages"
POLL_SECONDS = 1.0

# What a plist may say here. Any other key is refused: a test must not rest on what this launchd does not do.
HONOURED = {
    "Label", "Program", "ProgramArguments", "RunAtLoad", "KeepAlive", "ThrottleInterval", "StartInterval",
    "QueueDirectories", "StandardOutPath", "StandardErrorPath", "AbandonProcessGroup", "EnvironmentVariables",
    "WorkingDirectory", "UserName", "GroupName", "Umask", "ExitTimeOut", "Disabled",
}  # fmt: skip
WITHOUT_EFFECT = {"ProcessType", "Nice", "LowPriorityIO", "EnableTransactions", "EnablePressuredExit"}

ERRORS = {
    1: "Operation not permitted",
    2: "No such file or directory",
    3: "No such process",
    5: "Input/output error",
    122: "Path had bad ownership/permissions",
    150: "Operation not permitted while System Integrity Protection is engaged",
}
NOT_FOUND = 113
USAGE = 64
EX_CONFIG = 78


class Refused(Exception):
    """What launchctl says on standard error, and its exit status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def failed(what: str, number: int, why: str = "") -> Refused:
    """A refusal in launchctl's form; what it would keep to itself comes in parentheses."""
    return Refused(number, f"{what} failed: {number}: {ERRORS[number]}" + (f"\n({why})" if why else ""))


class Job:
    """One LaunchDaemon."""

    def __init__(self, path: str, plist: dict[str, Any]) -> None:
        self.path = path
        self.plist = plist
        self.label: str = plist["Label"]
        self.pid = 0
        self.runs = 0
        self.exit: Optional[int] = None
        self.wanted_once = bool(plist.get("RunAtLoad"))
        self.started = -1e9
        self.loaded = time.monotonic()

    @property
    def arguments(self) -> list[str]:
        """Its argv."""
        return list(self.plist.get("ProgramArguments") or [self.plist["Program"]])

    @property
    def program(self) -> str:
        """What is executed."""
        return str(self.plist.get("Program") or self.arguments[0])

    def wanted(self) -> bool:
        """Whether its plist, or somebody, wants it to run."""
        keep = self.plist.get("KeepAlive", False)
        if isinstance(keep, dict):
            success = os.waitstatus_to_exitcode(self.exit) == 0 if self.exit is not None else None
            keep = success is None or success == keep.get("SuccessfulExit")
        interval = self.plist.get("StartInterval")
        elapsed = interval and time.monotonic() - max(self.started, self.loaded) >= interval
        waiting = any(_has_entries(folder) for folder in self.plist.get("QueueDirectories", ()))
        return bool(keep or self.wanted_once or elapsed or waiting)

    def start(self) -> None:
        """Run it now."""
        self.wanted_once = False
        self.runs += 1
        self.started = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                self._become()
            except BaseException as error:  # nothing of PID 1 may go on in the child
                os.write(2, f"{self.label}: {error}\n".encode())
            os._exit(EX_CONFIG)

    def _become(self) -> None:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for caught in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGPIPE):
            signal.signal(caught, signal.SIG_DFL)
        user = pwd.getpwnam(self.plist.get("UserName", "root"))
        paths = ("/dev/null", self.plist.get("StandardOutPath"), self.plist.get("StandardErrorPath"))
        for number, path in enumerate(paths):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
            os.dup2(os.open(path or "/dev/null", flags, 0o644), number)
        os.closerange(3, 256)
        if "GroupName" in self.plist:
            os.setgid(grp.getgrnam(self.plist["GroupName"]).gr_gid)
        elif user.pw_uid:
            os.initgroups(user.pw_name, user.pw_gid)
            os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        os.umask(self.plist.get("Umask", 0o022))
        os.chdir(self.plist.get("WorkingDirectory", "/"))
        environment = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "XPC_SERVICE_NAME": self.label}
        os.execvpe(self.program, self.arguments, {**environment, **self.plist.get("EnvironmentVariables", {})})

    def exited(self, status: int) -> None:
        """Note its end; what it left behind in its process group ends, too."""
        if not self.plist.get("AbandonProcessGroup"):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGTERM)
        self.pid, self.exit = 0, status

    def throttle(self) -> float:
        """The least time between two starts."""
        return float(self.plist.get("ThrottleInterval", 10))

    def describe(self) -> str:
        """What `launchctl print` shows of it."""
        end = "(never exited)" if self.exit is None else str(os.waitstatus_to_exitcode(self.exit))
        last = f"\tlast exit code = {end}\n"
        if self.exit is not None and os.WIFSIGNALED(self.exit):
            number = os.WTERMSIG(self.exit)
            last = f"\tlast terminating signal = {signal.strsignal(number)}: {number}\n"
        arguments = "".join(f"\t\t{argument}\n" for argument in self.arguments)
        return (
            f"system/{self.label} = {{\n\tactive count = {int(bool(self.pid))}\n\tpath = {self.path}\n"
            f"\ttype = LaunchDaemon\n\tstate = {'running' if self.pid else 'not running'}\n\n"
            f"\tprogram = {self.program}\n\targuments = {{\n{arguments}\t}}\n\n"
            f"\tdomain = system\n\tminimum runtime = {self.throttle():.0f}\n\truns = {self.runs}\n"
            + (f"\tpid = {self.pid}\n" if self.pid else "")
            + f"{last}}}\n"
        )


def _has_entries(folder: str) -> bool:
    try:
        return bool(os.listdir(folder))
    except OSError:
        return False


def read_plist(path: str) -> dict[str, Any]:
    """A plist that launchd takes, or Refused."""
    try:
        status = os.lstat(path)
    except OSError as error:
        raise failed("Bootstrap", 5, str(error)) from error
    if not stat.S_ISREG(status.st_mode) or status.st_uid != 0 or status.st_mode & 0o022:
        raise failed("Bootstrap", 122, f"{path}: root must own it, and nobody else may write it")
    try:
        with open(path, "rb") as file:
            plist = plistlib.load(file)
        if not isinstance(plist, dict):
            raise ValueError("not a dictionary")
        label = plist.get("Label")
        if not label or not (plist.get("Program") or plist.get("ProgramArguments")):
            raise ValueError("Label and Program or ProgramArguments are needed")
        if unknown := set(plist) - HONOURED - WITHOUT_EFFECT:
            raise ValueError(f"the lab's launchd does not know {', '.join(sorted(unknown))}")
        keep = plist.get("KeepAlive", False)
        if not isinstance(keep, bool) and set(keep) != {"SuccessfulExit"}:
            raise ValueError("of KeepAlive, the lab's launchd knows true, false and SuccessfulExit")
    except Exception as error:
        raise failed("Bootstrap", 5, f"{path}: {error}") from error
    return plist


class Launchd:
    """All jobs, and whoever talks to PID 1."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.ending = False
        for path in (DISABLED, UNIFIED_LOG, CONTROL):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        self.messages = open(UNIFIED_LOG, "a", encoding="utf-8", errors="replace")  # noqa: SIM115  # open as long as PID 1
        self.syslog = _listen("/dev/log", socket.SOCK_DGRAM)
        self.control = _listen(CONTROL, socket.SOCK_STREAM)
        # A signal must end select() at once.
        self.wakeup, write_end = os.pipe()
        for end in (self.wakeup, write_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write_end)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGINT, self._end)

    def _end(self, *_: object) -> None:
        self.ending = True

    def boot(self) -> None:
        """Load what lies in the two folders."""
        for folder in FOLDERS:
            for name in sorted(os.listdir(folder)):
                if name.endswith(".plist"):
                    try:
                        self.load(os.path.join(folder, name))
                    except Refused as error:
                        self.note("Error", 1, "launchd", f"{name}: {error}")

    def run(self) -> None:
        """Until somebody ends PID 1."""
        self.boot()
        while not self.ending:
            self.turn(POLL_SECONDS, talk=True)
        for job in self.jobs.values():
            job.plist["KeepAlive"] = False
            if job.pid:
                os.kill(job.pid, signal.SIGTERM)
        deadline = time.monotonic() + 5
        while any(job.pid for job in self.jobs.values()) and time.monotonic() < deadline:
            self.turn(0.1, talk=False, keep=False)

    def turn(self, timeout: float, talk: bool, keep: bool = True) -> None:
        """Whatever there is to do now."""
        sockets: list[Any] = [self.wakeup, self.syslog, *([self.control] if talk else [])]
        ready = select.select(sockets, [], [], timeout)[0]
        if self.wakeup in ready:
            os.read(self.wakeup, 4096)
        if self.syslog in ready:
            self.take_log()
        self.reap()
        if self.control in ready:
            self.answer()
        for job in self.jobs.values():
            if keep and not job.pid and job.wanted() and time.monotonic() >= job.started + job.throttle():
                job.start()

    def reap(self) -> None:
        """Orphans, too: that is PID 1's duty."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for job in self.jobs.values():
                if job.pid == pid:
                    job.exited(status)
                    rest = job.started + job.throttle() - time.monotonic()
                    if rest > 0 and job.wanted():
                        self.note(
                            "Default", 1, "launchd", f"{job.label}: Service only ran for a moment. "
                            f"Pushing respawn out by {rest:.0f} seconds.",
                        )  # fmt: skip

    # --- the log ------------------------------------------------------------------------------

    def take_log(self) -> None:
        """What programs hand to syslog(3)."""
        while True:
            try:
                text = self.syslog.recv(65536).decode("utf-8", "replace")
            except BlockingIOError:
                return
            found = re.match(r"<(\d+)>(?:\w{3} [ \d]\d [\d:]{8} )?([^:\[]*)(?:\[(\d+)\])?: ?(.*)", text, re.DOTALL)
            if found:
                priority, tag, pid, message = found.groups()
                severity = int(priority) % 8
                kind = {7: "Debug", 6: "Info", 5: "Default", 4: "Default", 3: "Error"}.get(severity, "Fault")
                # The unified log goes by the program: postfix/smtp is smtp.
                self.note(kind, int(pid or 0), tag.rpartition("/")[2], message)

    def note(self, kind: str, pid: int, process: str, message: str) -> None:
        """One line of the unified log."""
        print(json.dumps([time.time(), kind, pid, process, message.rstrip("\n\0")]), file=self.messages, flush=True)

    # --- launchctl ----------------------------------------------------------------------------

    def answer(self) -> None:
        """One call of launchctl."""
        connection, _ = self.control.accept()
        with connection:
            connection.settimeout(5)
            with contextlib.suppress(OSError, ValueError):  # whoever called is gone
                uid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
                arguments = json.loads(connection.makefile(encoding="utf-8").readline())
                status, out, err = 0, "", ""
                try:
                    out = self.obey(arguments, uid)
                except Refused as error:
                    status, err = error.status, f"{error}\n"
                except Exception as error:  # PID 1 must live
                    status, err = USAGE, f"the lab's launchd: {error!r}\n"
                connection.sendall(json.dumps([status, out, err]).encode())

    def obey(self, arguments: list[str], uid: int) -> str:
        """Run one subcommand; gives what it prints."""
        commands: dict[str, Callable[..., Optional[str]]] = {
            "bootstrap": self.bootstrap, "bootout": self.bootout, "enable": self.enable, "disable": self.disable,
            "kickstart": self.kickstart, "kill": self.kill, "print": self.print, "print-disabled": self.print_disabled,
            "list": self.list,
        }  # fmt: skip
        name, *rest = arguments or [""]
        if name not in commands:
            raise Refused(USAGE, f"Unrecognized subcommand: {name} (the lab's launchctl has {', '.join(commands)})")
        if uid != 0 and name not in ("print", "print-disabled", "list"):
            raise failed(name.capitalize(), 1)
        return commands[name](*rest) or ""

    def load(self, path: str) -> None:
        """Take a plist; Refused as `launchctl bootstrap` refuses."""
        plist = read_plist(path)
        label = plist["Label"]
        if label in self.jobs:
            raise failed("Bootstrap", 5, f"{label} is loaded already")
        if self.disabled().get(label, plist.get("Disabled", False)):
            raise failed("Bootstrap", 5, f"{label} is disabled")
        self.jobs[label] = Job(path, plist)

    def job(self, target: str) -> Job:
        """The job that system/LABEL names."""
        label = target.partition("/")[2]
        if not target.startswith("system/") or label not in self.jobs:
            raise Refused(NOT_FOUND, f'Could not find service "{label}" in domain for system')
        return self.jobs[label]

    def bootstrap(self, domain: str, *paths: str) -> None:
        """launchctl bootstrap system PLIST."""
        if domain != "system" or not paths:
            raise Refused(USAGE, "Usage: launchctl bootstrap system <path> ...")
        for path in paths:
            if read_plist(path)["Label"].startswith("com.apple."):
                raise failed("Bootstrap", 150)
            self.load(path)

    def bootout(self, target: str, path: str = "") -> None:
        """launchctl bootout system/LABEL, or bootout system PLIST."""
        label = read_plist(path)["Label"] if path else target.partition("/")[2]
        if not target.startswith("system") or not label:
            raise Refused(USAGE, "Usage: launchctl bootout system/<label> | system <path>")
        if label.startswith("com.apple."):
            raise failed("Boot-out", 150)
        if label not in self.jobs:
            raise failed("Boot-out", 5 if path else 3)
        job = self.jobs[label]
        job.plist["KeepAlive"] = False
        self.stop(job)
        del self.jobs[label]

    def stop(self, job: Job) -> None:
        """End its process, with patience."""
        deadline = time.monotonic() + job.plist.get("ExitTimeOut", 20)
        pid = job.pid
        if pid:
            os.kill(pid, signal.SIGTERM)
        while job.pid == pid and pid:
            self.turn(0.05, talk=False, keep=False)
            if time.monotonic() > deadline and job.pid == pid:
                os.kill(pid, signal.SIGKILL)

    def kickstart(self, *arguments: str) -> None:
        """launchctl kickstart [-k] system/LABEL."""
        job = self.job(arguments[-1])
        if "-k" in arguments:
            self.stop(job)
        if not job.pid:
            job.start()

    def kill(self, name: str, target: str) -> None:
        """launchctl kill SIGNAL system/LABEL."""
        job = self.job(target)
        if not job.pid:
            raise Refused(3, "No process to signal.")
        number = int(name) if name.isdigit() else signal.Signals[f"SIG{name.replace('SIG', '')}"]
        os.kill(job.pid, number)

    def print(self, target: str) -> str:
        """launchctl print system[/LABEL]."""
        if target == "system":
            services = "".join(f"\t\t{job.pid:8}      - \t{label}\n" for label, job in sorted(self.jobs.items()))
            return f"system = {{\n\ttype = system\n\thandle = 0\n\n\tservices = {{\n{services}\t}}\n}}\n"
        return self.job(target).describe()

    def list(self, label: str = "") -> str:
        """launchctl list [LABEL]."""
        if label:
            return self.job(f"system/{label}").describe()
        lines = [
            f"{job.pid or '-'}\t{0 if job.exit is None else os.waitstatus_to_exitcode(job.exit)}\t{name}\n"
            for name, job in sorted(self.jobs.items())
        ]
        return "PID\tStatus\tLabel\n" + "".join(lines)

    def disabled(self) -> dict[str, bool]:
        """What somebody enabled or disabled: label -> whether it is disabled."""
        try:
            with open(DISABLED, "rb") as file:
                return dict(plistlib.load(file))
        except FileNotFoundError:
            return {}

    def _set_disabled(self, target: str, value: bool) -> None:
        label = target.partition("/")[2]
        if not target.startswith("system/") or not label:
            raise Refused(USAGE, "Usage: launchctl enable|disable system/<label>")
        if label.startswith("com.apple."):
            return  # under SIP it says nothing, and nothing comes of it
        with open(f"{DISABLED}.new", "wb") as file:
            plistlib.dump({**self.disabled(), label: value}, file)
        os.replace(f"{DISABLED}.new", DISABLED)

    def enable(self, target: str) -> None:
        """launchctl enable system/LABEL."""
        self._set_disabled(target, False)

    def disable(self, target: str) -> None:
        """launchctl disable system/LABEL: not to be loaded again; what runs goes on."""
        self._set_disabled(target, True)

    def print_disabled(self, domain: str) -> str:
        """launchctl print-disabled system."""
        if domain != "system":
            raise Refused(USAGE, "Usage: launchctl print-disabled system")
        lines = [f'\t\t"{k}" => {"disabled" if v else "enabled"}\n' for k, v in sorted(self.disabled().items())]
        return f"\n\tdisabled services = {{\n{''.join(lines)}\t}}\n"


def _listen(path: str, kind: socket.SocketKind) -> socket.socket:
    if os.path.exists(path):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX, kind)
    server.bind(path)
    os.chmod(path, 0o666)
    server.setblocking(False)
    if kind == socket.SOCK_STREAM:
        server.listen(16)
    return server


if __name__ == "__main__":
    if os.getpid() != 1:
        sys.exit("launchd is started by the machine alone")
    Launchd().run()
