"""Fixtures of the tests on real hosts: the provider, the playbook, a mail on its way."""

from __future__ import annotations

import datetime
import functools
import json
import os
import re
import socketserver
import subprocess
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import testinfra
import yaml
from testinfra.backend.base import CommandResult
from testinfra.backend.podman import PodmanBackend
from testinfra.host import Host

from tests.loaded import Playbooks
from workshop import lab
from workshop.lab.host import ENTER, exec, podman
from workshop.lab.provider import ACCOUNT, Provider

PROJECT = Path(__file__).resolve().parents[1]
# Molecule gives the name; by hand it is needed for all but the default one.
SCENARIO = PROJECT / "molecule" / os.environ.get("MOLECULE_SCENARIO_NAME", "default")
INVENTORIES = (PROJECT / "workshop/lab/inventory", SCENARIO / "inventory")
LAB = os.environ.get("LAB", "molecule") + ("" if SCENARIO.name == "default" else f"-{SCENARIO.name}")
DEFERRAL_SECONDS = 30
ARRIVAL_SECONDS = 120

os.environ.update(lab.environment())
_INVENTORY = yaml.safe_load((SCENARIO / "inventory/hosts.yml").read_text())["all"]
_SETTINGS = yaml.safe_load((PROJECT / ".config/molecule/config.yml").read_text())["ansible"]["env"]


# Molecule asks for colours where it has a terminal.
ENVIRONMENT = {
    **os.environ,
    **{name: value.replace("${MOLECULE_PROJECT_DIRECTORY}", str(PROJECT)) for name, value in _SETTINGS.items()},
    "ANSIBLE_FORCE_COLOR": "0",
}


@functools.cache
def _playbooks() -> Playbooks:
    return Playbooks(ENVIRONMENT)


def _chosen() -> list[str]:
    """The hosts of the inventory that LIMIT leaves, as it does for Molecule."""
    limit = os.environ.get("LIMIT", "all")
    return [name for name in _INVENTORY["hosts"] if limit == "all" or name in re.split("[,:]", limit)]


