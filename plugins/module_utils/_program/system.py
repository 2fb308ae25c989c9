"""What the program `smarthost` asks of its host: Postfix's parameters, the role's settings, port 25.

Standard library only. Runs on the managed host.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
from contextlib import suppress
from typing import Any

from ansible_collections.homelab.mail.plugins.module_utils import configuration
from ansible_collections.homelab.mail.plugins.module_utils._program import files

PATH = "/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin"
SETTINGS = "settings.json"
SENDMAIL = "/usr/sbin/sendmail"


def run(*argv: str) -> tuple[int, str, str]:
    """Status, output and errors of a program of the system; 127 where it is not there."""
    path = shutil.which(argv[0], path=PATH)
    if path is None:
        return 127, "", f"{argv[0]} is not installed"
    done = subprocess.run(
        [path, *argv[1:]],
        stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace",
        env={**os.environ, "LC_ALL": "C"}, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def main_cf() -> str:
    """The text of main.cf."""
    path = os.path.join(configuration.CONFIG_DIRECTORY, "main.cf")
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def table(name: str) -> str:
    """The path of a table in use."""
    slot = configuration.slot_in_use(main_cf(), configuration.CONFIG_DIRECTORY)
    return os.path.join(configuration.CONFIG_DIRECTORY, configuration.FOLDER, str(slot), name)


def settings(name: str = SETTINGS) -> dict[str, Any]:
    """What the role told this host about itself: provider, its name, sender, service manager."""
    # Damaged by hand is as good as not there; the next run puts it right.
    with suppress(FileNotFoundError):
        return files.remembered(table(name))
    return {}


def values(*names: str) -> dict[str, str]:
    """Parameters of Postfix as it reads them."""
    _code, out, _err = run("postconf", "-x", *names)
    return {name.strip(): value.strip() for name, _equals, value in (line.partition("=") for line in out.splitlines())}


def addresses(interfaces: str) -> list[str]:
    """Where a Postfix with these inet_interfaces answers: on loopback, unless it was given other addresses alone.

    >>> addresses("127.0.0.1, [fd00::5]"), addresses("all"), addresses("nas.lan")
    (['127.0.0.1', 'fd00::5'], ['127.0.0.1', '::1'], ['127.0.0.1', '::1'])
    """
    named = [name.strip("[]") for name in re.split(r"[\s,]+", interfaces)]
    numbers = [name for name in named if re.fullmatch(r"[0-9.]+|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*", name)]
    everywhere = {"all", "loopback-only", "localhost"} & set(named)
    return ["127.0.0.1", "::1"] if everywhere or not numbers else numbers


def sockets(state: str, process: str = "self") -> dict[str, tuple[str, int]]:
    """Socket -> local address and port of the TCP sockets in a state (`0A`: listens); nothing without /proc."""
    found = {}
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        with suppress(OSError), open(f"/proc/{process}/net/{table}", encoding="ascii") as file:
            for row in (line.split() for line in file.readlines()[1:]):
                address, _colon, port = row[1].partition(":")
                # Words of four bytes, each in the order of this machine.
                words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
                name = socket.inet_ntop(family, struct.pack(f"={len(words)}I", *words))
                if row[3] == state:
                    found[f"socket:[{row[9]}]"] = (name, int(port, 16))
    return found


def listening(interfaces: str, seconds: float = 5) -> dict[str, str]:
    """Address -> its greeting on port 25, or why there is none."""
    found = {}
    named = addresses(interfaces)
    if interfaces.strip() == "all":
        named = [address for address, port in sockets("0A").values() if port == 25] or named
    for address in named:
        try:
            with socket.create_connection((address, 25), timeout=seconds) as connection:
                found[address] = connection.recv(512).decode(errors="replace").strip()
                connection.sendall(b"QUIT\r\n")
        except OSError as error:
            found[address] = error.strerror or str(error)
    return found


def other_sendmail(path: str = SENDMAIL) -> str:
    """Why what programs send does not come to Postfix, a sentence with the remedy; empty where nothing says so.

    A script is taken for one that hands on, and nothing is known of what may not be read.
    """
    try:
        with open(path, "rb") as file:
            program = file.read()
        if program.startswith(b"#!") or b"postdrop" in program:
            return ""
        what = f"{path} is not Postfix's" if os.path.realpath(path) == path else f"{path} is {os.path.realpath(path)}"
    except FileNotFoundError:
        what = f"There is no {path}"
    except OSError:
        return ""
    return (
        f"{what}, so what cron and other programs send does not come to Postfix. Install the package again, which puts "
        "Postfix's own there (apt-get install --reinstall postfix, dnf reinstall postfix, apk fix postfix)."
    )


def span(seconds: float) -> str:
    """A time as people say it.

    >>> span(4000)
    '1 h 6 min'
    """
    if seconds < 60:
        return f"{int(seconds)} s"
    minutes = int(seconds) // 60
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} days"
