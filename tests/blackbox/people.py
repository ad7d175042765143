"""People who use ShareZync from outside: HTTP and WebSockets, and nothing of ours imported.

Every frame that they send or get is held against the document that the product itself serves.
"""

import asyncio
import base64
import hashlib
import json
import secrets
import struct
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from sharezync_testkit.frames import Conversation, Protocol
from sharezync_testkit.waiting import DEADLINE_SECONDS

PASSWORD = "correct horse battery staple"
NO_CODES = {None, 1000, 1006}  # open; closed by us; gone without a word

# version, kind, flags, transfer id, file, index, length, sha256: realtime.md, "Transfer"
CHUNK_HEADER = struct.Struct(">BBH16sIII32s")

Json = dict[str, Any]


@dataclass
class Chunk:
    """A chunk as it travels in a binary frame."""

    transfer_id: str
    file: int
    index: int
    payload: bytes
    sha256: bytes = b""

    def __post_init__(self) -> None:
        self.sha256 = self.sha256 or hashlib.sha256(self.payload).digest()

    def encode(self) -> bytes:
        transfer = bytes.fromhex(self.transfer_id.replace("-", ""))
        return (
            CHUNK_HEADER.pack(
                1, 1, 0, transfer, self.file, self.index, len(self.payload), self.sha256
            )
            + self.payload
        )

    def encode_json(self) -> str:
        return json.dumps(
            {
                "type": "file_chunk",
                "transfer_id": self.transfer_id,
                "file": self.file,
                "index": self.index,
                "sha256": self.sha256.hex(),
                "data": base64.b64encode(self.payload).decode(),
            }
        )

    @staticmethod
    def decode(frame: bytes) -> "Chunk":
        version, kind, _flags, transfer, file, index, length, sha256 = CHUNK_HEADER.unpack_from(
            frame
        )
        payload = frame[CHUNK_HEADER.size :]
        assert (version, kind, length) == (1, 1, len(payload))
        hexed = transfer.hex()
        parts = (hexed[:8], hexed[8:12], hexed[12:16], hexed[16:20], hexed[20:])
        return Chunk("-".join(parts), file, index, payload, sha256)


@dataclass
class Socket:
    """One connected device: everything it was sent, in order."""

    connection: ClientConnection
    conversation: Conversation
    frames: list[Json] = field(default_factory=list)
    chunks: "asyncio.Queue[Chunk]" = field(default_factory=asyncio.Queue)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)
    _next_id: int = 0

    async def listen(self) -> None:
        try:
            async for message in self.connection:
                self.conversation.hears(message)
                if isinstance(message, bytes):
                    self.chunks.put_nowait(Chunk.decode(message))
                else:
                    self.frames.append(json.loads(message))
                self._arrived.set()
        except websockets.ConnectionClosed:
            pass
        finally:
            if self.connection.close_code not in NO_CODES:
                self.conversation.closes(self.connection.close_code)
            self.closed.set()
            self._arrived.set()

    async def frame(self, matches: Callable[[Json], bool], *, after: int = 0) -> Json:
        """The first frame from position `after` on that matches; fails when none comes in time."""
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while True:
                    self.conversation.check()
                    for frame in self.frames[after:]:
                        if matches(frame):
                            return frame
                    assert not self.closed.is_set(), f"closed; had {self.frames[-5:]}"
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise AssertionError(f"it did not come; had {self.frames[-8:]}") from None

    async def of_type(self, frame_type: str, *, after: int = 0) -> Json:
        return await self.frame(lambda frame: frame["type"] == frame_type, after=after)

    async def event(self, event_type: str, **data: object) -> Json:
        """The event of this type whose data has these members."""
        return await self.frame(
            lambda frame: (
                frame["type"] == event_type
                and all(frame["data"].get(name) == value for name, value in data.items())
            )
        )

    def events(self, stream: str) -> list[Json]:
        return [f for f in self.frames if f.get("stream") == stream and "seq" in f]

    async def send(self, message: Json) -> None:
        await self.say(json.dumps(message))

    async def say(self, message: str | bytes) -> None:
        """Send a message as it is."""
        self.conversation.says(message)
        await self.connection.send(message)

    async def command(self, command_type: str, **members: object) -> Json:
        """Send a command and return its `reply` or its `error`."""
        self._next_id += 1
        own_id = self._next_id
        await self.send({"type": command_type, "id": own_id, **members})
        return await self.frame(lambda f: f["type"] in {"reply", "error"} and f.get("id") == own_id)


