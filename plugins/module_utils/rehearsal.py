"""Send a mail through a second Postfix that has the configuration to come, before the host has it.

Many values are read only by the daemon that needs them, and a bad one makes it die over and over
while mail waits. So a master daemon of our own runs for a moment, with its own queue and without a
network port, and takes one mail as far as the TLS handshake with a relay that is this program. It
is told no password. Runs on the managed host.
"""

from __future__ import annotations

import glob
import grp
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

from ansible_collections.homelab.mail.plugins.module_utils import configuration

# typing.Self is newer than the Python of some hosts.
Itself = TypeVar("Itself", bound="_Background")

SECONDS = 8
PREFIX = "postfix-check-"
RECIPIENT = "check@example.com"

# What a mail needs on its way out. Sockets in a folder of our own; nothing listens to a network.
_MASTER_CF = """\
pickup    unix  n  -  n  60     1  pickup
smtpd     unix  n  -  n  -      1  smtpd
cleanup   unix  n  -  n  -      0  cleanup
qmgr      unix  n  -  n  300    1  qmgr
tlsmgr    unix  -  -  n  1000?  1  tlsmgr
rewrite   unix  -  -  n  -      -  trivial-rewrite
bounce    unix  -  -  n  -      0  bounce
defer     unix  -  -  n  -      0  bounce
trace     unix  -  -  n  -      0  bounce
proxymap  unix  -  -  n  -      -  proxymap
anvil     unix  -  -  n  -      1  anvil
smtp      unix  -  -  n  -      -  smtp
relay     unix  -  -  n  -      -  smtp
error     unix  -  -  n  -      -  error
retry     unix  -  -  n  -      -  error
scache    unix  -  -  n  -      1  scache
tlsproxy  unix  -  -  n  -      0  tlsproxy
"""
# So that the mail takes this way, whatever ways the configuration has for others.
_OWN = """
queue_directory = {queue}
data_directory = {data}
process_id_directory = pid
relayhost = [{address}]:{port}
default_transport = smtp
relay_transport = smtp
content_filter =
transport_maps =
sender_dependent_relayhost_maps =
sender_dependent_default_transport_maps =
defer_transports =
syslog_name = postfix-check
maillog_file = /dev/stdout
soft_bounce = yes
"""
_QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")
# These follow from another complaint, or from the lines that were added here.
_ECHOES = re.compile(
    r"overriding earlier|bad command startup|exit status|killed by signal|malformed response|problem talking"
    r"|unused parameter|is unavailable|lookup error|deprecated|NON_BERKELEYDB"
)


def rehearse(
    main_cf: str, tables: dict[str, str], compiled: dict[str, str], config_directory: str, programs: str
) -> list[str]:
    """What Postfix complains of when a mail is sent with this main.cf, in its words; nothing where it gets out.

    `tables` and `compiled` as for the module `postfix`; `programs` is the folder of postconf and sendmail.
    Raises CannotRehearse where Postfix' own defaults do not get a mail out that way either.
    """
    try:
        return _compared(main_cf, tables, compiled, config_directory, programs)
    except (OSError, subprocess.SubprocessError) as error:
        # No room below /run, or a program that does not come to its end.
        raise CannotRehearse(str(error)) from error


def _compared(
    main_cf: str, tables: dict[str, str], compiled: dict[str, str], config_directory: str, programs: str
) -> list[str]:
    """The complaints, unless they are those of Postfix' own defaults too."""
    faults = _attempt(main_cf, tables, compiled, config_directory, programs)
    if faults:
        level = configuration.parse_main_cf(main_cf).get("compatibility_level", "2")
        # Without the host's aliases, which nothing may have compiled.
        plain = f"compatibility_level = {level}\nalias_maps =\n"
        control = _attempt(plain, {}, {}, config_directory, programs)
        if set(faults) <= set(control):
            raise CannotRehearse("; ".join(control))
    return faults


class CannotRehearse(Exception):
    """Something on this host keeps a second Postfix from running, whatever the configuration says."""


def sweep() -> None:
    """Remove what a rehearsal left that was killed, as a reboot does. Its daemon ends by itself."""
    for path in glob.glob(os.path.join(_runtime_directory(), PREFIX + "*")):
        shutil.rmtree(path, ignore_errors=True)


def _runtime_directory() -> str:
    """Short, because names of sockets may not be long, and gone with the next boot."""
    return "/run" if os.path.isdir("/run") else "/var/run"


def _attempt(
    main_cf: str, tables: dict[str, str], compiled: dict[str, str], config_directory: str, programs: str
) -> list[str]:
    base = tempfile.mkdtemp(prefix=PREFIX, dir=_runtime_directory())
    try:
        folder = _Folder(base, programs)
        folder.main_cf = main_cf.replace(configuration.PLACEHOLDER, folder.tables)
        folder.put("main.cf", folder.main_cf)
        for name in ("dynamicmaps.cf", "dynamicmaps.cf.d"):
            if os.path.exists(os.path.join(config_directory, name)):
                os.symlink(os.path.join(config_directory, name), os.path.join(folder.configuration, name))
        folder.put_tables(tables, compiled)
        return _send(folder)
    finally:
        shutil.rmtree(base, ignore_errors=True)


