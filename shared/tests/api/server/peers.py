"""A client of a WebSocket that sends what it likes, and an application that takes everything."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

from starlette.types import Message, Receive, Scope, Send
from websockets.frames import Frame, Opcode

from sharezync_shared.server.websocket_protocol import FanoutProtocol, frame_port
from sharezync_testkit.serving import Served
from sharezync_testkit.waiting import GIVE_UP_SECONDS

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
CLOSE = 0x88
KIB = 1024


def sent(opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


LARGE = sent(Opcode.BINARY, bytes(KIB * KIB))


class Application:
    """Takes every message, when it is told to; holds what came and the server's end."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self.ports: list[FanoutProtocol] = []
        self.listens = asyncio.Event()
        self.listens.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        self.ports.append(cast("FanoutProtocol", frame_port(scope)))
        while not self.heard or self.heard[-1]["type"] != "websocket.disconnect":
            await self.listens.wait()
            self.heard.append(await receive())

    @property
    def code(self) -> int | None:
        """The code that the socket ended with."""
        return self.heard[-1].get("code") if self.heard else None


class Peer:
    """A client that sends whatever bytes it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def flood(self, data: bytes) -> None:
        """Send without end, until the server has cut the connection."""
        with contextlib.suppress(OSError):
            while not self.writer.is_closing():
                await self.send(data)
                await asyncio.sleep(0)

    async def close_code(self) -> int:
        """Read to the end, and return what the server's close frame says."""
        data = b""
        with contextlib.suppress(OSError):
            async with asyncio.timeout(GIVE_UP_SECONDS):
                while more := await self.reader.read(1 << 16):
                    data += more
        first, payload = decode_frames(data)[-1]
        assert first == CLOSE
        return int(struct.unpack_from("!H", payload)[0])


def decode_frames(frames: bytes) -> list[tuple[int, bytes]]:
    """Return (first byte, payload) of each frame in `frames`, which a server wrote."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(frames):
        first, length = frames[at], frames[at + 1]
        at += 2
        if length == 126:
            (length,) = struct.unpack_from("!H", frames, at)
            at += 2
        elif length == 127:
            (length,) = struct.unpack_from("!Q", frames, at)
            at += 8
        found.append((first, frames[at : at + length]))
        at += length
    return found


@asynccontextmanager
async def connected(served: Served) -> AsyncGenerator[Peer]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        writer.write(HANDSHAKE)
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()
