"""A connection to a server, byte by byte, and an application that tells what it was asked."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import h11
from starlette.types import Receive, Scope, Send

from sharezync_testkit.serving import Served, plain_asgi, serving
from sharezync_testkit.waiting import giving_up


@dataclass
class Asked:
    """A request as an application saw it."""

    method: str
    path: str
    body: bytes
    headers: list[tuple[bytes, bytes]]


@dataclass
class Echo:
    """Answers with the method, the path and the body of each request; keeps what it was asked."""

    asked: list[Asked] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.asked.append(Asked(scope["method"], scope["path"], body, scope["headers"]))
        said = f"{scope['method']} {scope['path']} ".encode() + body
        headers = [(b"content-length", str(len(said)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})


class Wire:
    """A client's end; answers are read with h11."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.seen = b""
        """What was read and belongs to no answer yet."""

    async def send(self, *packets: bytes) -> None:
        """Send each by itself, in a packet of its own."""
        for packet in packets:
            self.writer.write(packet)
            await asyncio.sleep(0.002 if len(packets) > 1 else 0)

    async def answer(self, method: str = "GET") -> tuple[int, bytes]:
        """Return status and body of the next answer. Raises EOFError where none comes."""
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        if self.seen:  # or it means the end
            client.receive_data(self.seen)
            self.seen = b""
        """What was read and belongs to no answer yet."""
        status, body = 0, b""
        async with giving_up(lambda: f"an answer; what came of it: {status} {body[:200]!r}"):
            while True:
                event = client.next_event()
                if event is h11.NEED_DATA:
                    try:
                        data = await self.reader.read(65536)
                    except ConnectionResetError:
                        data = b""
                    if not data and not status:
                        raise EOFError
                    client.receive_data(data)
                elif isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self.seen = client.trailing_data[0]
                    return status, body

    async def answers(self) -> list[tuple[int, bytes]]:
        """Return all answers until the connection is closed."""
        got = []
        try:
            while True:
                got.append(await self.answer())
        except EOFError:
            return got

    async def is_closed(self) -> bool:
        """Wait for the end of the connection; return whether nothing was said before it."""
        async with giving_up(lambda: "the end of the connection"):
            try:
                return not (self.seen + await self.reader.read())
            except ConnectionResetError:
                return not self.seen


@asynccontextmanager
async def connected(served: Served) -> AsyncGenerator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        yield Wire(reader, writer)
    finally:
        writer.close()


@asynccontextmanager
async def echoing(**settings: Any) -> AsyncGenerator[tuple[Wire, Echo, Served]]:
    """Serve an `Echo`, and connect to it."""
    echo = Echo()
    async with serving(plain_asgi(http=echo), **settings) as served, connected(served) as wire:
        yield wire, echo, served
