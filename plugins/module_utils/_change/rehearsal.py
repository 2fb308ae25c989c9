"""Send a mail through a second Postfix that has the configuration to come, before the host has it.

Many values are read only by the daemon that needs them, and a bad one makes it die over and over
while mail waits. So a master daemon of our own runs for a moment, with its own queue and without a
network port, and takes one mail as far as the TLS handshake with a relay that is this program. If
that is wanted, the mail has a second recipient, who is sent to the real relay and gets as far as the
login (`route`). It is told no password. Runs on the managed host.
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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple, TypeVar

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import route

# typing.Self is newer than the Python of some hosts.
Itself = TypeVar("Itself", bound="_Background")

SECONDS = 8
PREFIX = "postfix-check-"
RECIPIENT = "check@example.com"
# Whose mail has to log in: outside TLS, because the relay here has no certificate, but by what holds inside.
LOGIN = "check@example.org"

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
login     unix  -  -  n  -      -  smtp -o smtp_tls_security_level=none -o smtp_tls_wrappermode=no
    -o smtp_tls_policy_maps= -o smtp_sasl_password_maps=static:nobody:nothing
    -o smtp_sasl_security_options=$smtp_sasl_tls_security_options
relay     unix  -  -  n  -      -  smtp
error     unix  -  -  n  -      -  error
retry     unix  -  -  n  -      -  error
scache    unix  -  -  n  -      1  scache
tlsproxy  unix  -  -  n  -      0  tlsproxy
"""
# So that the mail takes this way, whatever ways the configuration has for others. Its maps for the way of a mail stay,
# behind ours, because one that is not there keeps all mail waiting.
_OWN = {
    "process_id_directory": "pid",
    "content_filter": "",
    "defer_transports": "",
    "syslog_name": "postfix-check",
    "maillog_file": "/dev/stdout",
    "soft_bounce": "yes",
}
# The users that Postfix runs as, and where its programs are, may be this host's own.
_SYSTEM = ("mail_owner", "setgid_group", "daemon_directory")
_QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")
# These follow from another complaint, or from the lines that were added here.
_ECHOES = re.compile(
    r"overriding earlier|bad command startup|exit status|killed by signal|malformed response|problem talking"
    r"|unused parameter|is unavailable|lookup error|deprecated|NON_BERKELEYDB|AUTH mechanism|server role is disabled"
)


class Rehearsed(NamedTuple):
    """What came of it."""

    #: What Postfix complains of, in its words; nothing where a mail gets out.
    complaints: list[str]
    #: What keeps it from the login at the real relay; empty where nothing does, None where that was not tried or did
    #: not come to an end.
    obstacle: str | None = None


class Trial(NamedTuple):
    """A configuration to be tried."""

    main_cf: str
    #: These two as for the module `smarthost_configuration`.
    tables: Mapping[str, str]
    compiled: Mapping[str, str]
    #: Where Postfix has its configuration now.
    directory: str
    #: The folder of postconf and sendmail.
    programs: str
    #: The level of TLS that the real relay is to be reached with; empty where nobody is to be connected to.
    level: str = ""


def rehearse(trial: Trial) -> Rehearsed:
    """Send a mail with this configuration.

    Raises CannotRehearse where Postfix' own defaults do not get a mail out that way either.
    """
    try:
        return _compared(trial)
    except (OSError, subprocess.SubprocessError) as error:
        # No room below /run, or a program that does not come to its end.
        raise CannotRehearse(str(error)) from error


def _compared(trial: Trial) -> Rehearsed:
    """What came of it, unless Postfix' own defaults have the same complaints."""
    found = _attempt(trial)
    if found.complaints and not found.complaints[0].startswith(_UNKNOWN_USER):
        values = configuration.parse_main_cf(trial.main_cf)
        system = "".join(f"{name} = {values[name]}\n" for name in _SYSTEM if name in values)
        level = values.get("compatibility_level", "2")
        # Without the host's aliases, which nothing may have compiled.
        plain = f"compatibility_level = {level}\nalias_maps =\n{system}"
        control = _attempt(trial._replace(main_cf=plain, tables={}, compiled={}, level=""))
        if set(found.complaints) <= set(control.complaints):
            raise CannotRehearse("; ".join(control.complaints))
    return found


