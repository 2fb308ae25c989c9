"""The password: in one file of the host that only root reads, and nowhere else on the way there."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import testinfra
from conftest import LAB, NAME, changed, run, run_site, said
from testinfra.host import Host

from workshop.lab.host import ENTER, exec
from workshop.lab.provider import ACCOUNT, Provider

CONTAINER = f"{LAB}-{NAME}"
# As the inventory has it, as the provider shows a new one, and one that it does not know.
TYPED = ("q7w2 e9r4 t6y1 u8i3", "m3n5 b7v9 c1x2 z4l6", "k8j6 h4g2 f1d3 s5a7")
# Who knows the address can write there.
TOPIC = "http://127.0.0.1:9/a-topic-that-nobody-guesses"
OLD, NEW, WRONG = (typed.replace(" ", "") for typed in TYPED)


def spellings() -> list[str]:
    """Each password as it is typed, as it is used, and as it crosses the line at a login."""
    used = [typed.replace(" ", "") for typed in TYPED]
    sent = [f"\0{ACCOUNT}\0{password}" for password in used] + used
    return [TOPIC, *TYPED, *used, *(base64.b64encode(text.encode()).decode().rstrip("=") for text in sent)]


# --- the sampler ----------------------------------------------------------------------------------

# Runs on the host and here, again and again until its standard input ends; then it prints every place
# where it saw a secret. The secrets come by standard input, so that it does not find itself.
SAMPLER = r"""
import json, os, select, sys
secrets = [secret.encode() for secret in json.loads(sys.stdin.readline())]
root, folders = sys.argv[1], sys.argv[2:]
seen, known, rounds = set(), {}, 0

def content(path):
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
        return file.read()

def attempt(action, *arguments):
    try:
        return action(*arguments)
    except OSError:
        return b""  # gone in between

def family(pid):
    yield pid
    for task in attempt(os.listdir, f"/proc/{pid}/task"):
        for child in attempt(content, f"/proc/{pid}/task/{task}/children").split():
            yield from family(child.decode())

def look(place, path):
    text = content(path)
    if any(secret in text for secret in secrets):
        seen.add(place)

def look_at_process(pid):
    name = content(f"/proc/{pid}/comm").decode().strip()
    for what in ("cmdline", "environ"):
        look(f"{what} of {name}", f"/proc/{pid}/{what}")

def look_at_file(path):
    status = os.lstat(path)
    mark = (status.st_ino, status.st_ctime_ns, status.st_size)
    if 0 < status.st_size < 2000000 and known.get(path) != mark:
        look(f"{path} {status.st_mode & 0o7777:o} {status.st_uid}", path)
        known[path] = mark

print("ready", flush=True)
while not select.select([sys.stdin], [], [], 0.005)[0]:
    rounds += 1
    for pid in filter(str.isdigit, os.listdir("/proc")) if root == "all" else family(root):
        attempt(look_at_process, pid)
    for path, _folders, names in (found for folder in folders for found in os.walk(folder)):
        for name in names:
            attempt(look_at_file, os.path.join(path, name))
