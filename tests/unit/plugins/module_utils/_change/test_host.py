"""What is seen of a host, in a folder instead of one, and what a daemon that answers is told from."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._change import daemon, host
from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Refused

KEY = "0f"


class Module:
    """What a module of Ansible's has, with answers to commands."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers

    def get_bin_path(self, name: str, **_other: object) -> str:
        return f"/usr/sbin/{name}"

    def run_command(self, argv: list[str], **_other: object) -> tuple[int, str, str]:
        return 0, self.answers.get(os.path.basename(argv[0]), ""), ""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tables = tmp_path / "smarthost" / "a"
    tables.mkdir(parents=True)
    (tables / "generic").write_text("a b\n")
    (tmp_path / "smarthost" / "original").mkdir()
    (tmp_path / "smarthost" / "original" / "main.cf").write_text("relayhost = old\n")
    (tmp_path / "main.cf").write_text(f"smtp_sasl_password_maps = texthash:{tables}/sasl_passwd\n")
    return tmp_path


def here(folder: Path, **answers: str) -> host.Host:
    return host.Host(Module(**answers), str(folder), "none", 0)


def test_a_change_of_text_or_mode_or_a_file_too_many_is_seen(folder: Path) -> None:
    before = here(folder).seals(KEY)
    generic = str(folder / "smarthost/a/generic")
    assert generic in before
    changes: list[tuple[str, Callable[[], object]]] = [
        (generic, lambda: Path(generic).write_text("a c\n")),
        (generic, lambda: Path(generic).chmod(0o600)),
        (str(folder / "main.cf"), lambda: (folder / "main.cf").chmod(0o600)),
        (str(folder / "smarthost/a/own"), lambda: (folder / "smarthost/a/own").write_text("")),
    ]
    for path, change in changes:
        change()
        after = here(folder).seals(KEY)
        assert [name for name in after if after[name] != before.get(name)] == [path]
        before = after


def test_what_was_there_before_is_not_read(folder: Path) -> None:
    before = here(folder).seals(KEY)
    (folder / "smarthost/original/main.cf").write_text("relayhost = other\n")
    assert here(folder).seals(KEY) == before


def test_a_main_cf_of_somebody_elses_has_no_tables_of_ours(folder: Path) -> None:
    (folder / "main.cf").write_text("relayhost = [old.test]\n")
    assert here(folder).slot() is None
    assert str(folder / "smarthost/a/generic") not in here(folder).seals(KEY)


def test_a_table_that_cannot_be_read_differs_from_every_text(folder: Path) -> None:
    (folder / "smarthost/a/sasl_passwd.db").write_text("no database")
    with_db = here(folder, postmap="[h.test]:465\tme:secret\n").seals(KEY)
    assert with_db[str(folder / "smarthost/a/sasl_passwd.db")] != configuration.seal(KEY, 0o100644, 0, 0, "no database")


@pytest.fixture
def queue_manager(folder: Path) -> Iterator[None]:
    """A process that is one by its name and its parent."""
    (folder / "pid").mkdir()
    (folder / "pid/master.pid").write_text(f"{os.getpid():>10}\n")
    # Written when it began, as the master daemon does.
    begun = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + here(folder)._processes()[str(os.getpid())].begun
    os.utime(folder / "pid/master.pid", (begun, begun))
    (folder / "main.cf").write_text(f"queue_directory = {folder}\n")
    (folder / "qmgr").symlink_to("/bin/sleep")
    time.sleep(0.1)
    with subprocess.Popen([folder / "qmgr", "60"]) as process:
        time.sleep(0.1)
        yield
        process.kill()


