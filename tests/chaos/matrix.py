"""One case of the fault matrix: load, a fault, what was measured meanwhile, and the verdict."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import httpx

from tests.blackbox.people import Person
from tests.chaos.faults import Fault, Ground
from tests.chaos.load import (
    Caller,
    Files,
    TimedReader,
    TimedWriter,
    read_back,
    transfer_files,
    upload_files,
)
from tests.fleet.history import faults
from tests.fleet.talking import Scene, read_on, whole_history, write_by_rest, write_by_socket

WARM_SECONDS = 1.0
BROKEN_SECONDS = 5.0
"""How long a part stays ended, still or cut off, beside what ending and starting take."""
SEED = 4711
SETTLED_WITHIN_SECONDS = 90.0
PING_SECONDS = 5.0
_STEP_SECONDS = 0.05


@dataclass
class Row:
    """What a fault did. Times are in seconds; None where nothing came of it in time."""

    victim: str
    fault: Fault
    messages: int = 0
    meanwhile: int = 0
    """Messages acknowledged from the fault until its end."""
    files: int = 0
    transfers: int = 0
    silence: float = 0.0
    """The longest time in which no message was acknowledged to anybody."""
    file_silence: float = 0.0
    delivery: float = 0.0
    """The longest time from an acknowledgement to the last reader."""
    back: float | None = None
    """From the end of the fault until each writer, reader, upload and transfer had got on."""
    faults: list[str] = field(default_factory=list)


async def people_for(ground: Ground) -> list[Person]:
    """Register those that all cases need; their logins hold for the whole run."""
    ways = itertools.cycle(ground.gateways)
    return [await Person.register(next(ways), f"person{number}") for number in range(4)]


@dataclass
class Case:
    """The clients of one case, at work from `start` to `stop`."""

    people: Sequence[Person]
    scene: Scene
    readers: list[TimedReader]
    writers: list[TimedWriter]
    callers: list[Caller]
    files: Files = field(default_factory=Files)
    _reading: list[asyncio.Task[None]] = field(default_factory=list)
    _working: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    async def open(cls, ground: Ground, people: Sequence[Person], name: str) -> "Case":
        """Make a channel for these people; `name` tells what they say from that of other cases."""
        channel_id = await people[0].channel()
        await people[0].add(channel_id, *people[1:])
        chance = random.Random(SEED)
        scene = Scene(list(ground.gateways), channel_id, chance, ping_seconds=PING_SECONDS)
        epoch, head = (await people[0].get("/v1/sync"))["heads"][scene.stream]
        return cls(
            people,
            scene,
            [TimedReader(f"reader-{n}", head, epoch) for n in range(3)],
            [TimedWriter(f"{name}-{n}") for n in range(len(people))],
            [Caller.of(scene, person) for person in people],
        )

    def start(self) -> None:
        """Begin to read and to work."""
        ways = itertools.cycle([write_by_rest, write_by_socket])
        self._reading = [
            asyncio.create_task(read_on(self.scene, person, reader))
            for person, reader in zip(self.people, self.readers, strict=False)
        ]
        work = [
            next(ways)(self.scene, person, writer)
            for person, writer in zip(self.people, self.writers, strict=True)
        ]
        sender, recipient = self.callers[1:3]
        work.append(upload_files(self.callers[0], self.files))
        work.append(transfer_files(sender, recipient, self.people[2].id, self.files))
        self._working = [asyncio.create_task(each) for each in work]

    async def stop(self) -> None:
        """End all that is still at work."""
        self.scene.over.set()
        tasks = [*self._reading, *self._working]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for caller in self.callers:
            await caller.aclose()

    async def get_on(self, since: float) -> None:
        """Wait until each of them has got something done since then."""
        await self._wait(lambda: min(self._latest().values()) > since)

    async def settled(self) -> list[str]:
        """Let all that was begun be done, and return the promises that were broken."""
        self.scene.over.set()
        async with asyncio.timeout(SETTLED_WITHIN_SECONDS):
            await asyncio.gather(*self._working)
        someone = self.people[0]
        head = (await someone.get("/v1/sync"))["heads"][self.scene.stream][1]
        await self._wait(lambda: all(reader.seq >= head for reader in self.readers))
        await read_back(self.callers[0], self.files)
        history = await whole_history(someone, self.scene.channel_id)
        return faults(self.writers, self.readers, history, head)

    async def _wait(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + SETTLED_WITHIN_SECONDS
        while not what():
            for task in (*self._reading, *self._working):
                if task.done() and not self.scene.over.is_set():
                    await task  # it goes on until it is told to end, or fails
            assert time.monotonic() < deadline, (
                f"not within {SETTLED_WITHIN_SECONDS} s: {self._late()}"
            )
            await asyncio.sleep(_STEP_SECONDS)

    def _latest(self) -> dict[str, float]:
        """When each of them last got something done."""
        moments = {writer.name: writer.told_at.values() for writer in self.writers}
        moments |= {reader.name: reader.had_at.values() for reader in self.readers}
        done = {name: max(at, default=0.0) for name, at in moments.items()}
        done["files"] = max(self.files.kept_at, default=0.0)
        return done | {"transfers": max(self.files.transferred_at, default=0.0)}

    def _late(self) -> dict[str, float]:
        now = time.monotonic()
        return {name: round(now - at, 1) for name, at in self._latest().items() if now - at > 1}


async def try_fault(ground: Ground, people: Sequence[Person], victim: str, fault: Fault) -> Row:
    """Hurt one part under load, mend it, let all come to rest, and hold it against the history."""
    row = Row(victim, fault)
    case = await Case.open(ground, people, f"{victim}-{fault}")
    struck = mended = time.monotonic()
    hurt = False
    try:
        case.start()
        await case.get_on(struck)
        await asyncio.sleep(WARM_SECONDS)
        struck = time.monotonic()
        hurt = True
        await asyncio.to_thread(ground.strike, victim, fault)
        await asyncio.sleep(BROKEN_SECONDS)
        mended = time.monotonic()
        await asyncio.to_thread(ground.mend, victim, fault)
        hurt = False
        await case.get_on(mended)
        row.back = time.monotonic() - mended
        row.faults += await case.settled()
    except (TimeoutError, AssertionError, httpx.HTTPError) as failure:
        row.faults.append(f"{type(failure).__name__}: {failure}"[:300])
        if hurt:  # the next case must find all parts
            await asyncio.to_thread(ground.mend, victim, fault)
    finally:
        await case.stop()
    row.faults += case.files.faults
    _measure(row, case, (struck, mended))
    return row


def _measure(row: Row, case: Case, broken: tuple[float, float]) -> None:
    """Fill in what was measured."""
    told = {key: at for writer in case.writers for key, at in writer.told_at.items()}
    row.messages, row.files = len(told), len(case.files.kept)
    row.transfers = len(case.files.transferred_at)
    row.meanwhile = sum(broken[0] <= at <= broken[1] for at in told.values())
    row.silence = longest_gap(told.values())
    row.file_silence = longest_gap(case.files.kept_at)
    delays = (
        reader.had_at[key] - at
        for reader in case.readers
        for key, at in told.items()
        if key in reader.had_at
    )
    row.delivery = max(delays, default=0.0)


def longest_gap(moments: Iterable[float]) -> float:
    """Return the longest time between two neighbours of these moments."""
    pairs = itertools.pairwise(sorted(moments))
    return max((after - before for before, after in pairs), default=0.0)
