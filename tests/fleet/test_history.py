"""Nothing acknowledged is lost, doubled or out of order, whatever is cut or killed meanwhile."""

import asyncio
import itertools
import json
import random
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from sharezync_embedded.fleet import Fleet
from tests.blackbox.people import Person
from tests.fleet.crowd import Crowd
from tests.fleet.history import Json, Reader, Writer, faults

pytestmark = pytest.mark.timeout(240)

SECONDS_OF_TROUBLE = 20.0
SETTLED_WITHIN_SECONDS = 60.0
SEED = 4711


@dataclass
class Scene:
    """A channel, its people, and how to reach any of the gateways."""

    gateways: list[str]
    channel_id: str
    chance: random.Random
    over: asyncio.Event = field(default_factory=asyncio.Event)
    open: list[ClientConnection] = field(default_factory=list)

    @property
    def stream(self) -> str:
        return f"channel:{self.channel_id}"

    @asynccontextmanager
    async def socket(
        self, person: Person, client_id: str, cursors: Json | None = None
    ) -> AsyncGenerator[ClientConnection]:
        """Connect to a gateway picked by chance, and resume from where one was."""
        url = urlsplit(self.chance.choice(self.gateways))
        async with websockets.connect(
            f"ws://{url.netloc}/ws/{client_id}",
            additional_headers={"Authorization": f"Bearer {person.token}"},
            subprotocols=[websockets.Subprotocol("sharezync.v1")],
            compression=None,
            open_timeout=10,
            close_timeout=1,
        ) as connection:
            if cursors is not None:
                await connection.send(json.dumps({"type": "resume", "cursors": cursors}))
            self.open.append(connection)
            try:
                yield connection
            finally:
                self.open.remove(connection)


GONE = (OSError, websockets.WebSocketException, TimeoutError, httpx.HTTPError)


async def read_on(scene: Scene, person: Person, reader: Reader) -> None:
    """Follow the channel until cancelled, as a client does: reconnect anywhere, and resume."""
    while True:
        with suppress(*GONE):
            cursors = {scene.stream: [reader.epoch, reader.seq]}
            async with scene.socket(person, reader.name, cursors) as connection:
                async for text in connection:
                    frame = json.loads(text)
                    if frame["type"] == "reset" and frame["stream"] == scene.stream:
                        reader.refetch(frame, await said_between(scene, person, reader.seq, frame))
                    elif frame.get("stream") == scene.stream and "seq" in frame:
                        reader.take(frame)
        await asyncio.sleep(0.1)


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


async def make_trouble(scene: Scene, fleet: Fleet) -> None:
    """Cut sockets at random all the time; kill one process of each kind and start it again."""

    async def cut() -> None:
        while True:
            await asyncio.sleep(scene.chance.uniform(0.1, 0.5))
            if scene.open:
                scene.chance.choice(scene.open).transport.abort()

    cutting = asyncio.create_task(cut())
    loop = asyncio.get_running_loop()
    began = loop.time()
    for name, number in (("gateway", 1), ("chat", 0), ("auth", 1), ("chat", 1), ("gateway", 0)):
        await asyncio.sleep(1.5)
        fleet.kill(name, number)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(fleet.restart, name, number)
    await asyncio.sleep(max(0.0, began + SECONDS_OF_TROUBLE - loop.time()))
    cutting.cancel()


async def whole_history(person: Person, channel_id: str) -> list[Json]:
    """Load the channel afresh, page by page; oldest first."""
    found: list[Json] = []
    before = ""
    while True:
        page = await person.get(f"/v1/channels/{channel_id}/messages?limit=200{before}")
        found += page["items"]
        if page["next"] is None:
            return found[::-1]
        before = f"&before={page['next']}"


async def test_no_history_is_broken_by_cuts_and_crashes(fleet: Fleet, crowd: Crowd) -> None:
    people = [await crowd.register(f"person{n}") for n in range(4)]
    channel_id = await people[0].channel()
    await people[0].add(channel_id, *people[1:])
    scene = Scene(fleet.urls["gateway"], channel_id, random.Random(SEED))
    heads = (await people[0].get("/v1/sync"))["heads"]
    epoch, head = heads[scene.stream]
    readers = [Reader(f"reader-{n}", head, epoch) for n in range(4)]
    writers = [Writer(f"writer-{n}") for n in range(6)]

    reading = [
        asyncio.create_task(read_on(scene, person, reader))
        for person, reader in zip(people, readers, strict=True)
    ]
    ways = itertools.cycle([write_by_rest, write_by_socket])
    writing = [
        asyncio.create_task(next(ways)(scene, person, writer))
        for person, writer in zip(itertools.cycle(people), writers)
    ]
    try:
        await make_trouble(scene, fleet)
        scene.over.set()
        async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
            await asyncio.gather(*writing)
            head = (await people[0].get("/v1/sync"))["heads"][scene.stream][1]
            while any(reader.seq < head for reader in readers):  # noqa: ASYNC110 - of several tasks
                await asyncio.sleep(0.1)
    finally:
        for task in (*reading, *writing):
            task.cancel()
        await asyncio.gather(*reading, *writing, return_exceptions=True)

    history = await whole_history(people[0], channel_id)
    acknowledged = sum(len(writer.acknowledged) for writer in writers)
    again = sum(reader.seen_again for reader in readers)
    refetched = sum(reader.refetched for reader in readers)
    sys.stdout.write(
        f"\n  {acknowledged} acknowledged, {len(history)} stand, "
        f"{again} frames seen again, {refetched} resets\n"
    )
    assert faults(writers, readers, history, head) == []
    assert acknowledged > 100, "too few to have been in anybody's way"
