"""Stand-ins for asyncio's `Queue` and `Event` that weigh next to nothing while nobody uses them.

asyncio's keep several deques ready, some three kilobytes for each socket; thousands of sockets
wait, and almost none of them is ever waited for by two.
"""

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """An unbounded queue with one reader at a time. A `get` that is cancelled takes nothing."""

    __slots__ = ("_items", "_reader")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, item: T) -> None:
        """Add an item behind the others."""
        self._items.append(item)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> T:
        """Take the first item, waiting for it if need be."""
        while not self._items:
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._items.pop(0)

    def empty(self) -> bool:
        """Whether `get` would wait."""
        return not self._items

    def qsize(self) -> int:
        """How many items wait."""
        return len(self._items)


class Gate:
    """Open (set) or closed (clear); whoever finds it closed may wait until it opens."""

    __slots__ = ("_open", "_waiting")

    def __init__(self) -> None:
        self._open = False
        self._waiting: list[asyncio.Future[None]] | None = None

    def is_set(self) -> bool:
        """Whether it is open."""
        return self._open

    def set(self) -> None:
        """Open it, and let everybody go on who waits."""
        self._open = True
        waiting, self._waiting = self._waiting, None
        for waiter in waiting or ():
            if not waiter.done():
                waiter.set_result(None)

    def clear(self) -> None:
        """Close it."""
        self._open = False

    async def wait(self) -> None:
        """Return once it was open, though it may be closed again by then."""
        if self._open:
            return
        waiter = asyncio.get_running_loop().create_future()
        if self._waiting is None:
            self._waiting = []
        self._waiting.append(waiter)
        await waiter
