"""How many connections of one user do the same thing at the same time."""

import asyncio
from typing import Final
from weakref import WeakValueDictionary

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
    a user may cause in a minute, and this how much of it stands in front of others at once.
    """

    __slots__ = ("_began", "_lock")

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._began = 0.0

    async def __aenter__(self) -> None:
        await self._lock.acquire()
        self._began = asyncio.get_running_loop().time()

    async def __aexit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        took_seconds = loop.time() - self._began
        loop.call_later(min(took_seconds, _LONGEST_REST_SECONDS), self._lock.release)
