"""The SMTP server of lab/scripted.py: says at each step what the script says. Runs in the container.

Takes every login and every mail where the script is silent. Standard library only.
"""

import asyncio
import json
import ssl
import sys
from pathlib import Path
from typing import Any

SCRIPT = Path("/run/scripted.json")
CERTIFICATE = "/etc/scripted.pem"
PORTS = {587: False, 465: True}
HEALTHY = {
    "greeting": "220 scripted ESMTP",
    "starttls": "220 2.0.0 Ready to start TLS",
    "auth": "235 2.7.0 Accepted",
    "mail": "250 2.1.0 Sender OK",
    "rcpt": "250 2.1.5 Recipient OK",
    "data": "354 Go on",
    "message": "250 2.0.0 OK: taken",
}


class HangUp(Exception):
    """The script says that the connection breaks off here."""


class Script:
    """What is said at each step, as the file says now."""

    def __init__(self) -> None:
        self.written = 0
        self.steps: dict[str, Any] = {}

    def at(self, step: str) -> Any:
        """What the script has for a step; of several replies the next one, and the last one for ever."""
        written = SCRIPT.stat().st_mtime_ns
        if written != self.written:
            self.steps, self.written = json.loads(SCRIPT.read_text()), written
        found = self.steps.get(step)
        if isinstance(found, list):
            return found.pop(0) if len(found) > 1 else found[0]
        return found


class Session:
    """One connection."""

    def __init__(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.script, self.reader, self.writer = script, reader, writer
        self.encrypted = writer.get_extra_info("ssl_object") is not None

    async def send(self, reply: str) -> None:
        """Send a reply; its lines are the lines of the reply."""
        self.writer.write(reply.replace("\n", "\r\n").encode() + b"\r\n")
        await self.writer.drain()

    async def say(self, step: str) -> bool:
        """Answer at a step; whether that was a yes."""
        reply = self.script.at(step)
        if reply == "":
            raise HangUp
        await self.send(reply or HEALTHY[step])
        return (reply or HEALTHY[step])[0] in "23"

    async def line(self) -> str:
        """The client's next line; ends the session where there is none."""
        line = await self.reader.readline()
        if not line:
            raise HangUp
        return line.decode(errors="replace").rstrip("\r\n")

    async def run(self) -> None:
        """Talk until the client leaves."""
        await self.say("greeting")
        while True:
            verb, _space, argument = (await self.line()).partition(" ")
            verb = verb.upper()
            if verb in ("EHLO", "HELO"):
                await self.greet()
            elif verb == "STARTTLS":
                if await self.say("starttls"):
                    await self.writer.start_tls(CONTEXT)
                    self.encrypted = True
            elif verb == "AUTH":
                await self.log_in(argument)
            elif verb in ("MAIL", "RCPT"):
                await self.say(verb.lower())
            elif verb == "DATA":
                if await self.say("data"):
                    await self.take()
            elif verb == "QUIT":
                await self.send("221 2.0.0 Bye")
                return
            else:
                await self.send("250 2.0.0 OK")

    async def greet(self) -> None:
        """Name the extensions; AUTH only inside TLS."""
        offers = str(self.script.at("offers")).split("\n")
        if not self.encrypted:
            offers = ["STARTTLS", *(offer for offer in offers if not offer.startswith("AUTH"))]
        lines = ["scripted", "ENHANCEDSTATUSCODES", *offers]
        await self.send("\n".join(f"250{'-' if line is not lines[-1] else ' '}{line}" for line in lines))

    async def log_in(self, argument: str) -> None:
        """Hear the login out, then answer."""
        mechanism, _space, given = argument.partition(" ")
        prompts = {"PLAIN": [] if given else [""], "LOGIN": ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"][bool(given) :]}
        for prompt in prompts.get(mechanism.upper(), []):
            await self.send(f"334 {prompt}")
            await self.line()
        print("login", flush=True)
        await self.say("auth")

    async def take(self) -> None:
        """Read the mail, or hang up in the middle of it."""
        await self.line()
        if self.script.at("message") == "":
            raise HangUp
        while await self.line() != ".":
            pass
        await self.say("message")


CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)


async def main() -> None:
    """Serve all ports until somebody ends it."""
    CONTEXT.load_cert_chain(CERTIFICATE)
    script = Script()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await Session(script, reader, writer).run()
        except (HangUp, OSError) as error:
            print(f"hung up: {error!r}", file=sys.stderr, flush=True)
        finally:
            writer.transport.abort()

    servers = [
        await asyncio.start_server(serve, port=port, ssl=CONTEXT if implicit else None)
        for port, implicit in PORTS.items()
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main())
