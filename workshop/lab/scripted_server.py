"""The SMTP server of scripted.py: aiosmtpd, which says at each step what the script says. Runs in the container.

Takes every login and every mail where the script is silent.
"""

import asyncio
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

SCRIPT = Path("/run/scripted.json")
CERTIFICATE = "/etc/scripted.pem"
PORTS = {587: False, 465: True}


class Script:
    """What is said at each step, as the file says now; the handler that aiosmtpd asks."""

    def __init__(self) -> None:
        self.written = 0
        self.steps: dict[str, Any] = {}

    def at(self, step: str, take: bool = True) -> str | None:
        """What the script has for a step; of several replies the next one, and the last one for ever."""
        written = SCRIPT.stat().st_mtime_ns
        if written != self.written:
            self.steps, self.written = json.loads(SCRIPT.read_text()), written
        found = self.steps.get(step)
        if isinstance(found, list):
            found = found.pop(0) if take and len(found) > 1 else found[0]
        return found if found is None else str(found).replace("\n", "\r\n")

    def log_in(self, server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, _given: Any) -> AuthResult:
        """Answer a login that was heard out."""
        print("login", flush=True)
        reply = self.at("auth")
        if reply == "":
            server.transport.abort()
        return AuthResult(success=reply is None, handled=reply == "", message=reply)

    async def handle_EHLO(
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, offered: list[str]
    ) -> list[str]:
        """Name the provider's extensions in place of the server's; AUTH and STARTTLS where that offers them."""
        session.host_name = hostname
        found = {line[4:].split()[0] for line in offered}
        script = [line for line in str(self.at("offers")).split("\r\n") if "AUTH" not in line or "AUTH" in found]
        lines = ["scripted", "ENHANCEDSTATUSCODES", *(["STARTTLS"] if "STARTTLS" in found else []), *script]
        return [f"250{'-' if line is not lines[-1] else ' '}{line}" for line in lines]

    async def handle_MAIL(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Answer to a sender."""
        reply = (None if address else self.at("mail_null")) or self.at("mail")
        if reply is None:
            envelope.mail_from = address
        return reply or "250 2.1.0 Sender OK"

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Answer to a recipient."""
        reply = self.at("rcpt") or "250 2.1.5 Recipient OK"
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:
        """Answer to a mail that was read."""
        return self.at("message") or "250 2.0.0 OK: taken"


class Server(SMTP):
    """One connection."""

    async def smtp_DATA(self, arg: str) -> None:
        """Read the mail, or hang up in the middle of it."""
        if self.event_handler.at("message", take=False) == "":
            await self.push("354 Go on")
            await self._reader.readline()
            self.transport.abort()
            return
        await super().smtp_DATA(arg)


def connection(script: Script, context: ssl.SSLContext, implicit: bool) -> Callable[[], Server]:
    """What makes a server for each connection to a port."""
    return lambda: Server(
        script,
        hostname="scripted",
        tls_context=None if implicit else context,
        # Not over a plain connection; on the other port there is none.
        auth_require_tls=not implicit,
        authenticator=script.log_in,
        data_size_limit=None,
    )


async def main() -> None:
    """Serve all ports until it is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    script, loop = Script(), asyncio.get_running_loop()
    servers = [
        await loop.create_server(connection(script, context, implicit), port=port, ssl=context if implicit else None)
        for port, implicit in PORTS.items()
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main())