class CannotRehearse(Exception):
    """Something on this host keeps a second Postfix from running, whatever the configuration says."""


def sweep() -> None:
    """Remove what a rehearsal left that was killed, as a reboot does. Its daemon ends by itself."""
    for path in glob.glob(os.path.join(_runtime_directory(), PREFIX + "*")):
        shutil.rmtree(path, ignore_errors=True)


def _runtime_directory() -> str:
    """Short, because names of sockets may not be long, and gone with the next boot."""
    return "/run" if os.path.isdir("/run") else "/var/run"


def _attempt(trial: Trial) -> Rehearsed:
    base = tempfile.mkdtemp(prefix=PREFIX, dir=_runtime_directory())
    try:
        folder = _Folder(base, trial.programs)
        folder.main_cf = trial.main_cf.replace(configuration.PLACEHOLDER, folder.tables)
        folder.put("main.cf", folder.main_cf)
        for name in ("dynamicmaps.cf", "dynamicmaps.cf.d"):
            if os.path.exists(os.path.join(trial.directory, name)):
                os.symlink(os.path.join(trial.directory, name), os.path.join(folder.configuration, name))
        folder.put_tables(trial.tables, trial.compiled)
        return _send(folder, trial)
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

    def put_tables(self, tables: Mapping[str, str], compiled: Mapping[str, str]) -> None:
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

    def reason(self, recipient: str) -> str:
        """Why the mail to a recipient waits, as soon as Postfix has said so."""
        for path in glob.glob(f"{self.queue}/defer/**", recursive=True):
            with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
                if found := route.reason(file.read(), recipient):
                    return found
        return ""

    def ask(self, *names: str) -> tuple[list[str], list[str]]:
        """Values of the configuration that is rehearsed, and what postconf complained of."""
        done = self.run("postconf", "-x", "-h", *names)
        return done.stdout.splitlines(), done.stderr.splitlines()


_ASKED = (
    *_SYSTEM, "smtp_tls_wrappermode", "inet_protocols", "default_transport", "relayhost", "smtp_sasl_auth_enable",
    "smtp_sasl_mechanism_filter", "queue_directory",
)  # fmt: skip
_UNKNOWN_USER = "mail_owner or setgid_group: "


def _send(folder: _Folder, trial: Trial) -> Rehearsed:
    """Send a mail as far as it gets."""
    values, complaints = folder.ask(*_ASKED)
    if len(values) < len(_ASKED):
        return Rehearsed(_complaints(complaints, "fatal|error|warning") or ["postconf cannot read it"])
    owner, group, daemons, wrapped, protocols, transport, relayhost, logs_in, mechanisms, live = map(str.strip, values)
    try:
        folder.open(owner, group)
    except KeyError as error:
        return Rehearsed([_UNKNOWN_USER + str(error.args[0])])
    ways = _ways(folder, trial, transport, relayhost) if trial.level else {}
    if ways:
        route.copy_chroot(live, folder.queue)
    family, address = (socket.AF_INET6, "::1") if protocols == "ipv6" else (socket.AF_INET, "127.0.0.1")
    with ExitStack() as opened:
        log = opened.enter_context(_Log(folder.log))
        relays = {RECIPIENT: opened.enter_context(_Relay(family, address, wrapped == "yes"))}
        ways[RECIPIENT] = f"smtp:[{address}]:{relays[RECIPIENT].port}"
        if logs_in == "yes":
            relays[LOGIN] = opened.enter_context(_Relay(family, address, wrapped=False, offers="AUTH PLAIN LOGIN"))
            ways[LOGIN] = f"login:[{address}]:{relays[LOGIN].port}"
        folder.put("main.cf", _on_its_way(folder, ways))
        answer, said, lines = _deliver(folder, daemons, log, ways, relays)
        stuck = [recipient for recipient, relay in relays.items() if not relay.reached.is_set()]
    why = folder.reason(route.RECIPIENT)
    obstacle = route.obstacle(why, lines, trial.level, mechanisms) if why else None
    faults, warnings = _complaints(lines + said, "fatal|panic|error"), _complaints(lines + said, "warning")
    if faults or not (stuck or answer):
        return Rehearsed(faults, obstacle)
    if lines and not stuck:
        # A refusal with nothing in the log is a rule that somebody meant.
        return Rehearsed(warnings, obstacle)
    reasons = [
        folder.reason(recipient) or "a mail does not get out, and Postfix does not say why" for recipient in stuck
    ]
    return Rehearsed(warnings or ([answer] if answer else reasons), obstacle)


