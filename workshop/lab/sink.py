"""The least provider on loopback, where the lab's cannot run, as on a Mac: python3 sink.py CERTIFICATE FOLDER.

Port 10465 begins with TLS, 10587 with STARTTLS (587 is a Mac's own); one account; each mail becomes a file. For the
standard library of any Python from 3.9, so that it runs on the host itself.
"""

from __future__ import annotations

import base64
import itertools
import socketserver
import ssl
import sys
import threading
from pathlib import Path

IMPLICIT, STARTTLS = 10465, 10587
ACCOUNT = "casey@fastmail.com"
LOGIN = base64.b64encode(f"\0{ACCOUNT}\0q7w2e9r4t6y1u8i3".encode()).decode()  # opens nothing but this
NUMBERS = itertools.count(1)


class Session(socketserver.StreamRequestHandler):
    """One client, to its end."""

    server: Server

    def handle(self) -> None:
        """Answer each command; without TLS nothing but STARTTLS, without a login no mail."""
        tls, known, envelope = self.server.wrapped, False, ""
        if tls:
            self._encrypt()
        self._say("220 smtp.fastmail.com ESMTP")
        while line := self.rfile.readline().decode().strip():
            verb = line.partition(" ")[0].upper()
            if verb in ("EHLO", "HELO"):
                self._say("250-smtp.fastmail.com", "250 AUTH PLAIN" if tls else "250 STARTTLS")
            elif verb == "QUIT":
                return self._say("221 2.0.0 Bye")
            elif verb == "STARTTLS" and not tls:
                self._say("220 2.0.0 Ready")
                self._encrypt()
                tls = True
            elif not tls:
                self._say("530 5.7.0 Must issue a STARTTLS command first")
            elif verb == "AUTH":
                known = line == f"AUTH PLAIN {LOGIN}"
                self._say("235 2.7.0 Accepted" if known else "535 5.7.8 Error: authentication failed")
            elif not known:
                self._say("530 5.7.0 Authentication required")
            elif verb == "MAIL" and f"<{ACCOUNT}>" not in line:
                self._say("553 5.7.1 Sender address rejected: not owned by user")
            elif verb == "DATA":
                self._say("354 End data with <CR><LF>.<CR><LF>")
                text = b"".join(iter(self.rfile.readline, b".\r\n"))
                mail = self.server.folder / f"{next(NUMBERS)}.eml"
                mail.write_bytes(f"X-Envelope: {envelope}\r\n".encode() + text)
                self._say(f"250 2.0.0 Ok: queued as {mail.stem}")
            else:
                envelope = "" if verb == "RSET" else f"{envelope} {line}".strip()
                self._say("250 2.0.0 Ok")

    def _say(self, *lines: str) -> None:
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())

    def _encrypt(self) -> None:
        self.request = self.server.context.wrap_socket(self.request, server_side=True)
        self.setup()


class Server(socketserver.ThreadingTCPServer):
    """One port."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int, certificate: str, folder: Path) -> None:
        self.wrapped = port == IMPLICIT
        self.folder = folder
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        super().__init__(("127.0.0.1", port), Session)


if __name__ == "__main__":
    Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
    servers = [Server(port, sys.argv[1], Path(sys.argv[2])) for port in (IMPLICIT, STARTTLS)]
    threading.Thread(target=servers[0].serve_forever, daemon=True).start()
    servers[1].serve_forever()
