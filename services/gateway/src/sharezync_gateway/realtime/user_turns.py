"""How many connections of one user do the same thing at the same time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

COSTLY_BYTES: Final = 4096
"""A longer text is read in the turn of its user: many sockets may send theirs in one moment."""
_LONGEST_TURN_SECONDS: Final = 0.25
"""Many times what a service needs that is well: one that hangs would keep a user's turn for as long
as it is waited for, by one of their sockets after the other."""
_LONGEST_REST_SECONDS: Final = 0.05


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
