"""What the second Postfix of a rehearsal speaks with: its log, a relay, and a program that hands in mail.

Runs on the managed host.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from contextlib import suppress
from typing import TypeVar

# typing.Self is newer than the Python of some hosts.
Itself = TypeVar("Itself", bound="_Background")


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


class Log(_Background):
    """What the daemons say, read as they say it."""

    def __init__(self, path: str) -> None:
        self.lines: list[str] = []
        own = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        own.bind(path)
        os.chmod(path, 0o666)
        super().__init__(own)

    def step(self) -> None:
        self.lines.append(self._socket.recv(8192).decode(errors="replace").strip())


class Relay(_Background):
    """A relay that hangs up as soon as a client begins TLS, or logs in if it offers that."""

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


def hand_in(path: str, recipient: str) -> str:
    """Name a recipient to smtpd, over its socket; says how it answers where its configuration is at fault."""
    try:
        with socket.socket(socket.AF_UNIX) as session:
            session.settimeout(3)
            session.connect(path)
            with session.makefile("rb") as replies:
                for line in ("", "EHLO localhost", "MAIL FROM:<root>", f"RCPT TO:<{recipient}>", "QUIT"):
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