class _Folder:
    """A whole Postfix in one folder: configuration, queue, data."""

    def __init__(self, base: str, programs: str) -> None:
        self.base, self.programs, self.main_cf = base, programs, ""
        self.configuration, self.tables = os.path.join(base, "c"), os.path.join(base, "t")
        self.queue, self.data = os.path.join(base, "q"), os.path.join(base, "d")
        self.log = self.queue + "/public/postlog"
        self.environment = {
            "PATH": f"{programs}:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C",
            "MAIL_CONFIG": self.configuration,
            # Where the daemons send their log, from Postfix 3.4 on.
            "POSTLOG_SERVICE": self.log,
            "POSTLOG_HOSTNAME": "check",
        }
        for path in (self.configuration, self.tables):
            os.mkdir(path)
            os.chmod(path, 0o755)
        self.put("master.cf", _MASTER_CF)

    def open(self, owner: str, group: str) -> None:
        """Make queue and data, and let Postfix reach them."""
        uid, gid = pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid
        for path in (self.queue, self.data, self.queue + "/pid"):
            os.mkdir(path)
            os.chmod(path, 0o755)
        os.chown(self.data, uid, -1)
        for name in _QUEUES:
            os.mkdir(f"{self.queue}/{name}", 0o700)
            os.chown(f"{self.queue}/{name}", uid, -1)
        for name, mode in (("maildrop", 0o730), ("public", 0o710)):
            os.mkdir(f"{self.queue}/{name}")
            os.chown(f"{self.queue}/{name}", uid, gid)
            os.chmod(f"{self.queue}/{name}", mode)
        os.chmod(self.base, 0o755)

    def put(self, name: str, text: str) -> None:
        path = os.path.join(self.configuration, name)
        with open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(text)
        # Postfix waits until a file is more than a second old.
        os.utime(path, (time.time() - 60,) * 2)

    def put_tables(self, tables: dict[str, str], compiled: dict[str, str]) -> None:
        """All tables; the logins stay empty, because nobody logs in here."""
        for name, text in {**tables, "sasl_passwd": ""}.items():
            self.put(os.path.join(self.tables, name), text)
            if name in compiled:
                self.run("postmap", f"{compiled[name]}:{os.path.join(self.tables, name)}")

    def run(self, program: str, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [os.path.join(self.programs, program), *arguments],
            env=self.environment, input=text, capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip

    def ask(self, *names: str) -> tuple[list[str], list[str]]:
        """Values of the configuration that is rehearsed, and what postconf complained of."""
        done = self.run("postconf", "-x", "-h", *names)
        return done.stdout.splitlines(), done.stderr.splitlines()


def _send(folder: _Folder) -> list[str]:
    """Send a mail as far as it gets."""
    names = ("daemon_directory", "mail_owner", "setgid_group", "smtp_tls_wrappermode", "inet_protocols")
    values, complaints = folder.ask(*names)
    if len(values) < len(names):
        return _complaints(complaints, "fatal|error|warning") or ["postconf cannot read it"]
    daemons, owner, group, wrapped, protocols = (value.strip() for value in values)
    try:
        folder.open(owner, group)
    except KeyError as error:
        return [f"mail_owner or setgid_group: {error.args[0]}"]
    family, address = (socket.AF_INET6, "::1") if protocols == "ipv6" else (socket.AF_INET, "127.0.0.1")
    with _Relay(family, address, wrapped == "yes") as relay, _Log(folder.log) as log:
        ours = _OWN.format(queue=folder.queue, data=folder.data, address=address, port=relay.port)
        folder.put("main.cf", f"{folder.main_cf}\n{ours}")
        with _master(folder, daemons) as master:
            end = time.monotonic() + SECONDS

            def alive() -> bool:
                return master.poll() is None and time.monotonic() < end

            while alive() and not os.path.exists(folder.queue + "/public/smtpd"):
                time.sleep(0.01)
            answer = ""
            if alive():
                handed_in = folder.run(
                    "sendmail", "-C", folder.configuration, "-i", "-f", "root", RECIPIENT, text="Subject: check\n\n"
                )
                log.lines.extend(handed_in.stderr.splitlines())
                answer = _hand_in(folder.queue + "/public/smtpd")
            while alive() and not relay.reached.is_set() and not log.complaints("fatal|panic|error"):
                if log.has("status=|TLS library problem"):
                    # It may have been said before the relay was quick enough to know.
                    relay.reached.wait(0.2)
                    break
                time.sleep(0.01)
            # Before the daemons are ended, which they complain of, too.
            reached, outcomes = relay.reached.is_set(), log.outcomes()
            faults, warnings = log.complaints("fatal|panic|error"), log.complaints("warning")
    if faults or (reached and not answer):
        return faults
    if reached and log.lines:
        # A refusal with nothing in the log is a rule that somebody meant.
        return warnings
    return warnings or [answer or next(iter(outcomes), "a mail does not get out, and Postfix does not say why")]


@contextmanager
def _master(folder: _Folder, daemons: str) -> Iterator[subprocess.Popen[bytes]]:
    """The master daemon, which ends by itself if nobody is left to end it."""
    master = subprocess.Popen(
        [f"{daemons}/master", "-d", "-c", folder.configuration, "-e", str(SECONDS + 5)],
        env=folder.environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield master
    finally:
        # The group: daemons that master has started would otherwise live on for a while.
        with suppress(ProcessLookupError):
            os.killpg(master.pid, signal.SIGTERM)
        try:
            master.wait(3)
        except subprocess.TimeoutExpired:
            os.killpg(master.pid, signal.SIGKILL)
            master.wait()


class _Background:
    """A thread that goes on until the block is left, and sees that within a moment."""

    def __init__(self, own: socket.socket) -> None:
        self._socket = own
        self._socket.settimeout(0.1)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def __enter__(self: Itself) -> Itself:
        return self

    def __exit__(self, *_reason: object) -> None:
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def _work(self) -> None:
        while not self._closing.is_set():
            with suppress(socket.timeout, OSError):
                self.step()

    def step(self) -> None:
        """What is done over and over."""
        raise NotImplementedError


class _Log(_Background):
    """What the daemons say, read as they say it."""

    def __init__(self, path: str) -> None:
        self.lines: list[str] = []
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        own.bind(path)
        os.chmod(path, 0o666)
        super().__init__(own)

    def step(self) -> None:
        self.lines.append(self._socket.recv(8192).decode(errors="replace").strip())

    def has(self, pattern: str) -> bool:
        """Whether a line says so."""
        return any(re.search(pattern, line) for line in list(self.lines))

    def complaints(self, kinds: str) -> list[str]:
        """The lines of these kinds."""
        return _complaints(self.lines, kinds)

    def outcomes(self) -> list[str]:
        """What has become of the mail."""
        return [line.partition("status=")[2] for line in list(self.lines) if "status=" in line]


class _Relay(_Background):
    """A relay that goes away as soon as somebody begins TLS with it."""

    def __init__(self, family: socket.AddressFamily, address: str, wrapped: bool) -> None:
        self.reached = threading.Event()
        self._wrapped = wrapped
        own = socket.socket(family)
        own.bind((address, 0))
        own.listen(5)
        self.port: int = own.getsockname()[1]
        super().__init__(own)

    def step(self) -> None:
        peer, _address = self._socket.accept()
        with peer, peer.makefile("rb") as stream:
            peer.settimeout(3)
            if not self._wrapped:
                peer.sendall(b"220 check ESMTP\r\n")
            while True:
                if stream.peek(1)[:1] == b"\x16":
                    self.reached.set()
                    return
                verb = stream.readline()[:4].upper()
                if verb == b"EHLO":
                    peer.sendall(b"250-check\r\n250 STARTTLS\r\n")
                elif verb == b"STAR":
                    peer.sendall(b"220 go ahead\r\n")
                else:
                    # Without TLS, where a level below encrypt allows that.
                    if verb == b"MAIL":
                        self.reached.set()
                    return


def _hand_in(path: str) -> str:
    """Name a recipient to smtpd, over its socket; says how it answers where its configuration is at fault."""
    try:
        with socket.socket(socket.AF_UNIX) as session:
            session.settimeout(3)
            session.connect(path)
            with session.makefile("rb") as replies:
                for line in ("", "EHLO localhost", "MAIL FROM:<root>", f"RCPT TO:<{RECIPIENT}>", "QUIT"):
                    if line:
                        session.sendall(line.encode() + b"\r\n")
                    reply = replies.readline()
                    while reply[3:4] == b"-":
                        reply = replies.readline()
                    if not reply or re.match(rb"421|4\d\d 4\.3\.[05]", reply):
                        said = reply.decode(errors="replace").strip() or "nothing"
                        return f"smtpd answers {line or 'a connection'} with {said}"
    except OSError as error:
        return f"smtpd does not answer: {error}"
    return ""


def _complaints(lines: list[str], kinds: str) -> list[str]:
    """The complaints in a log, each once, without time, process and the path of the copy.

    >>> _complaints(["Nov 21 check postfix-check/smtp[7]: fatal: bad value", "postfix-check/qmgr[8]: x"], "fatal")
    ['bad value']
    """
    found = [re.search(rf"(?:^|\s)(?:{kinds}): (.*)", line) for line in list(lines) if not _ECHOES.search(line)]
    words = [re.sub(rf"\S*/{PREFIX}\S*?/[ct]/", "", item.group(1)) for item in found if item]
    return list(dict.fromkeys(words))
