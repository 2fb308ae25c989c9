"""Lets a provider be far away: python3 delay.py ADDRESS SECONDS PORT …; listens on the same ports of 127.0.0.9.

Runs on a host of the lab. What goes one way waits for half of the round trip; so do the three packets of a handshake,
before the server knows of a connection.
"""

import asyncio
import sys

ADDRESS, TRIP = sys.argv[1], float(sys.argv[2])


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes, each piece half a round trip later."""
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    clock = asyncio.get_running_loop().time

    async def hand_on() -> None:
        while True:
            due, piece = await pieces.get()
            await asyncio.sleep(max(0.0, due - clock()))
            if not piece:
                writer.close()
                return
            writer.write(piece)

    sender = asyncio.ensure_future(hand_on())
    piece = b"x"
    while piece:
        try:
            piece = await reader.read(65536)
        except ConnectionError:
            piece = b""
        pieces.put_nowait((clock() + TRIP / 2, piece))
    await sender


async def serve(port: int) -> None:
    """One port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1.5 * TRIP)
        there, back = await asyncio.open_connection(ADDRESS, port)
        await asyncio.gather(carry(reader, back), carry(there, writer), return_exceptions=True)

    server = await asyncio.start_server(connected, "127.0.0.9", port)
    await server.serve_forever()


async def main() -> None:
    """All ports."""
    await asyncio.gather(*(serve(int(port)) for port in sys.argv[3:]))


asyncio.run(main())
