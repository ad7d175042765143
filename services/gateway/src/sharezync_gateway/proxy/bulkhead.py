"""The bulkhead of one service: how many requests are under way to it at a time, and whose.

Who finds no place waits for a moment, among few; overload is answered at once, and one caller's is
their own. Among requests that last, one gives way to who waits (`fair_slots`).
Source: Nygard, Release It!, 2nd edition, chapter 5.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from sharezync_shared.fair_slots import FairSlot, end_one
from sharezync_shared.problems import Unavailable

_QUEUE: Final = 4
"""Times its places may wait; more of them would get 503 anyway."""


class Quota:
    """So much in all, and so much of it for each caller; nobody waits for it."""

    def __init__(self, total: int, per_caller: int) -> None:
        self._total = self._left = total
        self._per_caller = per_caller
        self._taken: dict[str, int] = {}

    @property
    def taken(self) -> int:
        """What all callers together have now."""
        return self._total - self._left

    def used_by(self, caller: str) -> int:
        """Return what a caller has now."""
        return self._taken.get(caller, 0)

    def reserve(self, caller: str, amount: int = 1) -> bool:
        """Take `amount`, which `give` gives back; False where it is too much, and none is taken."""
        taken = self._taken.get(caller, 0) + amount
        if amount > self._left or taken > self._per_caller:
            return False
        self._left -= amount
        self._taken[caller] = taken
        return True

    def give_back(self, caller: str, amount: int = 1) -> None:
        """Give back what was taken."""
        if not amount:
            return  # several may have taken nothing
        self._left += amount
        left = self._taken[caller] - amount
        if left:
            self._taken[caller] = left
        else:
            del self._taken[caller]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkheadLimits:
    """How many requests may be under way."""

    total: int
    per_caller: int
    wait_seconds: float
    """How long a request waits for a place."""


class Bulkhead:
    """Gives out places. Callers are users, or addresses where nobody knows the user yet."""

    def __init__(
        self, places: BulkheadLimits, *, queue: int = _QUEUE, fewest_first: bool = False
    ) -> None:
        """Up to `queue` times the places may wait: in turn, or who has `fewest_first`."""
        self._places = places
        self._under_way = Quota(places.total, places.per_caller)
        self._queued = Quota(queue * places.total, queue * places.per_caller)
        self._fewest_first = fewest_first
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()
        self._slots: set[FairSlot] = set()

    @property
    def under_way(self) -> int:
        """How many places are taken."""
        return self._under_way.taken

    async def enter(self, caller: str, slot: FairSlot | None = None) -> None:
        """Take a place, which `leave` gives back. With a `slot` it may have to give way.

        Raises Unavailable, after a wait or, where too many wait already, at once.
        """
        if self._waiting or not self._under_way.reserve(caller):
            await self._wait(caller)
        if slot is not None:
            self._slots.add(slot)

    async def _wait(self, caller: str) -> None:
        if not self._queued.reserve(caller):
            raise self._refusal(caller)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (caller, turn)
        self._waiting.append(entry)
        self._call()  # those before may be waiting for places of their own
        if not turn.done() and self._under_way.used_by(caller) < self._places.per_caller:
            end_one(self._slots, caller, asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(self._places.wait_seconds):
                await turn
        except TimeoutError:
            if turn.done() and not turn.cancelled():
                return  # called in the last moment
            raise self._refusal(caller) from None
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(caller)
            raise
        finally:
            self._queued.give_back(caller)
            self._waiting.remove(entry)

    def leave(self, caller: str, slot: FairSlot | None = None) -> None:
        """Give a place back, and the `slot` it was taken with."""
        self._under_way.give_back(caller)
        if slot is not None:
            self._slots.discard(slot)
        if self._waiting:
            self._call()

    def _call(self) -> None:
        """Give free places to those who wait."""
        waiting = list(self._waiting)
        if self._fewest_first:
            waiting.sort(key=lambda entry: self._under_way.used_by(entry[0]))
        for caller, turn in waiting:
            if self._under_way.taken >= self._places.total:
                break
            if not turn.done() and self._under_way.reserve(caller):
                turn.set_result(None)

    def _refusal(self, caller: str) -> Unavailable:
        # Not 429, though it may be the caller's own doing: to clients of tus a 4xx is the end.
        if self._under_way.used_by(caller) >= self._places.per_caller:
            most = self._places.per_caller
            return Unavailable(f"At most {most} concurrent requests are allowed for each user")
        return Unavailable("The server is overloaded")
