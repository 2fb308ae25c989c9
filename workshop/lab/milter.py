"""What the provider says to a mail beyond Postfix's own rules; a milter that Postfix asks. Runs in the container.

Postfix shows it a mail's own headers alone, not those of a mail attached to it, and says who has logged in.
"""

import asyncio
import functools
import json
import os
import re
import socket
import struct
from email.utils import getaddresses
from pathlib import Path
from typing import Any

RULES = Path("/etc/provider.json")
# Below the folder that Postfix works in. Not a port: TCP would wait 40 ms, a few times a mail, to fill its packets.
SOCKET = "milter"

VERSION = 6
# Connection, body, end of headers, unknown commands and DATA are not shown; a header is not answered.
LEFT_OUT = 0x01 | 0x10 | 0x40 | 0x80 | 0x100 | 0x200
ADDS_HEADERS = 0x01
CONTINUE = b"c"


@functools.lru_cache(maxsize=1)
def read_rules(_written: int) -> dict[str, Any]:
    """What a test wants of the provider; read when the file is another one, not for each line of a mail."""
    rules: dict[str, Any] = json.loads(RULES.read_text())
    return rules


class Session:
    """One connection to the provider."""

    def __init__(self) -> None:
        self.helo = self.login = self.sender = ""
        self.senders: list[str] = []

    def answer(self, command: bytes, data: bytes) -> bytes | list[bytes] | None:
        """The answer to what Postfix tells; None where it waits for none, several where the mail is changed, too."""
        rules = read_rules(RULES.stat().st_mtime_ns)
        fields = data.decode(errors="replace").split("\0")
        reply = None
        if command == b"O":
            return b"O" + struct.pack("!III", VERSION, ADDS_HEADERS, LEFT_OUT)
        if command == b"H":
            self.helo = fields[0]
        elif command == b"D":
            if data[:1] == b"M":
                self.login = dict(zip(fields[0::2], fields[1::2], strict=False)).get("{auth_authen}", "")
            return None
        elif command == b"M":
            self.senders = []
            null = fields[0] == "<>" and not rules["null_sender"]
            reply = "501 5.1.7 Invalid MAIL FROM address provided" if null else rules["replies"].get("mail")
        elif command == b"R":
            if rules["helo"] and re.search(rules["helo"], self.helo):
                reply = f"450 4.7.1 <{self.helo}>: Helo command rejected: Host not found"
            reply = reply or rules["replies"].get("rcpt")
        elif command == b"L":
            if fields[0].lower() == "from":
                self.senders += [address for _name, address in getaddresses([fields[1]])]
            return None
        elif command == b"E":
            owned = rules["owned"].get(self.login, [])
            foreign = [sender for sender in self.senders if sender.lower() not in owned]
            refusal = "550 5.7.1 Not authorised to send from this header address" if foreign else None
            reply = refusal or rules["replies"].get("message")
            if rules["judgement"] and not reply:
                header = f"Authentication-Results\0{rules['judgement']}\0".encode()
                return [b"i" + struct.pack("!I", 0) + header, CONTINUE]
        elif command in b"AQ":
            return None
        return CONTINUE if reply is None else b"y" + reply.encode() + b"\0"


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer until Postfix leaves."""
    session = Session()
    try:
        while (packet := await reader.readexactly(int.from_bytes(await reader.readexactly(4)))) != b"Q":
            answer = session.answer(packet[:1], packet[1:])
            for part in answer if isinstance(answer, list) else [answer]:
                if part is not None:
                    writer.write(len(part).to_bytes(4) + part)
    except asyncio.IncompleteReadError:
        pass
    writer.close()


async def main() -> None:
    """Serve Postfix for as long as it runs."""
    path = f"/var/spool/postfix/{SOCKET}"
    server = await asyncio.start_unix_server(serve, path)
    os.chmod(path, 0o666)
    # Only now may Postfix be told to ask; what it cannot ask, it puts off.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
