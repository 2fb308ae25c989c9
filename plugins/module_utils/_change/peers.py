"""What the second Postfix of a rehearsal speaks with: its log, a relay, and a program that hands in mail.

Runs on the managed host.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from contextlib import suppress
from itertools import takewhile
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


_TLS = {b"EHLO": b"250-check\r\n250 STARTTLS", b"STAR": b"220 go ahead"}
_MAIL = {
    b"EHLO": b"250-check\r\n250 AUTH PLAIN LOGIN", b"AUTH": b"235 come in",
    b"MAIL": b"250 yes", b"RCPT": b"250 yes", b"DATA": b"354 go on",
}  # fmt: skip


class Relay(_Background):
    """A relay that hangs up as soon as a client begins TLS; or one without TLS that takes mails."""

    def __init__(self, family: socket.AddressFamily, address: str, wrapped: bool = False, takes: bool = False) -> None:
        self.reached = threading.Event()
        self.mails: list[str] = []
        self._wrapped, self._answers = wrapped, _MAIL if takes else _TLS
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
            while stream.peek(1)[:1] != b"\x16":
                line = stream.readline().upper()
                for question in (b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6") if line.startswith(b"AUTH LOGIN") else ():
                    peer.sendall(b"334 " + question + b"\r\n")
                    stream.readline()
                verb = line[:4]
                peer.sendall(self._answers.get(verb, b"502 no") + b"\r\n")
                if verb == b"DATA":
                    text = takewhile(lambda line: line != b".\r\n", stream)
                    self.mails.append(b"".join(text).decode(errors="replace"))
                    peer.sendall(b"250 taken\r\n")
                elif verb in self._answers:
                    continue
                elif verb != b"MAIL":
                    return
                # Here without TLS, where a level below encrypt allows that.
                break
            self.reached.set()


def hand_in(path: str, recipient: str, text: str) -> tuple[str, bool]:
    """Give smtpd a mail, over its socket.

    Says how it answers where its configuration is at fault, and whether it takes the mail.
    """
    lines = ("", "EHLO localhost", "MAIL FROM:<root>", f"RCPT TO:<{recipient}>", "DATA", f"{text}.", "QUIT")
    taken, line, reply = False, "", b""
    try:
        with socket.socket(socket.AF_UNIX) as session:
            session.settimeout(3)
            session.connect(path)
            with session.makefile("rb") as replies:
                for line in lines:
                    if line:
                        session.sendall(line.replace("\n", "\r\n").encode() + b"\r\n")
                    reply = replies.readline()
                    while reply[3:4] == b"-":
                        reply = replies.readline()
                    if not re.match(rb"[23]", reply):
                        break
                    taken = taken or line.endswith("\n.")
    except OSError as error:
        return f"smtpd does not answer: {error}", taken
    if reply and not re.match(rb"421|4\d\d 4\.3\.[05]", reply):
        return "", taken
    said = reply.decode(errors="replace").strip() or "nothing"
    return f"smtpd answers {line.splitlines()[0] if line else 'a connection'} with {said}", taken


def way(path: str, sender: str, recipient: str) -> str:
    """The transport that Postfix has for a mail: asked of trivial-rewrite over its socket, as Postfix' programs do."""
    with socket.socket(socket.AF_UNIX) as session:
        session.settimeout(3)
        session.connect(path)
        asked = {"request": "resolve", "sender": sender, "address": recipient}
        session.sendall("".join(f"{name}\0{value}\0" for name, value in asked.items()).encode() + b"\0")
        answer = b""
        while not (found := re.search(rb"transport\0([^\0]*)\0", answer)):
            part = session.recv(4096)
            if not part:
                return ""
            answer += part
    return found.group(1).decode(errors="replace")
