"""The real services in this process, which can be ended and begun anew, and devices on lines."""

import asyncio
import hashlib
import random
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sharezync_embedded.compose import CombinedApp, migrate
from sharezync_gateway.realtime import SOCKETS
from sharezync_testkit.serving import serving
from tests.blackbox import people
from tests.blackbox.people import Person, Socket

CHUNK: Final = 64 * 1024
COUNT: Final = 24
SIZE: Final = (COUNT - 1) * CHUNK + 17
CONTENT: Final = random.Random(4711).randbytes(SIZE)
ALL: Final = frozenset(range(COUNT))


def piece(index: int) -> bytes:
    """Return a chunk of the file; no two are alike."""
    return CONTENT[index * CHUNK : (index + 1) * CHUNK]


class House:
    """All five services over an embedded PostgreSQL, and those who live at their door."""

    def __init__(self, database_url: str, data_dir: Path) -> None:
        self._database_url = database_url
        self._data_dir = data_dir
        self._open = AsyncExitStack()
        self._people: list[Person] = []
        self._url = ""

    @classmethod
    @asynccontextmanager
    async def opened(cls, database_url: str, data_dir: Path) -> AsyncGenerator["House"]:
        await migrate(database_url)
        house = cls(database_url, data_dir)
        await house._begin()
        try:
            yield house
        finally:
            for person in house._people:
                await person.aclose()
            await house._open.aclose()

    async def register(self, name: str) -> Person:
        """Make somebody who is logged in, also after a restart."""
        person = await Person.register(self._url, name)
        self._people.append(person)
        return person

    async def restart(self) -> None:
        """End all services, whatever they are doing, and begin them anew on the same data."""
        before = self._url
        await self._open.aclose()
        await self._begin()
        # What it says of its sockets is the same, and takes a second to be put together.
        people._protocols[self._url] = people._protocols[before]
        for person in self._people:
            person.base_url = self._url
            person.http.base_url = self._url

    async def _begin(self) -> None:
        composition = CombinedApp(
            database_url=self._database_url,
            secret_key="a secret of the model's, long enough to be taken",
            data_dir=self._data_dir,
        )
        served = await self._open.enter_async_context(
            serving(
                composition.app,
                draining=composition.draining,
                drain_seconds=1,
                websockets=SOCKETS,
            )
        )
        self._url = served.http


@dataclass
class Device:
    """A device of somebody's, on a line or off it."""

    person: Person
    client_id: str
    socket: Socket | None = None
    _line: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def connect(self) -> Socket:
        """Have a socket, a new one where the last is gone."""
        if self.socket is None:
            connecting = self.person.connected(self.client_id)
            self.socket = await self._line.enter_async_context(connecting)
        return self.socket

    async def drop(self, after_turns: int = 0) -> None:
        """Have the line break, with whatever is on it, after so many turns of the loop."""
        for _ in range(after_turns):
            await asyncio.sleep(0)
        socket, self.socket = self.socket, None
        if socket is not None:
            socket.connection.transport.abort()
            await self._line.aclose()


@dataclass
class Sending(Device):
    """A device that sends."""

    acknowledged: set[int] = field(default_factory=set)
    """What was acknowledged on this line."""

    def heed(self) -> set[int]:
        """Look at all acknowledgements on this line, and return what they are of."""
        for frame in self.socket.frames if self.socket is not None else ():
            if frame["type"] == "chunk_ack":
                self.acknowledged.update(range(frame["next"]), frame.get("indexes", ()))
        return self.acknowledged

    async def drop(self, after_turns: int = 0) -> None:
        await super().drop(after_turns)
        self.acknowledged = set()


@dataclass
class Receiving(Device):
    """A device that receives: what it was given on this line, and what it keeps."""

    held: set[int] = field(default_factory=set)
    told: set[int] = field(default_factory=set)
    """What it has told on this line that it holds: at the beginning, and by acknowledging."""
    given: set[int] = field(default_factory=set)
    """What came on this line and is not acknowledged."""
    window: int = 0
    """In chunks."""

    def take(self, transfer_id: str) -> set[int]:
        """Look at all that has come, and return which chunks that were."""
        came: set[int] = set()
        while self.socket is not None and not self.socket.chunks.empty():
            chunk = self.socket.chunks.get_nowait()
            assert (chunk.transfer_id, chunk.file) == (transfer_id, 0)
            assert chunk.payload == piece(chunk.index), "what comes is what was sent"
            assert chunk.sha256 == hashlib.sha256(chunk.payload).digest()
            assert chunk.index not in self.told | self.given, "nothing comes twice on one line"
            self.given.add(chunk.index)
            came.add(chunk.index)
        assert len(self.given) <= self.window, "never more than a window is on its way"
        return came

    async def acknowledge(self, transfer_id: str, chosen: set[int]) -> None:
        """Keep some of what came, and say so."""
        self.held |= chosen
        self.told |= chosen
        self.given -= chosen
        first_missing = min(ALL - self.told, default=COUNT)
        beyond = sorted(index for index in self.told if index > first_missing)
        ack = {"type": "chunk_ack", "transfer_id": transfer_id, "file": 0, "next": first_missing}
        if self.socket is not None:
            await self.socket.send({**ack, "indexes": beyond})