_protocols: dict[str, Protocol] = {}


async def protocol_at(base_url: str) -> Protocol:
    """What the product at this address says of its sockets, once all its services were asked."""
    if base_url not in _protocols:
        http = httpx.AsyncClient(base_url=base_url, timeout=DEADLINE_SECONDS)
        async with asyncio.timeout(DEADLINE_SECONDS), http:
            while True:
                answer = await http.get("/asyncapi.json")
                assert answer.status_code == 200, answer.text
                document = answer.json()
                if "x-unavailable" not in document["info"]:
                    break
                await asyncio.sleep(0.5)
        _protocols[base_url] = Protocol(document)
    return _protocols[base_url]


@dataclass
class Person:
    """Somebody with an account, logged in."""

    base_url: str
    http: httpx.AsyncClient
    username: str
    id: str
    tokens: Json

    @classmethod
    async def register(cls, base_url: str, name: str) -> "Person":
        username = f"{name}_{secrets.token_hex(4)}"
        http = httpx.AsyncClient(base_url=base_url, timeout=30, follow_redirects=False)
        registered = await http.post(
            "/v1/auth/register",
            json={
                "username": username,
                "email": f"{username}@example.com",
                "password": PASSWORD,
                "display_name": name.title(),
            },
        )
        assert registered.status_code == 201, registered.text
        person = cls(base_url, http, username, registered.json()["id"], {})
        await person.log_in()
        await protocol_at(base_url)  # while all services are there to say what they send
        return person

    async def log_in(self) -> None:
        answer = await self.http.post(
            "/token",
            data={"grant_type": "password", "username": self.username, "password": PASSWORD},
        )
        assert answer.status_code == 200, answer.text
        self.use(answer.json())

    def use(self, tokens: Json) -> None:
        self.tokens = tokens
        self.http.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    def at(self, base_url: str) -> "Person":
        """The very same login, speaking to another gateway."""
        http = httpx.AsyncClient(base_url=base_url, timeout=30, follow_redirects=False)
        other = Person(base_url, http, self.username, self.id, {})
        other.use(self.tokens)
        return other

    @property
    def token(self) -> str:
        return str(self.tokens["access_token"])

    async def post(self, path: str, body: object = None, *, expect: int = 201) -> Json:
        answer = await self.http.post(path, json=body)
        assert answer.status_code == expect, (path, answer.status_code, answer.text)
        return dict(answer.json()) if answer.content else {}

    async def get(self, path: str, *, expect: int = 200) -> Json:
        answer = await self.http.get(path)
        assert answer.status_code == expect, (path, answer.status_code, answer.text)
        return dict(answer.json())

    async def channel(self, name: str = "general", *, kind: str = "private") -> str:
        return str((await self.post("/v1/channels", {"name": name, "kind": kind}))["id"])

    async def add(self, channel_id: str, *others: "Person") -> None:
        for other in others:
            await self.post(f"/v1/channels/{channel_id}/members", {"user_id": other.id})

    async def say(self, channel_id: str, text: str, **members: object) -> Json:
        return await self.post(f"/v1/channels/{channel_id}/messages", {"text": text, **members})

    @asynccontextmanager
    async def connected(
        self, client_id: str = "laptop", *, cursors: Json | None = None, path: str | None = None
    ) -> AsyncGenerator[Socket]:
        """A device of this person, connected and ready; resumed where `cursors` are given."""
        url = urlsplit(self.base_url)
        protocol = await protocol_at(self.base_url)
        narrowed = path is not None and path.startswith("/ws/channels/")
        async with websockets.connect(
            f"ws://{url.netloc}{path or f'/ws/{client_id}'}",
            additional_headers={"Authorization": f"Bearer {self.token}"},
            subprotocols=[websockets.Subprotocol("sharezync.v1")],
            max_size=4 * 1024 * 1024,
            compression=None,
        ) as connection:
            conversation = Conversation(protocol, "channel" if narrowed else "device")
            socket = Socket(connection, conversation)
            listening = asyncio.create_task(socket.listen())
            try:
                await socket.of_type("ready")
                if cursors is not None:
                    await socket.send({"type": "resume", "cursors": cursors})
                    await socket.of_type("resumed")
                yield socket
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
            conversation.check()

    async def aclose(self) -> None:
        await self.http.aclose()


async def registered(base_url: str, name: str) -> Person:
    """Return somebody new with a login for many tests: each is to use its own `at(base_url)`."""
    person = await Person.register(base_url, name)
    await person.aclose()
    return person
