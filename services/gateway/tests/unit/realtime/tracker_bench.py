"""A tracker on the bench: its owner is played by the test, and time stands still."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sharezync_gateway.realtime.protocol import Cursor
from sharezync_gateway.realtime.service_calls import Replayed
from sharezync_gateway.realtime.tracker import Tracker
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.streams.frames import Control, Frame

S = "channel:s"


def frame(seq: int, *, epoch: str = "e", stream: str = S, join: str | None = None) -> Frame:
    return Frame(stream, epoch, seq, b"%d" % seq, Control(join=[join]) if join else None)


class Time:
    """A clock that stands still until the test moves it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []
        self._due: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, call: Callable[[], None]) -> "Timer":
        entry = (self.now + seconds, call)
        self._due.append(entry)
        return Timer(lambda: self._due.remove(entry) if entry in self._due else None)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        for entry in [entry for entry in self._due if entry[0] <= self.now]:
            self._due.remove(entry)
            entry[1]()

    @property
    def waiting(self) -> int:
        return len(self._due)


@dataclass
class Timer:
    cancel: Callable[[], None]


@dataclass
class Owner:
    """The service behind, and the hub before, in one."""

    log: list[Frame] = field(default_factory=list)
    epoch: str = "e"
    away: bool = False
    too_far: int = 500
    delivered: list[Frame] = field(default_factory=list)
    resets: list[Cursor] = field(default_factory=list)
    asked: list[Cursor] = field(default_factory=list)
    before_answer: asyncio.Event | None = None
    welcome: set[str] = field(default_factory=set)

    def deliver(self, frames: Sequence[Frame]) -> None:
        self.delivered += frames

    def wanted(self, frame: Frame) -> bool:
        return frame.control is not None and bool(self.welcome.intersection(frame.control.join))

    async def replay(self, stream: str, cursor: Cursor) -> Replayed:
        self.asked.append(cursor)
        if self.away:
            raise ServiceUnavailable("chat", "away")
        epoch, after = cursor
        head = len(self.log)
        reset = epoch != self.epoch or not 0 <= head - after <= self.too_far
        answer = Replayed(self.epoch, head, reset, [] if reset else self.log[after:])
        if self.before_answer is not None:
            await self.before_answer.wait()
        else:
            await asyncio.sleep(0)
        return answer

    async def reset(self, stream: str, position: Cursor) -> None:
        if self.away:
            raise ServiceUnavailable("chat", "away")
        self.resets.append(position)

    def say(self, count: int = 1) -> list[Frame]:
        new = [frame(len(self.log) + n + 1, epoch=self.epoch) for n in range(count)]
        self.log += new
        return new

    @property
    def seqs(self) -> list[int]:
        return [frame.seq for frame in self.delivered]


@dataclass
class Bench:
    owner: Owner
    time: Time
    tracker: Tracker

    async def settle(self) -> None:
        """Let what was begun come to its end."""
        for _ in range(50):
            await asyncio.sleep(0)


def make_bench() -> Bench:
    owner, time = Owner(), Time()
    tracker = Tracker(owner, call_later=time.call_later, sleep=time.sleep)
    return Bench(owner, time, tracker)