@pytest.mark.usefixtures("queue_manager")
@pytest.mark.parametrize("name", ["main.cf", "master.cf"])
def test_a_file_that_was_put_there_since_postfix_read_it_is_seen(folder: Path, name: str) -> None:
    assert here(folder).astray() == ""
    (folder / "copy").write_text(f"queue_directory = {folder}\n")
    # As old as it may be.
    os.utime(folder / "copy", (0, 0))
    (folder / "copy").rename(folder / name)
    time.sleep(0.02)
    assert here(folder).astray() == "it has not read main.cf and master.cf since they were put there"


@pytest.mark.usefixtures("queue_manager")
def test_a_clock_that_was_put_back_says_nothing_of_what_postfix_has_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "main.cf").chmod(0o600)
    there = time.time() - 3600
    monkeypatch.setattr(host.time, "time", lambda: there)
    assert here(folder).astray() == ""


@pytest.mark.usefixtures("queue_manager")
@pytest.mark.parametrize("system", ["its clock was behind", "its age is another"])
def test_what_is_wrong_with_time_itself_does_not_say_that_postfix_has_read_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    (folder / "main.cf").chmod(0o600)
    pid = folder / "pid/master.pid"
    if system == "its clock was behind":
        os.utime(pid, (0, 0))
        monkeypatch.setattr(host.time, "clock_gettime", lambda _clock: time.monotonic() - 60)
    else:
        os.utime(pid)
        monkeypatch.setattr(host.time, "clock_gettime", lambda _clock: 9e8)
    time.sleep(0.02)
    assert here(folder).astray() == ""


@pytest.mark.usefixtures("queue_manager")
def test_a_clock_that_was_put_back_says_nothing_of_the_program(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = time.time() - 3600
    os.utime(folder / "pid/master.pid", (there, there))
    (folder / "master").touch()
    time.sleep(0.02)
    found = here(folder, postconf=f"daemon_directory = {folder}\n")
    assert found.astray() == "an update has replaced its program, and the old one goes on"
    monkeypatch.setattr(host.time, "time", lambda: there)
    assert found.astray() == ""


# --- a daemon that answers --------------------------------------------------------------------------


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Lets something on port 25 greet like this."""
    closing: list[socket.socket] = []

    def greet(greeting: bytes) -> None:
        server = socket.create_server(("127.0.0.1", 0))
        closing.append(server)
        real = socket.create_connection
        address = server.getsockname()
        monkeypatch.setattr(
            daemon.socket, "create_connection", lambda _address, timeout: real(address, timeout=timeout)
        )

        def answer() -> None:
            # Until the server is closed: who asks does so more than once.
            with suppress(OSError):
                while True:
                    connection, _address = server.accept()
                    with connection:
                        connection.sendall(greeting)
                        connection.recv(100)

        threading.Thread(target=answer, daemon=True).start()

    yield greet
    for server in closing:
        server.close()


def fake(running: bool = True, astray: str = "") -> SimpleNamespace:
    manager = SimpleNamespace(log=lambda _mark: ["postfix/master[1]: fatal: bind: Address already in use"])
    return SimpleNamespace(
        value=lambda _name: "loopback-only", running=lambda: running, astray=lambda: astray, manager=manager
    )


def test_a_postfix_that_greets_and_runs_has_taken_the_configuration(port: Callable[[bytes], None]) -> None:
    port(b"220 nas.lan ESMTP\r\n")
    daemon._wait_for_greeting(fake(), None)


def test_what_greets_while_postfix_does_not_run_is_another_program(
    port: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "STARTING_SECONDS", 0)
    port(b"220 exim\r\n")
    with pytest.raises(Refused, match=r"answers b'220 exim.*It said: fatal: bind: Address already in use"):
        daemon._wait_for_greeting(fake(running=False), None)


def test_a_postfix_that_runs_astray_after_a_restart_is_no_success(
    port: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "GREETING_SECONDS", 0.5)
    port(b"220 nas.lan ESMTP\r\n")
    with pytest.raises(Refused, match=r"it listens on 0\.0\.0\.0 as well"):
        daemon._wait_for_greeting(fake(astray="it listens on 0.0.0.0 as well"), None)
