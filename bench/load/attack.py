"""The means of all attacks: who attacks what, connections that end with the time, frames."""

import asyncio
import base64
import contextlib
import os
import secrets
import struct
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

ADDRESSES: Final = tuple(f"127.0.0.{number}" for number in range(66, 70))
"""Where the attackers come from, in turn: limits by address alone must not be what helps, and must
not hit the innocent."""
PIECE: Final = 64 * 1024


@dataclass
class Target:
    """What is attacked, and what the attacker has."""

    host: str
    port: int
    seconds: float
    token: str
    channel_id: str
    user_id: str
    friend_id: str
    friend_token: str
    """Of another account of the attacker's."""
    long_channels: list[str]
    """Channels of the attacker's with long messages."""
    client_id: str = "attacker"


@dataclass
class Seen:
    """What came of it."""

    connections: int = 0
    sent_bytes: int = 0
    closed: int = 0
    statuses: Counter[str] = field(default_factory=Counter)

    def answer(self, data: bytes) -> None:
        """Count the status line, or close frame, that some bytes begin with."""
        if data.startswith(b"HTTP/1.1 "):
            self.statuses[data[9:12].decode("latin-1")] += 1
        elif len(data) >= 4 and data[0] == 0x88:
            self.statuses[f"close {int.from_bytes(data[2:4])}"] += 1


class Attack:
    """The means of all attacks: connections that end when the time is over."""

    def __init__(self, target: Target) -> None:
        self.target, self.seen = target, Seen()
        self._until = asyncio.get_running_loop().time() + target.seconds

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._until - asyncio.get_running_loop().time()

    @asynccontextmanager
    async def connection(
        self, *, reads: bool = True
    ) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """Connect; with `reads`, whatever comes is read and counted."""
        address = ADDRESSES[self.seen.connections % len(ADDRESSES)]
        self.seen.connections += 1
        reader, writer = await asyncio.open_connection(
            self.target.host, self.target.port, local_addr=(address, 0)
        )
        task = asyncio.create_task(self._read(reader)) if reads else None
        try:
            yield reader, writer
        finally:
            if task is not None:
                task.cancel()
            writer.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(PIECE):
                self.seen.answer(data)

    async def send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Send, as fast as it is taken. Raises OSError once it is closed."""
        writer.write(data)
        await writer.drain()
        self.seen.sent_bytes += len(data)

    async def flood(
        self, before: bytes, piece: bytes, *, connections: int = 1, reads: bool = True
    ) -> None:
        """Send `before`, then `piece` without end; again where that is closed."""

        async def one() -> None:
            while self.left > 0:
                with contextlib.suppress(OSError):
                    async with self.connection(reads=reads) as (_, writer):
                        await self.send(writer, before)
                        while self.left > 0:
                            await self.send(writer, piece)
                    continue
                self.seen.closed += 1
                await asyncio.sleep(0.05)

        await self.for_the_time(*(one() for _ in range(connections)))

    async def trickle(
        self, before: bytes, byte: bytes, *, connections: int, every_seconds: float
    ) -> None:
        """Hold so many connections on which a little comes now and then."""

        async def one() -> None:
            while self.left > 0:
                with contextlib.suppress(OSError):
                    async with self.connection() as (_, writer):
                        await self.send(writer, before)
                        while self.left > 0 and not writer.is_closing():
                            await asyncio.sleep(every_seconds)
                            if byte:
                                await self.send(writer, byte)
                self.seen.closed += self.left > 0
                await asyncio.sleep(0.1)

        await self.for_the_time(*(one() for _ in range(connections)))

    async def for_the_time(self, *works: Awaitable[None]) -> None:
        """Do all of this at the same time, until the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(self.left, 0)):
                await asyncio.gather(*works)

    def head(
        self, method: str, path: str, *fields: str, token: bool = False, bearer: str | None = None
    ) -> bytes:
        """Return a request's head; with `bearer` as somebody else."""
        shown = bearer or (self.target.token if token else None)
        authorization = (f"Authorization: Bearer {shown}",) if shown else ()
        lines = [f"{method} {path} HTTP/1.1", "Host: victim", *authorization, *fields]
        return "\r\n".join([*lines, "", ""]).encode()

    def handshake(
        self, *, token: bool, client_id: str | None = None, bearer: str | None = None
    ) -> bytes:
        """Return the head that opens a WebSocket; with `bearer` as somebody else."""
        return self.head(
            "GET", f"/ws/{client_id or self.target.client_id}", "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: sharezync.v1",
            token=token, bearer=bearer,
        )  # fmt: skip

    async def tokens(self, count: int) -> list[str]:
        """Return tokens of the attacker's two accounts, and of new ones."""
        tokens = [self.target.token, self.target.friend_token]
        async with self._http() as http:
            while len(tokens) < count:
                name = f"attacker_{secrets.token_hex(4)}"
                account = {"username": name, "password": secrets.token_urlsafe(16)}
                made = {**account, "email": f"{name}@example.com"}
                (await http.post("/v1/auth/register", json=made)).raise_for_status()
                answer = await http.post("/token", data={"grant_type": "password", **account})
                tokens.append(answer.raise_for_status().json()["access_token"])
        return tokens

    async def stored(self, size_bytes: int, *, token: str) -> str:
        """Store a file; return its path."""
        async with self._http(token) as http:
            files = {"file": ("a", os.urandom(size_bytes))}
            answer = await http.post("/v1/files", files=files)
            return str(answer.raise_for_status().headers["location"])

    def _http(self, token: str | None = None) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://{self.target.host}:{self.target.port}",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            transport=httpx.AsyncHTTPTransport(local_address=ADDRESSES[0]),
        )

    async def ask(
        self, method: str, path: str, body: object = None, *, token: str | None = None
    ) -> dict[str, Any]:
        """Make an ordinary request; return what was answered. Raises httpx.HTTPError."""
        async with self._http(token or self.target.token) as http:
            answer = await http.request(method, path, json=body)
            answer.raise_for_status()
            return dict(answer.json()) if answer.content else {}

    async def offer(self, files: list[dict[str, Any]]) -> str:
        """Offer files to the friend, who accepts them; return the transfer's id."""
        body = {
            "recipients": [{"user_id": self.target.friend_id}], "files": files,
            "chunk_size": 64 * 1024,
        }  # fmt: skip
        offered = await self.ask("POST", "/v1/transfers", body)
        path = f"/v1/transfers/{offered['id']}/accept"
        await self.ask("POST", path, {}, token=self.target.friend_token)
        return str(offered["id"])

    async def heads(self) -> dict[str, tuple[str, int]]:
        """Return where the attacker's streams stand."""
        told: dict[str, tuple[str, int]] = (await self.ask("GET", "/v1/sync"))["heads"]
        return told


def frame(first_byte: int, payload: bytes = b"") -> bytes:
    """Return a masked frame (RFC 6455 §5.2), with a mask of zeros."""
    size = len(payload)
    if size < 126:
        head = struct.pack(">BB", first_byte, 0x80 | size)
    elif size < 65536:
        head = struct.pack(">BBH", first_byte, 0xFE, size)
    else:
        head = struct.pack(">BBQ", first_byte, 0xFF, size)
    return head + bytes(4) + payload
