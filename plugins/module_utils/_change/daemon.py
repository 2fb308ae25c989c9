"""Postfix, started anew or told to read its configuration again, and seen to answer. Runs on the managed host."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from typing import TYPE_CHECKING

from ansible_collections.homelab.mail.plugins.module_utils._change.errors import Refused
from ansible_collections.homelab.mail.plugins.module_utils._program import services, system

if TYPE_CHECKING:
    from ansible_collections.homelab.mail.plugins.module_utils._change.host import Host

# How long a daemon may take to answer, and how long to be there at all.
GREETING_SECONDS = 15
STARTING_SECONDS = 3
QUIET_SECONDS = 10


def take(host: Host, restart: bool) -> None:
    """Make the daemon take the configuration, and see that it did."""
    mark = host.manager.mark()
    if restart:
        start(host)
    else:
        # Mail under way goes on.
        code, _out, err = host.command("postfix", "reload")
        if code != 0:
            raise Refused(f"Postfix does not reload: {err.strip()}")
    _wait_for_greeting(host, mark)


def stop(host: Host) -> None:
    """Stop Postfix until it is started."""
    _await_deliveries(host)
    host.manager.stop()


def start(host: Host) -> None:
    """Start Postfix, anew where it runs."""
    _await_deliveries(host)
    mark, before = host.manager.mark(), host.master()
    if host.astray():
        # What the service manager does not know of, it does not stop, though it says so.
        host.command("postfix", "stop")
    try:
        host.manager.restart()
    except services.ServiceError as error:
        raise Refused(f"Postfix does not start. {_last_words(host, mark) or error}") from error
    if before and host.master() == before:
        raise Refused(f"Postfix was told to restart, but its process {before} still runs. {_last_words(host, mark)}")


def _await_deliveries(host: Host) -> None:
    """Let no mail be under way: a restart cuts that off, and a mail whose reply is lost is sent again.

    The queue manager pauses, so that no more set out; not for long, whatever becomes of this run.
    """
    managers = [daemon.number for daemon in host.daemons() if daemon.name == "qmgr"]
    if not managers:
        return
    pause = f"kill -STOP {' '.join(managers)}; sleep {QUIET_SECONDS + 2}; kill -CONT {' '.join(managers)}"
    subprocess.Popen(
        ["/bin/sh", "-c", pause],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + QUIET_SECONDS
    time.sleep(0.2)
    # A connection that is kept for the next mail is tlsproxy's.
    clients = ("smtp", "tlsproxy")
    while time.monotonic() < end and any(
        host.sockets(daemon.number, "01") for daemon in host.daemons() if daemon.name in clients
    ):
        time.sleep(0.1)


def _wait_for_greeting(host: Host, mark: services.Mark) -> None:
    """A daemon that is up answers on loopback; one that only seems to be does not."""
    begun = time.monotonic()
    reason = ""
    while time.monotonic() < begun + GREETING_SECONDS:
        for address in system.addresses(host.value("inet_interfaces")):
            try:
                with socket.create_connection((address, 25), timeout=5) as connection:
                    greeting = connection.recv(512)
                    connection.sendall(b"QUIT\r\n")
                # Another program may have the port: ask Postfix itself as well.
                reason = host.astray() or f"{address} port 25 answers {greeting[:80]!r}"
                if greeting.startswith(b"220") and host.running() and not host.astray():
                    return
            except OSError as error:
                reason = reason or f"{address} port 25: {error}"
        if time.monotonic() > begun + STARTING_SECONDS and not host.running():
            break
        time.sleep(0.2)
    raise Refused(f"Postfix does not answer ({reason}). {_last_words(host, mark)}".rstrip())


def _last_words(host: Host, mark: services.Mark) -> str:
    """What Postfix and its unit complained of since then."""
    complaints = (line for line in host.manager.log(mark) if re.search(r"fatal|error|warning", line))
    words = [re.sub(r"^(?:.*\s)?post\w+(?:/[\w/-]+)?(?:\[\d+\])?: ", "", line) for line in complaints]
    return "It said: " + " / ".join(dict.fromkeys(words)) if words else ""
