"""People who write to a channel and read it, whatever becomes of the gateways between them."""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from tests.blackbox.people import Person
from tests.fleet.history import Json, Reader, Writer

STATE_LOST = 0.3
"""How many of a reader's reconnects come from a place before the one it had reached."""


@dataclass
class Scene:
    """A channel, its people, how to reach any of the gateways, and what was done to all of it."""

    gateways: list[str]
    channel_id: str
    chance: random.Random
    over: asyncio.Event = field(default_factory=asyncio.Event)
    open: list[ClientConnection] = field(default_factory=list)
    cuts: int = 0
    kills: list[str] = field(default_factory=list)
    outages: int = 0
    ping_seconds: float = 20.0
    """How often a client asks whether its gateway is there, and how long it waits for that."""

    @property
    def stream(self) -> str:
        return f"channel:{self.channel_id}"

    @asynccontextmanager
    async def socket(
        self, person: Person, client_id: str, *first: Json, token_in_header: bool = True
    ) -> AsyncGenerator[ClientConnection]:
        """Connect to a gateway picked by chance, and send the first frames."""
        url = urlsplit(self.chance.choice(self.gateways))
        headers = {"Authorization": f"Bearer {person.token}"} if token_in_header else {}
        async with websockets.connect(
            f"ws://{url.netloc}/ws/{client_id}",
            additional_headers=headers,
            subprotocols=[websockets.Subprotocol("sharezync.v1")],
            compression=None,
            open_timeout=10,
            close_timeout=1,
            ping_interval=self.ping_seconds,
            ping_timeout=self.ping_seconds,
        ) as connection:
            for frame in first:
                await connection.send(json.dumps(frame))
            self.open.append(connection)
            try:
                yield connection
            finally:
                self.open.remove(connection)


GONE = (OSError, websockets.WebSocketException, TimeoutError, httpx.HTTPError)


async def read_on(scene: Scene, person: Person, reader: Reader) -> None:
    """Follow the channel until cancelled, as a client does: reconnect anywhere, and resume.

    Sometimes from a place that it had left behind, as one that was killed before it saved where
    it was. Its cursors come with the token, so that nothing live can come before what it missed;
    or after it, in a `resume`, before which live events may come.
    """
    while True:
        behind = scene.chance.randint(1, 20) if scene.chance.random() < STATE_LOST else 0
        cursors = {scene.stream: [reader.epoch, max(reader.first, reader.seq - behind)]}
        at_once = scene.chance.random() < 0.5
        first: Json = {"type": "resume", "cursors": cursors}
        if at_once:
            first = {"type": "authenticate", "token": person.token, "cursors": cursors}
        with suppress(*GONE):
            connecting = scene.socket(person, reader.name, first, token_in_header=not at_once)
            async with connecting as connection:
                reader.note(f"connected to port {connection.remote_address[1]}: {cursors}")
                reader.resuming = not at_once
                async for text in connection:
                    await _take(scene, person, reader, json.loads(text))
        await asyncio.sleep(0.1)


async def _take(scene: Scene, person: Person, reader: Reader, frame: Json) -> None:
    match frame:
        case {"type": "reset", "stream": scene.stream}:
            reader.note(f"reset to {frame['seq']}")
            reader.refetch(frame, await said_between(scene, person, reader.seq, frame))
        case {"stream": scene.stream, "seq": _}:
            reader.take(frame)
        case {"type": "ready"}:
            heads, missing = frame["heads"], frame.get("missing")
            reader.note(f"ready at {heads.get(scene.stream)}, without {missing}")
        case {"type": "resumed"}:
            reader.resumed(frame["streams"][scene.stream])
        case {"type": "error" | "bye"}:
            reader.note(str(frame))


async def said_between(scene: Scene, person: Person, seq: int, reset: Json) -> list[Json]:
    """Return the messages after `seq` up to a reset, as REST has them."""
    way = person.at(scene.chance.choice(scene.gateways))
    try:
        history = await whole_history(way, scene.channel_id)
    finally:
        await way.aclose()
    return [message for message in history if seq < message["seq"] <= reset["seq"]]


async def write_by_rest(scene: Scene, person: Person, writer: Writer) -> None:
    """Say one thing after the other, each until it is acknowledged."""
    clients = [person.at(url) for url in scene.gateways]
    for number in itertools.count():
        if scene.over.is_set():
            break
        key = f"{writer.name}-{number}"
        writer.tried.append(key)
        body = {"text": f"{key} by rest", "client_message_id": key}
        while key not in writer.acknowledged:
            with suppress(*GONE):
                client = scene.chance.choice(clients).http
                path = f"/v1/channels/{scene.channel_id}/messages"
                answer = await client.post(path, json=body, timeout=5)
                assert answer.status_code in {200, 201, 502, 503, 504}, answer.text
                if answer.is_success:
                    writer.told(key, answer.json()["seq"])
                    break
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.02)
    for each in clients:
        await each.aclose()


async def write_by_socket(scene: Scene, person: Person, writer: Writer) -> None:
    """Do the same on a socket that may be cut between a command and its reply."""
    numbers = itertools.count()
    key = ""
    while key or not scene.over.is_set():
        with suppress(*GONE):
            async with scene.socket(person, f"{writer.name}-device") as connection:
                while key or not scene.over.is_set():
                    if not key:
                        key = f"{writer.name}-{next(numbers)}"
                        writer.tried.append(key)
                    if await _say(scene, connection, writer, key):
                        key = ""
                    await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)


async def _say(scene: Scene, connection: ClientConnection, writer: Writer, key: str) -> bool:
    """Send a message and return whether it was acknowledged; an error asks for another try."""
    message = {
        "type": "send_message",
        "id": key,
        "channel_id": scene.channel_id,
        "text": f"{key} by socket",
        "client_message_id": key,
    }
    await connection.send(json.dumps(message))
    async with asyncio.timeout(5):
        while True:
            frame = json.loads(await connection.recv())
            if frame.get("id") != key:
                continue
            if frame["type"] == "reply":
                writer.told(key, frame["data"]["seq"])
                return True
            assert frame["retryable"], frame
            await asyncio.sleep(0.2)
            return False


async def whole_history(person: Person, channel_id: str) -> list[Json]:
    """Load the channel afresh, page by page; oldest first. Raises one of GONE."""
    found: list[Json] = []
    before = ""
    while True:
        answer = await person.http.get(f"/v1/channels/{channel_id}/messages?limit=200{before}")
        page = answer.raise_for_status().json()
        found += page["items"]
        if page["next"] is None:
            return found[::-1]
        before = f"&before={page['next']}"
