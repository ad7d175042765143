"""A transfer between two command lines, each a process, of which one or a service is killed."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from sharezync_testkit.command_line import Cli, Running
from tests.blackbox.people import PASSWORD, Json, Person
from tests.fleet.counting_line import CountingLine, Flow

MIB = 1024 * 1024
FILM = "film.mkv"


@dataclass(frozen=True)
class Moment:
    """When to kill: decided by what goes over the sender's or the receiver's line."""

    name: str
    is_due: Callable[[Flow, int], bool]
    """Of what has gone over, and the size of the file."""


def _share(name: str, share: float) -> Moment:
    """When so much of the file has gone over, or a whole chunk at least."""
    return Moment(name, lambda flow, size: flow.chunk_bytes >= max(MIB, share * size))


def _said(kind: str) -> Moment:
    """When a frame of this kind has gone over."""
    return Moment(kind, lambda flow, _: any(text["type"] == kind for text in flow.texts))


EARLY, MIDDLE, ALL_SENT = _share("early", 0), _share("middle", 0.5), _share("all-sent", 1)
COMPLETING, COMPLETED = _said("transfer_complete"), _said("transfer_completed")
CONFIRMED = Moment("confirmed", lambda flow, _: any(map(_confirms, flow.texts)))
"""When the sender is told that everything is stored and verified."""


def _confirms(text: Json) -> bool:
    files = text["data"].get("files", ()) if text["type"] == "reply" else ()
    return bool(files) and all(file["root"] for file in files)


@dataclass
class End:
    """One end: a command that is run, killed, and run again."""

    cli: Cli
    line: CountingLine
    command: tuple[str, ...]
    runs: list[Running] = field(default_factory=list)

    @property
    def now(self) -> Running:
        return self.runs[-1]

    async def start(self) -> None:
        self.runs.append(await self.cli.start(*self.command))

    def kill(self) -> None:
        self.now.kill()

    async def again(self) -> None:
        """Run the same command once more after it was killed."""
        await self.now.end()
        await self.start()


@dataclass
class Scene:
    """A sender and a receiver, each on a line of their own."""

    ada: Person
    bob: Person
    sender: End
    receiver: End
    film: Path

    @classmethod
    async def open(
        cls, folder: Path, people: tuple[Person, Person], lines: tuple[CountingLine, CountingLine]
    ) -> "Scene":
        """Log both in, and have the receiver wait for what the sender sends."""
        ada, bob = people
        film = folder / FILM
        clis = [
            Cli(folder / person.username, line.url, person.username, PASSWORD)
            for person, line in zip(people, lines, strict=True)
        ]
        for cli in clis:
            cli.home.mkdir()
        await asyncio.gather(*(cli.login() for cli in clis))
        send = ("send", str(film), "--to", bob.username, "--json")
        receive = (
            "receive", "--accept-from", ada.username, "--into", "in", "--no-new-folder", "--json"
        )  # fmt: skip
        return cls(
            ada,
            bob,
            End(clis[0], lines[0], send),
            End(clis[1], lines[1], receive),
            film,
        )

    @property
    def landed(self) -> Path:
        return self.receiver.cli.home / "in"

    @property
    def sends(self) -> Path:
        """Where the sender keeps the records of what it sends."""
        return self.sender.cli.home / "state" / "sharezync" / "sends"

    async def run(
        self,
        size: int,
        *,
        moment: Moment,
        watched: Flow,
        strike: Callable[[], object],
        revive: Callable[[], Awaitable[object]],
    ) -> None:
        """Send a file of that size, strike at the moment, revive, and see both ends through."""
        self.film.write_bytes(os.urandom(size))
        struck = asyncio.Event()

        def act() -> None:
            strike()
            struck.set()

        watched.when(lambda flow: moment.is_due(flow, size), act)
        await self.receiver.start()
        await self.receiver.now.record(lambda record: record["type"] == "waiting")
        await self.sender.start()
        try:
            await self._until(struck)
            await revive()
            assert await self.sender.now.end() == 0, self.sender.now.lines[-5:]
            await self.receiver.now.record(lambda record: record["type"] == "received")
        finally:
            for end in (self.sender, self.receiver):
                if end.now.process.returncode is None:
                    end.now.interrupt()
                await end.now.end()

    async def _until(self, struck: asyncio.Event) -> None:
        """Wait for the moment; fails where an end gives up before it."""
        async with asyncio.timeout(60):
            while not struck.is_set():
                for end in (self.sender, self.receiver):
                    assert end.now.process.returncode is None, end.now.lines[-5:]
                await asyncio.sleep(0.01)

    async def transfers(self) -> list[list[Json]]:
        """Return what each of the two has sent or received, by REST."""
        return [(await each.get("/v1/transfers"))["items"] for each in (self.ada, self.bob)]
