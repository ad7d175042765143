"""How many connections of one user do the same thing at the same time."""

import asyncio
from weakref import WeakValueDictionary


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
