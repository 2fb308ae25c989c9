"""Where a firewall is active, a run names the command that lets clients in; it is the one that does."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from conftest import LAB, NAME, changed, run, said

from workshop.lab.host import exec, podman
from workshop.lab.provider import Provider

HUB = f"{LAB}-{NAME}"
# How it is started where systemd may not set up a network, as in a container; polkit does not start there either.
START = {
    "ufw": "ufw --force enable",
    "firewalld": "systemctl mask --now firewalld polkit; firewalld </dev/null >/dev/null 2>&1;"
    " timeout 20 sh -c 'until firewall-cmd --state; do sleep 0.2; done'",
}
STOP = {"ufw": "ufw disable", "firewalld": "kill $(cat /run/firewalld.pid); systemctl unmask firewalld polkit"}
CONNECT = "import socket, sys; print(socket.create_connection((sys.argv[1], 25), 3).recv(3))"


def as_root(command: str) -> str:
    """What a command says on the host that may set up its network."""
    return podman("exec", "--privileged", HUB, "sh", "-euc", command).stdout


@pytest.fixture(params=START)
def firewall(request: pytest.FixtureRequest, provider: Provider) -> Iterator[str]:
    """A firewall that is active."""
    name = str(request.param)
    exec(HUB, "apt-get", "install", "--yes", "--no-install-recommends", name)
    as_root(START[name])
    yield name
    as_root(STOP[name])
    exec(HUB, "apt-get", "purge", "--yes", name)
    changed(run())


def test_the_command_that_a_run_names_lets_clients_in(firewall: str) -> None:
    def connect() -> str:
        address = exec(HUB, "hostname", "-I").stdout.split()[0]
        return exec(f"{LAB}-provider", "python3", "-c", CONNECT, address, check=False).stdout.strip()

    client = exec(f"{LAB}-provider", "hostname", "-I").stdout.split()[0]
    done = run(smarthost_clients=[client])
    assert changed(done) == 1
    assert connect() == ""
    [command] = re.findall(rf"{firewall} is active on this host and .*? let them in: (.*?)(?= \w+ :|\s*$)", said(done))
    as_root(command)
    assert connect() == "b'220'"
    # It is said of what is new alone.
    assert "let them in" not in said(run(smarthost_clients=[client]))