def _deliver(
    folder: _Folder, daemons: str, log: _Log, ways: dict[str, str], relays: dict[str, _Relay]
) -> tuple[str, list[str], list[str]]:
    """Let Postfix take a mail to its relays; what smtpd answered where that is a fault, what sendmail said, the log."""
    answer, said = "", ""
    with _master(folder, daemons) as master:
        end = time.monotonic() + SECONDS

        def alive() -> bool:
            return master.poll() is None and time.monotonic() < end

        def arrived(recipient: str) -> bool:
            return (recipient in relays and relays[recipient].reached.is_set()) or bool(folder.reason(recipient))

        while alive() and not os.path.exists(folder.queue + "/public/smtpd"):
            time.sleep(0.01)
        if alive():
            arguments = ("-C", folder.configuration, "-i", "-f", "root", *ways)
            said = folder.run("sendmail", *arguments, text="Subject: check\n\n").stderr
            answer = _hand_in(folder.queue + "/public/smtpd")
        while alive() and not log.complaints("fatal|panic|error") and not all(map(arrived, ways)):
            time.sleep(0.01)
        for relay in relays.values():
            # Postfix may have said how it ended before the relay was quick enough to know.
            relay.reached.wait(0.2)
        # What Postfix said on the way has been read when its last word has; before 3.4 it says nothing here.
        last_word = time.monotonic() + 1
        while route.RECIPIENT in ways and log.lines and time.monotonic() < last_word:
            if any(f"to=<{route.RECIPIENT}>" in line for line in list(log.lines)):
                break
            time.sleep(0.01)
        # Before the daemons are ended, which they complain of, too.
        return answer, said.splitlines(), list(log.lines)


def _ways(folder: _Folder, trial: Trial, transport: str, relayhost: str) -> dict[str, str]:
    """The way to the real relay, with what it needs; none where mail does not leave by one relay."""
    name, _colon, nexthop = transport.partition(":")
    lines = folder.run("postconf", "-c", trial.directory, "-M", f"{name}/unix").stdout.strip()
    nexthop, service = nexthop or relayhost, route.service(lines, "postfix-check", folder.tables)
    if not nexthop or (lines and not service):
        return {}
    folder.put(os.path.join(folder.tables, "route_replies"), route.REPLIES)
    # Where master.cf has none, Postfix will say so.
    folder.put("master.cf", f"{_MASTER_CF}{service}\n")
    return {route.RECIPIENT: f"{route.SERVICE}:{nexthop}"}


def _on_its_way(folder: _Folder, ways: dict[str, str]) -> str:
    """The main.cf of a folder with the ways of these recipients, each parameter once, or else Postfix complains."""
    values = configuration.parse_main_cf(folder.main_cf)
    own = ", ".join(f"{{ {recipient} = {way} }}" for recipient, way in ways.items())
    values.update(_OWN, queue_directory=folder.queue, data_directory=folder.data)
    values["transport_maps"] = f"inline:{{ {own} }}, {values.get('transport_maps', '')}".rstrip(", ")
    return "".join(f"{name} = {value}\n" for name, value in values.items())


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

    def complaints(self, kinds: str) -> list[str]:
        """The lines of these kinds."""
        return _complaints(self.lines, kinds)


class _Relay(_Background):
    """A relay that goes away as soon as somebody begins TLS with it, or logs in where it offers that."""

    def __init__(self, family: socket.AddressFamily, address: str, wrapped: bool, offers: str = "STARTTLS") -> None:
        self.reached = threading.Event()
        self._offers = offers.encode()
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
                    peer.sendall(b"250-check\r\n250 " + self._offers + b"\r\n")
                elif verb == b"STAR":
                    peer.sendall(b"220 go ahead\r\n")
                else:
                    # Without TLS, where a level below encrypt allows that.
                    if verb == (b"AUTH" if self._offers.startswith(b"AUTH") else b"MAIL"):
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
