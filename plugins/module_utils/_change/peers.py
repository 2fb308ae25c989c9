"""What the second Postfix of a rehearsal speaks with: its log, a relay, and a program that hands in mail.

Runs on the managed host.
"""

from __future__ import annotations

import os
import re
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from typing import Any, TypeVar

Server = TypeVar("Server", bound=socketserver.BaseServer)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """It goes on until the block is left, and sees that within a moment."""
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Log(socketserver.UnixDatagramServer):
    """What the daemons say, read as they say it."""

    def __init__(self, path: str) -> None:
        self.lines: list[str] = []
        super().__init__(path, socketserver.BaseRequestHandler)
        os.chmod(path, 0o666)

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.lines.append(request[0].decode(errors="replace").strip())


_TLS = {b"EHLO": b"250-check\r\n250 STARTTLS", b"STAR": b"220 go ahead"}
_MAIL = {
    b"EHLO": b"250-check\r\n250 AUTH PLAIN LOGIN", b"AUTH": b"235 come in",
    b"MAIL": b"250 yes", b"RCPT": b"250 yes", b"DATA": b"354 go on",
}  # fmt: skip


class Relay(socketserver.TCPServer):
    """A relay that hangs up as soon as a client begins TLS; or one without TLS that takes mails."""

    def __init__(self, family: socket.AddressFamily, address: str, wrapped: bool = False, takes: bool = False) -> None:
        self.address_family = family
        self.reached = threading.Event()
        self.mails: list[str] = []
        self._wrapped, self._answers = wrapped, _MAIL if takes else _TLS
        super().__init__((address, 0), socketserver.BaseRequestHandler)
        self.port: int = self.server_address[1]

    def finish_request(self, request: Any, client_address: Any) -> None:
        with suppress(OSError), request.makefile("rb") as stream:
            request.settimeout(3)
            if not self._wrapped:
                request.sendall(b"220 check ESMTP\r\n")
            while stream.peek(1)[:1] != b"\x16":
                line = stream.readline().upper()
                for question in (b"VXNlcm5hbWU6", b"UGFzc3dvcmQ6") if line.startswith(b"AUTH LOGIN") else ():
                    request.sendall(b"334 " + question + b"\r\n")
                    stream.readline()
                verb = line[:4]
                request.sendall(self._answers.get(verb, b"502 no") + b"\r\n")
                if verb == b"DATA":
                    text = takewhile(lambda line: line != b".\r\n", stream)
                    self.mails.append(b"".join(text).decode(errors="replace"))
                    request.sendall(b"250 taken\r\n")
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