print(json.dumps({"rounds": rounds, "seen": sorted(seen)}))
"""


class Sampler:
    """What was seen of the secrets in the arguments and environments of processes, and in folders."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdin and self.process.stdout
        print(json.dumps(spellings()), file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "ready\n"

    def stop(self) -> set[str]:
        """The places; a file with its mode and owner at that moment."""
        result = json.loads(self.process.communicate(timeout=30)[0])
        # Otherwise it had no time to see anything.
        assert result["rounds"] > 10
        return set(result["seen"])


@contextmanager
def sampled(here: Path) -> Iterator[set[str]]:
    """Sample the host and the processes and files of this side; filled at the end."""
    seen: set[str] = set()
    host = (str(ENTER), CONTAINER, "python3", "-c", SAMPLER, "all")
    samplers = [
        Sampler(*host, "/tmp", "/run", "/root", "/etc/postfix", "/var/tmp", "/dev/shm"),
        Sampler("python3", "-c", SAMPLER, str(os.getpid()), str(here)),
    ]
    try:
        yield seen
    finally:
        for sampler in samplers:
            seen.update(sampler.stop())


# --- the tests ------------------------------------------------------------------------------------


@pytest.fixture
def host() -> Iterator[Host]:
    """A configured host, and again so after the test."""
    yield testinfra.get_host(f"podman://{CONTAINER}")
    assert changed(run()) == 1


def test_the_sampler_sees_what_it_is_there_for(tmp_path: Path) -> None:
    pause = "import time; time.sleep(1)"
    with sampled(tmp_path) as seen:
        (tmp_path / "planted").write_text(TYPED[1])
        exec(CONTAINER, "sh", "-c", f"echo {WRONG} >/run/planted; sleep 1; rm /run/planted")
        exec(CONTAINER, "env", f"SECRET={NEW}", "sleep", "1")
        subprocess.run(["python3", "-c", pause, base64.b64encode(NEW.encode()).decode()], check=True)
    for place in ("cmdline of sh", "environ of sleep", "cmdline of python3", "/run/planted 644 0"):
        assert place in seen
    assert any(place.startswith(str(tmp_path / "planted")) for place in seen)


def test_no_password_is_seen_outside_of_its_file(host: Host, provider: Provider, tmp_path: Path) -> None:
    vault = vaulted(tmp_path)
    # What Ansible writes on this side goes where it is looked for.
    (tmp_path / "here").mkdir()
    environment = {"TMPDIR": str(tmp_path / "here"), "ANSIBLE_LOCAL_TEMP": str(tmp_path / "here/ansible")}

    def site(password: str, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        extra = (f"--extra-vars=@{vault[password]}", f"--extra-vars={json.dumps(variables)}")
        return run_site(
            f"--vault-password-file={tmp_path}/key", *extra, "-vvv", "--diff", *arguments, limit=NAME,
            environment=environment,
        )  # fmt: skip

    address = host.check_output("hostname -I").split()[0]
    squat = f"import socket, time; s = socket.create_server(('{address}', 25)); time.sleep(300)"
    host.run_expect([0], f'(python3 -c "{squat}" >/dev/null 2>&1 & echo $! >/run/squat.pid)')
    since = host.check_output("date +%s")
    with sampled(tmp_path / "here") as seen:
        refused = site(WRONG)
        provider.set_password(NEW)
        told = site(NEW, "--check")
        # The login is fine, but Postfix does not come up.
        failed = site(NEW, smarthost_parameters={"inet_interfaces": f"127.0.0.1, {address}"})
        rotated = site(NEW)
    host.run_expect([0], "kill $(cat /run/squat.pid) && rm /run/squat.pid")

    assert "535 5.7.8" in said(refused)
    assert "is back in place and runs" in said(failed)
    assert changed(told) == changed(rotated) == 1
    assert "(the new password)" in told.stdout and "(the new password)" in rotated.stdout
    # What a bug report asks for.
    state = host.run("smarthost status --json")
    assert "healthy" in json.loads(state.stdout)
    output = "".join(done.stdout + done.stderr for done in (refused, told, failed, rotated, state))
    assert not [secret for secret in spellings() if secret in output]
    # Both folders were in use, so there was something to see.
    assert seen == {f"/etc/postfix/smarthost/{slot}/sasl_passwd 600 0" for slot in "ab"}

    journal = exec(CONTAINER, "journalctl", "--no-pager", "--all", "--output=json", f"--since=@{since}").stdout
    assert not [secret for secret in spellings() if secret in journal]
    folders = [f"--exclude-dir={folder}" for folder in ("proc", "sys", "dev")]
    found = exec(CONTAINER, "grep", "-rlsF", "-f", "-", "/", *folders, input="\n".join(spellings()), check=False)
    [place] = found.stdout.splitlines()
    assert place == host.check_output("postconf -h smtp_sasl_password_maps").partition(":")[2]
    assert (host.file(place).mode, host.file(place).user, host.file(place).group) == (0o600, "root", "root")


def test_whom_to_tell_of_an_outage_is_seen_in_its_file_alone(host: Host, tmp_path: Path) -> None:
    watch = tmp_path / "watch.yml"
    watch.write_text(f"smarthost_watch_ntfy: {TOPIC}\n")
    (tmp_path / "here").mkdir()
    with sampled(tmp_path / "here") as seen:
        done = run_site(f"--extra-vars=@{watch}", "-vvv", "--diff", limit=NAME)
    assert changed(done) == 1
    state = host.run("smarthost status --json")
    assert state.stdout and TOPIC not in done.stdout + done.stderr + state.stdout
    assert any("/watch.json" in place for place in seen)
    assert all(place.endswith("/watch.json 600 0") or place.endswith("/sasl_passwd 600 0") for place in seen)


def vaulted(folder: Path) -> dict[str, Path]:
    """The new and the wrong password, each in a vault as a person makes one."""
    (folder / "key").write_text("not the password")
    files = {}
    for typed in TYPED[1:]:
        path = folder / f"{len(files)}.yml"
        encrypt = ["ansible-vault", "encrypt", f"--vault-password-file={folder}/key", f"--output={path}"]
        subprocess.run(encrypt, input=f"smarthost_password: {typed}", text=True, check=True, capture_output=True)
        files[typed.replace(" ", "")] = path
    return files
