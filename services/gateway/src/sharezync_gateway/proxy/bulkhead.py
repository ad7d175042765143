"""The bulkhead of one service: how many requests are under way to it at a time, and whose.

Who finds no place waits for a moment, among few; overload is answered at once, and one caller's is
their own. Among requests that last, one gives way to who waits (`fair_slots`).
Source: Nygard, Release It!, 2nd edition, chapter 5.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from sharezync_gateway.errors import ClientGone
from sharezync_shared.fair_slots import FairSlot, end_one
from sharezync_shared.problems import Unavailable
from sharezync_shared.server import PATIENCE_SECONDS

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


class WaitingClient(Protocol):
    """Whose request waits."""

    def has_left(self) -> bool:
        """Whether nobody is there any more who could send the rest of it.

        To be asked of who has waited for `PATIENCE_SECONDS`.
        """
        ...

    def on_left(self, call: Callable[[], None] | None) -> None:
        """Have `call` called when the client leaves; None takes that back."""
        ...


@dataclass(slots=True, eq=False)
class _Turn:
    """One request that waits for a place."""

    number: int
    caller: str
    client: WaitingClient | None
    since: float
    called: "asyncio.Future[bool]"
    """Whether there is a place; False where the client has left."""

    def is_over(self) -> bool:
        """Whether nobody waits any more; asks whether the client is there."""
        if not self.called.done() and self.client is not None:
            waited = asyncio.get_running_loop().time() - self.since
            if waited > PATIENCE_SECONDS and self.client.has_left():
                self.client_has_left()
        return self.called.done()

    def client_has_left(self) -> None:
        if not self.called.done():
            # No exception: its traceback would keep what came of the body until a collection.
            self.called.set_result(False)


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
        self._numbers = itertools.count()
        # Of each caller in turn: a place that is free looks at each caller once, not at each turn.
        self._waiting: dict[str, dict[int, _Turn]] = {}
        self._slots: set[FairSlot] = set()
        self._resting: dict[str, int] = {}
        """Places that nobody has, and that a caller may not have yet."""

    @property
    def under_way(self) -> int:
        """How many places are taken."""
        return self._under_way.taken

    async def enter(
        self, caller: str, slot: FairSlot | None = None, client: WaitingClient | None = None
    ) -> None:
        """Take a place, which `leave` gives back. With a `slot` it may have to give way.

        Raises Unavailable, after a wait or, where too many wait already, at once; and ClientGone
        where the `client` leaves while it waits.
        """
        if self._waiting or not self._reserve(caller):
            await self._wait(caller, client)
        if slot is not None:
            self._slots.add(slot)

    async def _wait(self, caller: str, client: WaitingClient | None) -> None:
        if not self._queued.reserve(caller):
            raise self._refusal(caller)
        called: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._drop_departed(caller)
        now = asyncio.get_running_loop().time()
        turn = _Turn(next(self._numbers), caller, client, now, called)
        self._waiting.setdefault(caller, {})[turn.number] = turn
        if client is not None:
            client.on_left(turn.client_has_left)
        self._call()  # those before may be waiting for places of their own
        if not called.done() and self._under_way.used_by(caller) < self._places.per_caller:
            end_one(self._slots, caller, now)
        try:
            async with asyncio.timeout(self._places.wait_seconds):
                if not await called:
                    raise ClientGone("The client left while its request waited")
        except TimeoutError:
            if _was_given(called):
                return  # called in the last moment
            raise self._refusal(caller) from None
        except asyncio.CancelledError:
            if _was_given(called):
                self.leave(caller)
            raise
        finally:
            if client is not None:
                client.on_left(None)
            self._queued.give_back(caller)
            self._forget(turn)

    def leave(self, caller: str, slot: FairSlot | None = None) -> None:
        """Give a place back, and the `slot` it was taken with."""
        self._under_way.give_back(caller)
        if slot is not None:
            self._slots.discard(slot)
        self._call()

    def rest(self, caller: str, seconds: float) -> None:
        """Let a caller have one place less for a while; others may have it."""
        self._resting[caller] = self._resting.get(caller, 0) + 1
        asyncio.get_running_loop().call_later(seconds, self._rested, caller)

    def _rested(self, caller: str) -> None:
        self._resting[caller] -= 1
        if not self._resting[caller]:
            del self._resting[caller]
        self._call()

    def _used_by(self, caller: str) -> int:
        return self._under_way.used_by(caller) + self._resting.get(caller, 0)

    def _reserve(self, caller: str) -> bool:
        return self._used_by(caller) < self._places.per_caller and self._under_way.reserve(caller)

    def _call(self) -> None:
        """Give free places to those who wait and are there."""
        while self._waiting and self._under_way.taken < self._places.total:
            turns = [next(iter(each.values())) for each in self._waiting.values()]
            may = [turn for turn in turns if self._used_by(turn.caller) < self._places.per_caller]
            if not may:
                return
            turn = min(may, key=self._order)
            self._forget(turn)
            if not turn.is_over() and self._reserve(turn.caller):
                turn.called.set_result(True)

    def _drop_departed(self, caller: str) -> None:
        """Let go of those that have left of a caller's, the oldest first, until one has not."""
        for turn in list(itertools.islice(self._waiting.get(caller, {}).values(), 4)):
            if not turn.is_over():
                return
            self._forget(turn)

    def _order(self, turn: _Turn) -> tuple[int, int]:
        return self._used_by(turn.caller) if self._fewest_first else 0, turn.number

    def _forget(self, turn: _Turn) -> None:
        """Take a turn out of those that wait. Safe to repeat."""
        turns = self._waiting.get(turn.caller, {})
        if turn.number in turns:
            del turns[turn.number]
            if not turns:
                del self._waiting[turn.caller]

    def _refusal(self, caller: str) -> Unavailable:
        # Not 429, though it may be the caller's own doing: to clients of tus a 4xx is the end.
        if self._under_way.used_by(caller) >= self._places.per_caller:
            most = self._places.per_caller
            return Unavailable(f"At most {most} concurrent requests are allowed for each user")
        return Unavailable("The server is overloaded")


def _was_given(called: "asyncio.Future[bool]") -> bool:
    return called.done() and not called.cancelled() and called.result()
