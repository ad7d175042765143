"""How much a socket may ask for, and all of a user's together.

Token buckets with bounded refusals bound commands; turns bound how many connections of one user do
the same costly thing at the same time.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Final
from weakref import WeakValueDictionary

_REFUSED_SHARE: Final = 2.0
"""Commands that may be refused for each that goes through, on average: an error is cheap."""
_REFUSED_BURSTS: Final = 5.0
"""Bursts that may be refused at once: of a client that sends all it has and looks afterwards."""
COSTLY_BYTES: Final = 4096
"""A longer text is read in the turn of its user: many sockets may send theirs in one moment."""
_LONGEST_TURN_SECONDS: Final = 0.25
"""Many times what a service needs that is well: one that hangs would keep a user's turn for as long
as it is waited for, by one of their sockets after the other."""
_LONGEST_REST_SECONDS: Final = 0.05
BULK_FRAMES: Final = 10.0
"""Chunks and acknowledgements for each command: a thousand files of a kilobyte take 500 chunks a
second, and as many acknowledgements."""
REPLAYED_BYTES_PER_SECOND: Final = 4.0 * 1024 * 1024
"""Of all streams that one user's sockets catch up on. A cursor of 60 bytes asks for up to 4 MiB."""
REPLAYED_BURST_BYTES: Final = 32.0 * 1024 * 1024
"""As much at once."""


class BudgetVerdict(Enum):
    GO = "go"
    WAIT = "wait"
    FLOOD = "flood"


class Budget:
    """Lets `per_second` through on average and `burst` at once.

    Refusals have a bucket of their own: a client that heeds them is never in danger, one that
    doesn't is flooding after five bursts, or at more than three times the rate.
    """

    __slots__ = ("_at", "_burst", "_left", "_per_second", "_refusals")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = burst
        self._refusals = burst * _REFUSED_BURSTS
        self._at = now

    def spend(self, now: float) -> BudgetVerdict:
        """Ask for one command at `now`, in seconds of any steady clock."""
        self._refill(now)
        if self._left >= 1:
            self._left -= 1
            return BudgetVerdict.GO
        self._refusals -= 1
        return BudgetVerdict.WAIT if self._refusals >= 0 else BudgetVerdict.FLOOD

    def charge(self, commands: float) -> None:
        """Count as so many more commands one that went through and makes that much more work."""
        self._left -= commands

    def is_full(self, now: float) -> bool:
        """Return whether time has restored all that was spent."""
        self._refill(now)
        return self._left >= self._burst

    def debt_seconds(self, now: float) -> float:
        """Return how long until all is paid for that was charged, or 0."""
        self._refill(now)
        return max(0.0, -self._left) / self._per_second

    @property
    def wait_seconds(self) -> float:
        """How long until the next command goes through."""
        return max(0.0, 1 - self._left) / self._per_second

    def _refill(self, now: float) -> None:
        restored, self._at = (now - self._at) * self._per_second, now
        self._left = min(self._burst, self._left + restored)
        most = self._burst * _REFUSED_BURSTS
        self._refusals = min(most, self._refusals + restored * _REFUSED_SHARE)


class UserTurns:
    """A semaphore for each user who has use for one."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._semaphores: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def for_user(self, user_id: str) -> asyncio.Semaphore:
        """Return that of a user, which is kept as long as somebody is in it or waits for it."""
        semaphore = self._semaphores.get(user_id)
        if semaphore is None:
            semaphore = self._semaphores[user_id] = asyncio.Semaphore(self._at_once)
        return semaphore


class CostlyTurn:
    """Lets one costly frame of a user be acted on at a time, whichever of their sockets it came by.

    After each the next one waits for as long as that took, 50 ms at most: budgets bound how much
    a user may cause in a minute, and this how much of it stands in front of others at once. What
    waits for a service that hangs costs nothing meanwhile, and gives up its turn.
    """

    __slots__ = ("_holder", "_lock")

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder: object | None = None

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[None]:
        """Wait for the turn, and have it in the block, or for the first quarter of a second."""
        await self._lock.acquire()
        holder = self._holder = object()
        loop = asyncio.get_running_loop()
        began = loop.time()
        longest = loop.call_later(_LONGEST_TURN_SECONDS, self._give_up, holder)
        try:
            yield
        finally:
            longest.cancel()
            rest_seconds = min(loop.time() - began, _LONGEST_REST_SECONDS)
            loop.call_later(rest_seconds, self._give_up, holder)

    def _give_up(self, holder: object) -> None:
        if self._holder is holder:
            self._holder = None
            self._lock.release()


class UserBudget(Budget):
    """What all sockets of one user may send together, beside what each may.

    `bulk` is for frames that are read later and never refused: they take nothing from commands.
    `replayed` is counted in bytes, of what is sent to those who catch up. `costly` is the turn that
    costly frames take.
    """

    __slots__ = ("bulk", "costly", "replayed")

    def __init__(self, per_second: float, burst: float, now: float) -> None:
        super().__init__(per_second, burst, now)
        self.bulk = Budget(per_second * BULK_FRAMES, burst * BULK_FRAMES, now)
        self.replayed = Budget(REPLAYED_BYTES_PER_SECOND, REPLAYED_BURST_BYTES, now)
        self.costly = CostlyTurn()

    def is_full(self, now: float) -> bool:
        return super().is_full(now) and self.bulk.is_full(now) and self.replayed.is_full(now)


class UserBudgets:
    """The budgets of the users who have sockets on this node, or had some a moment ago."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._budgets: dict[str, UserBudget] = {}

    def for_user(self, user_id: str, now: float) -> UserBudget:
        budget = self._budgets.get(user_id)
        if budget is None:
            budget = self._budgets[user_id] = UserBudget(self._per_second, self._burst, now)
        return budget

    def sweep(self, now: float, is_here: Callable[[str], bool]) -> None:
        """Forget users who have no socket here (`is_here`) and nothing to make up for."""
        for user_id in [u for u, b in self._budgets.items() if b.is_full(now) and not is_here(u)]:
            del self._budgets[user_id]
