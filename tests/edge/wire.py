"""A client that sends packets and keeps whatever comes, without understanding any of it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress

QUIET_SECONDS = 5.0
"""After how long without a byte the client ends its direction, where something should have come.

Only where a server is wrong does it come to that: it then reads the same answers, and is told that
the connection had stayed open."""


async def next_turn() -> None:
    """Let a server in this event loop read what was sent: its next turn sees it."""
    for _ in range(3):
        await asyncio.sleep(0)


async def a_moment() -> None:
    """Let a server in another process read what was sent, most of the time."""
    await asyncio.sleep(0.001)


class Line(asyncio.Protocol):
    """One connection to a server, and all that came on it, also where it was reset thereafter.

    asyncio's streams forget what came before a reset.
    """

    def __init__(self) -> None:
        self.came = bytearray()
        self.closed = False
        """The server has ended its direction, or reset the connection."""
        self._transport: asyncio.Transport
        self._arrived = asyncio.Event()

    @classmethod
    async def open(cls, port: int) -> "Line":
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(cls, "127.0.0.1", port)
        return line

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self.came += data
        self._arrived.set()

    def eof_received(self) -> bool:
        self.closed = True
        self._arrived.set()
        return True  # we say ourselves when we go

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._arrived.set()

    async def send(
        self, packets: Iterable[bytes], between: Callable[[], Awaitable[None]] = a_moment
    ) -> None:
        """Send each packet by itself; stop where the server has closed."""
        for packet in packets:
            if self.closed:
                return
            self._transport.write(packet)
            await between()

    def half_close(self) -> None:
        with suppress(OSError):
            self._transport.write_eof()

    async def listen(self, enough: Callable[[bytes], bool] | None = None) -> None:
        """Take what comes until the server closes, or until `enough` says so of all that came.

        Raises TimeoutError where nothing comes for `QUIET_SECONDS`.
        """
        while not self.closed and not (enough and enough(bytes(self.came))):
            self._arrived.clear()
            async with asyncio.timeout(QUIET_SECONDS):
                await self._arrived.wait()

    def close(self) -> None:
        self._transport.abort()