CHOSEN = _chosen()
# The files of a job, where the scenario is split: workshop/checks/jobs.py.
TESTS = os.environ.get("TESTS")
# Whether those that are marked as long are among them: no, only, too.
LONG = os.environ.get("LONG", "too")
# The oldest Postfix and the newest, for what differs between them.
OLD_AND_NEW = pytest.mark.parametrize("name", dict.fromkeys((CHOSEN[0], CHOSEN[-1])), scope="module")
# One host is enough for what does not depend on the version of Postfix.
NAME = CHOSEN[len(CHOSEN) // 2]
# Those that people had before the role, with mail that waited: molecule/shared/prepare.yml.
UNTIDY = [name for name in CHOSEN if _INVENTORY["hosts"][name].get("untidy")]
# What docs/support.md has a column for, each by a test on every host.
PROOFS = ("delivery", "idempotence", "reboot", "absent")
proves = pytest.mark.proves
# What lasts for half a minute or more, or needs many packages: make proof has it.
long = pytest.mark.long
PASSWORD = "q7w2e9r4t6y1u8i3"
NEW_PASSWORD = "m3n5b7v9c1x2z4l6"
MAIN_CF = "/etc/postfix/main.cf"


def _run_by_the_lab(self: PodmanBackend, command: str, *arguments: str, **_options: object) -> CommandResult:
    """Run what testinfra asks of a container in the lab's way, which costs a tenth of podman's."""
    asked = self.get_command(command, *arguments)
    done = exec(self.name, "/bin/sh", "-c", asked, check=False)
    return self.result(done.returncode, self.encode(asked), done.stdout, done.stderr)


PodmanBackend.run = _run_by_the_lab


@pytest.fixture(scope="module", params=CHOSEN)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each host in the inventory."""
    return str(request.param)


@pytest.fixture(scope="module")
def host(name: str) -> Host:
    """Testinfra's view of a host."""
    return testinfra.get_host(f"podman://{LAB}-{name}")


@pytest.fixture(scope="module")
def variables(name: str) -> dict[str, object]:
    """The role's variables on a host."""
    return {**_INVENTORY["vars"], **_INVENTORY["hosts"][name]}


@pytest.fixture(scope="module")
def hostname(name: str) -> str:
    """What a host calls itself."""
    return str(_INVENTORY["hosts"][name].get("hostname", name))


@pytest.fixture
def provider() -> Iterator[Provider]:
    """The mail provider, as it was after the test."""
    provider = Provider(LAB)
    yield provider
    provider.reset()


# --- where mail arrives -------------------------------------------------------------------------

# Takes a connection to the provider's IMAP from outside of its network, where names and addresses lead nowhere.
RELAY = """
import os, socket, threading
server = socket.create_connection(("127.0.0.1", 993))
def up():
    while data := os.read(0, 65536):
        server.sendall(data)
    server.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while data := server.recv(65536):
    os.write(1, data)
"""


class Relay(socketserver.BaseRequestHandler):
    """One connection from outside to the provider's IMAP."""

    def handle(self) -> None:
        command = ["podman", "exec", "--interactive", f"{LAB}-provider", "python3", "-c", RELAY]
        subprocess.run(command, stdin=self.request, stdout=self.request, stderr=subprocess.DEVNULL, check=False)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture
def mailbox(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The empty mailbox, as the plan of a host names it; its certificate is trusted."""
    provider.clear()
    monkeypatch.setenv("SSL_CERT_FILE", str(lab.STATE / LAB / "ca.pem"))
    with Server(("127.0.0.1", 0), Relay) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {
            "host": "localhost",
            "port": server.server_address[1],
            "username": ACCOUNT,
            "password": PASSWORD,
            "provider": "Fastmail",
            "help": "The app password must be one that may read.",
        }
        server.shutdown()


def run_site(
    *arguments: str,
    limit: str,
    playbook: Path = PROJECT / "site.yml",
    environment: dict[str, str] | None = None,
    inventories: Sequence[Path] = INVENTORIES,
) -> subprocess.CompletedProcess[str]:
    """Run the site.yml that people run, with the settings that Molecule runs it with."""
    options = [
        *(f"--inventory={path}" for path in inventories),
        f"--limit={limit}",
        *arguments,
        str(playbook),
    ]
    if not environment:
        return _playbooks().run(*options, cwd=PROJECT, timeout=300)
    return subprocess.run(
        ["ansible-playbook", *options], cwd=PROJECT, env={**ENVIRONMENT, **environment},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def follow(
    mailbox: dict[str, Any], folder: Path, *options: str, limit: str, to: str = ACCOUNT, minutes: float = 1, **how: Any
) -> subprocess.CompletedProcess[str]:
    """Send a test mail from each of these hosts and look for it in the mailbox; the rows are in mail.json."""
    secret = folder / "vault.json"
    login = {
        "smarthost_inbox_host": f"localhost:{mailbox['port']}",
        "smarthost_inbox_username": ACCOUNT, "smarthost_inbox_password": PASSWORD,
    }  # fmt: skip
    secret.write_text(
        json.dumps({"to": to, "arrival": True, "minutes": minutes, "json": f"{folder}/mail.json", **login})
    )
    trusted = {"SSL_CERT_FILE": os.environ["SSL_CERT_FILE"]}
    playbook = PROJECT / "playbooks/test-mail.yml"
    return run_site(*options, f"--extra-vars=@{secret}", limit=limit, playbook=playbook, environment=trusted, **how)


def run(*arguments: str, limit: str = NAME, **variables: object) -> subprocess.CompletedProcess[str]:
    """Run site.yml on the host with other variables than the inventory's."""
    extra = [f"--extra-vars={json.dumps(variables)}"] if variables else []
    return run_site(*extra, *arguments, limit=limit)


def changed(done: subprocess.CompletedProcess[str], name: str = NAME) -> int:
    """How many tasks changed something, by the recap; fails where one failed."""
    found = re.search(rf"^{re.escape(name)} .*changed=(\d+).*failed=0", done.stdout, re.MULTILINE)
    assert done.returncode == 0 and found, done.stdout + done.stderr
    return int(found.group(1))


def said(done: subprocess.CompletedProcess[str]) -> str:
    """All that a run said, in one line of text."""
    return " ".join((done.stdout + done.stderr).split())


def forget_the_log(host: Host) -> None:
    """Let the host begin a new log, because what was lost is a fault for a day."""
    host.run_expect([0], "journalctl --rotate && sleep 1 && journalctl --vacuum-time=1s")


def lose_a_mail(host: Host) -> None:
    """Let the provider refuse a mail for good, because its sender is not the account's."""
    host.run_expect([0], "printf 'Subject: lost\\n\\nx\\n' | /usr/sbin/sendmail -f stranger@elsewhere.example root")
    deadline = time.monotonic() + DEFERRAL_SECONDS
    while "status=bounced" not in host.check_output("journalctl --no-pager --output=cat --identifier=postfix/smtp"):
        assert time.monotonic() < deadline
        time.sleep(0.2)


class Mail:
    """One mail, from the hands of a program on a host to its end."""

    def __init__(self, host: Host, to: str = "root", sender: str = "", headers: str = "") -> None:
        self.host = host
        self.subject = f"Test {uuid.uuid4().hex[:12]}"
        option = f"-f {sender} " if sender else ""
        text = f"Subject: {self.subject}\n{headers or f'To: {to}'}\n\nThe disk is full.\n"
        self.sent_at = time.time()
        host.run_expect([0], f"printf %s '{text}' | /usr/sbin/sendmail -i {option}{to}")

    def arrived(self, provider: Provider, timeout: float = 60) -> EmailMessage:
        """The mail as the provider has it."""
        return provider.wait_for_mail(lambda mail: mail["Subject"] == self.subject, timeout)

    def log(self) -> str:
        """What Postfix's client said since the mail was sent."""
        return self.host.check_output(
            f"journalctl --no-pager --output=cat --identifier=postfix/smtp --since=@{self.sent_at:.6f}"
        )

    def reason_it_waits(self) -> str:
        """Why the mail is in the queue, once Postfix has tried; fails where it does not wait."""
        deadline = time.monotonic() + DEFERRAL_SECONDS
        while time.monotonic() < deadline:
            queue = self.host.check_output("postqueue -j")
            found = re.search(r'"delay_reason": "(.*?)"}', queue)
            if '"queue_name": "deferred"' in queue and found:
                return found.group(1)
            time.sleep(0.2)
        raise AssertionError(f"no mail waits on the host: {queue}\n{self.log()}")


@pytest.fixture
def send(host: Host) -> Callable[..., Mail]:
    """Send a mail from a host, as cron would."""
    return lambda **how: Mail(host, **how)


def run_on_host(container: str, program: str, text: str | None = None) -> str:
    """What a Python program prints on a host, where it finds the role's own modules below /run/modules."""
    plugins = "/run/modules/ansible_collections/homelab/mail/plugins"
    exec(container, "mkdir", "-p", plugins)
    podman("cp", str(PROJECT / "plugins/module_utils"), f"{container}:{plugins}/module_utils")
    try:
        return exec(container, "python3", "-c", program, input=text).stdout
    finally:
        exec(container, "rm", "-r", "/run/modules")


# --- counted mail -------------------------------------------------------------------------------

# What providers count: a connection has one login.
MOST_LOGINS = 10

BURST = """
import smtplib, sys
with smtplib.SMTP("127.0.0.1") as server:
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        server.sendmail("app", ["root"], f"Subject: {sys.argv[1]} {number}\\n\\nx")
"""
# sendmail, because it takes a mail also while Postfix is down.
FLOW = """
import subprocess, sys, threading
stop = threading.Event()
threading.Thread(target=lambda: sys.stdin.read() or stop.set()).start()
number = 0
while number < 100 or not stop.wait(0.02):
    subprocess.run(["/usr/sbin/sendmail", "root"], input=f"Subject: {sys.argv[1]} {number}\\n\\nx".encode(), check=True)
    number += 1
print(number)
"""


class Counted:
    """Mails that are counted at both ends."""

    def __init__(self, host: Host, container: str) -> None:
        self.host = host
        self.container = container
        self.tag = uuid.uuid4().hex[:12]
        self.count = 0

    def hand_in(self, count: int) -> None:
        """Give Postfix so many mails at once, over SMTP."""
        exec(self.container, "python3", "-c", BURST, self.tag, str(self.count), str(self.count + count))
        self.count += count

    def hand_in_one(self) -> str:
        """Give sendmail a mail; its subject."""
        subject = f"{self.tag} {self.count}"
        self.host.run_expect([0], f"printf 'Subject: {subject}\\n\\nx' | /usr/sbin/sendmail root")
        self.count += 1
        return subject

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Hand in mail after mail for as long as something else goes on; 100 at least."""
        command = [ENTER, self.container, "python3", "-c", FLOW, self.tag]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as flow:
            try:
                yield
            finally:
                self.count = int(flow.communicate(timeout=60)[0])

    def queue(self) -> list[str]:
        """The reason why each mail waits; empty for one that Postfix is about to try."""
        queue = [json.loads(line) for line in self.host.check_output("postqueue -j").splitlines()]
        # A mail without a recipient is one that has just left.
        return [recipient.get("delay_reason", "") for mail in queue for recipient in mail["recipients"]]

    def all_wait(self, reason: str) -> None:
        """Sees that all of them are in the queue, and for this reason."""
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while not (len(waiting := self.queue()) == self.count and all(waiting)):
            assert time.monotonic() < deadline, f"{len(waiting)} of {self.count} wait: {Counter(waiting)}"
            time.sleep(0.3)
        assert any(re.search(reason, why) for why in waiting), Counter(waiting)

    def arrive_once(
        self, provider: Provider, but_for: int = 0, told_to_leave: bool = True, within: float = ARRIVAL_SECONDS
    ) -> None:
        """Sees that the provider has each of them, once but for so many, and the host has none left."""
        wanted = Counter(f"{self.tag} {number}" for number in range(self.count))
        deadline = time.monotonic() + within
        tried = 0.0
        while (waiting := self.queue()) or wanted - (arrived := self.arrived(provider)):
            assert time.monotonic() < deadline, (Counter(waiting), wanted - self.arrived(provider))
            # What has waited for long waits longer still, unless it is told to leave.
            if told_to_leave and time.monotonic() > tried + 5:
                self.host.run_expect([0], "postqueue -f")
                tried = time.monotonic()
            time.sleep(0.2)
        assert (arrived - wanted).total() <= but_for, arrived - wanted

    def arrived(self, provider: Provider) -> Counter[str]:
        """Which of them the provider has, and how often."""
        return Counter(subject for subject in provider.subjects() if subject.startswith(self.tag))


def logins(log: str) -> int:
    """How many logins were tried, by what the provider says at the end of each connection."""
    return sum(int(tried or made) for made, tried in re.findall(r" auth=(\d+)(?:/(\d+))?", log))


# --- a change, without the seconds that a playbook takes ----------------------------------------

# The password is in what goes through here, and nowhere else on this side.
RECORDER = """\
#!/bin/sh
# A module comes by a pipe. What else Ansible asks, as where its Python is, has a terminal that never ends.
[ -t 0 ] && exec "{ssh}" "$@"
umask 077
cat >"{folder}/$$"
exec "{ssh}" "$@" <"{folder}/$$"
"""
MODULE = r"homelab\.mail\.plugins\.modules\.smarthost_configuration"
KILLED = """
import subprocess, sys, time
module = subprocess.Popen([sys.executable], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
module.stdin.write(sys.stdin.buffer.read())
module.stdin.close()
time.sleep(float(sys.argv[1]))
module.kill()
sys.exit(module.wait() == 0)
"""


class Change:
    """The module with its arguments, as a run of site.yml sends it to the host; can be given again and again."""

    def __init__(self, folder: Path, **variables: object) -> None:
        folder.mkdir(mode=0o700)
        recorder = folder / "ssh"
        recorder.write_text(RECORDER.format(folder=folder, ssh=PROJECT / "workshop/lab/podman-ssh"))
        recorder.chmod(0o700)
        # Where nothing is to be done, nothing would be sent.
        exec(f"{LAB}-{NAME}", "chmod", "0600", MAIN_CF, check=False)
        changed(run(ansible_ssh_executable=str(recorder), **variables))
        sent = [path.read_text() for path in folder.iterdir() if path != recorder]
        [self.module] = [text for text in sent if re.search(rf"{MODULE}\b", text)]
        for path in folder.iterdir():
            path.unlink()

    def make(self) -> dict[str, object]:
        """Run the module to its end; what it answers."""
        answer: dict[str, object] = json.loads(exec(f"{LAB}-{NAME}", "python3", input=self.module, check=False).stdout)
        return answer

    def killed_after(self, seconds: float) -> bool:
        """Run the module and kill -9 it; whether it was still at work."""
        done = exec(f"{LAB}-{NAME}", "python3", "-c", KILLED, str(seconds), input=self.module, check=False)
        return done.returncode == 0


@pytest.fixture(scope="session")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Change:
    """What the inventory says."""
    return Change(tmp_path_factory.mktemp("usual") / "recorded")


# --- what docs/support.md is written from -------------------------------------------------------

FACTS = """
if [ -e /etc/os-release ]; then . /etc/os-release; echo "$PRETTY_NAME"; else echo macOS $(sw_vers -productVersion); fi
postconf -dh mail_version
cat /etc/postfix/smarthost/?/settings.json
"""
_facts: dict[str, dict[str, str]] = {}
_proved: dict[str, set[str]] = {}
_failed: set[str | None] = set()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what other jobs have."""
    ours = [
        item
        for item in items
        if (not TESTS or item.path.stem in TESTS.split(","))
        and (LONG == "too" or bool(item.get_closest_marker("long")) == (LONG == "only"))
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in ours])
    items[:] = ours


def _name(item: pytest.Item) -> str | None:
    """The host that a test is about; of some there is only one for all."""
    return item.callspec.params.get("name") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep what a passed test proves of a host."""
    report = yield
    name, mark = _name(item), item.get_closest_marker("proves")
    if report.failed:
        _failed.add(name)
        # At once; pytest gives the reason at the end.
        item.config.get_terminal_writer().line(f"\n{report.when} FAILED: {item.nodeid}")
    elif mark and name and report.when == "call":
        _proved.setdefault(name, set()).add(mark.args[0])
        if mark.args[0] == "delivery":
            # Later there may be no Postfix to ask.
            system, postfix, settings = exec(f"{LAB}-{name}", "sh", "-c", FACTS).stdout.split("\n", 2)
            manager = json.loads(settings)["service_manager"]
            _facts[name] = {"system": system, "postfix": postfix, "service_manager": manager}
    return report


def pytest_sessionfinish() -> None:
    """Leave a file for each host on which everything was proved and nothing failed."""
    _playbooks().close()
    folder = lab.STATE / "proof"
    folder.mkdir(parents=True, exist_ok=True)
    for name in CHOSEN:
        path = folder / f"{SCENARIO.name}-{name}.json"
        if _failed & {None, name}:
            path.unlink(missing_ok=True)
        elif _proved.get(name) == set(PROOFS):
            kind = _INVENTORY["hosts"][name]["suite"]
            day = datetime.date.today().isoformat()
            path.write_text(json.dumps({"kind": kind, **_facts[name], "proved": PROOFS, "day": day}) + "\n")
