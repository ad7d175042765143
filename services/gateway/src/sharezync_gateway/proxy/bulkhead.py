"""The bulkhead of one service: how many requests are under way to it at a time, and whose.

Who finds no place waits for a moment, among few; overload is answered at once, and one caller's is
their own. Source: Nygard, Release It!, 2nd edition, chapter 5.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

from sharezync_gateway.proxy.quota import Quota
from sharezync_shared.problems import Unavailable

_QUEUE: Final = 4
"""Times its places may wait; more of them would get 503 anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkheadLimits:
    """How many requests may be under way."""

    total: int
    per_caller: int
    wait_seconds: float
    """How long a request waits for a place."""


class Bulkhead:
    """Gives out places. Callers are users, or addresses where nobody knows the user yet."""

    def __init__(self, places: BulkheadLimits) -> None:
        self._places = places
        self._under_way = Quota(places.total, places.per_caller)
        self._queued = Quota(_QUEUE * places.total, _QUEUE * places.per_caller)
        self._waiting: deque[tuple[str, asyncio.Future[None]]] = deque()

    @property
    def under_way(self) -> int:
        """How many places are taken."""
        return self._under_way.taken

    async def enter(self, caller: str) -> None:
        """Take a place, which `leave` gives back.

        Raises Unavailable, after a wait or, where too many wait already, at once.
        """
        if not self._waiting and self._under_way.reserve(caller):
            return
        if not self._queued.reserve(caller):
            raise self._refusal(caller)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (caller, turn)
        self._waiting.append(entry)
        self._call()  # those before may be waiting for places of their own
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
            if not turn.done() or turn.cancelled():
                self._waiting.remove(entry)

    def leave(self, caller: str) -> None:
        """Give a place back."""
        self._under_way.give_back(caller)
        if self._waiting:
            self._call()

    def _call(self) -> None:
        """Give free places to those who wait, in the order in which they came."""
        passed: list[tuple[str, asyncio.Future[None]]] = []
        while self._waiting and self._under_way.taken < self._places.total:
            entry = caller, turn = self._waiting.popleft()
            if turn.cancelled() or not self._under_way.reserve(caller):
                passed.append(entry)
            else:
                turn.set_result(None)
        self._waiting.extendleft(reversed(passed))

    def _refusal(self, caller: str) -> Unavailable:
        # Not 429, though it may be the caller's own doing: to clients of tus a 4xx is the end.
        if self._under_way.used_by(caller) >= self._places.per_caller:
            most = self._places.per_caller
            return Unavailable(f"At most {most} concurrent requests are allowed for each user")
        return Unavailable("The server is overloaded")
