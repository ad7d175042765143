"""What comes about one transfer, in order, for the one who sends or receives it."""

import asyncio
from collections import deque

from sharezync.problems import SharezyncError
from sharezync.realtime.frames import Connected, Json, Lost

Item = Json | bytes | Connected | Lost
"""A frame; the binary frame of a chunk; or that the socket was lost, or is there again."""


class FrameQueue:
    """A queue without a bound of its own: what may come is bounded by the credit given."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._arrived = asyncio.Event()
        self._failure: SharezyncError | None = None

    def put(self, item: Item) -> None:
        """Add an item."""
        self._items.append(item)
        self._arrived.set()

    def fail(self, error: SharezyncError) -> None:
        """Nothing will come any more, after what is there."""
        self._failure = error
        self._arrived.set()

    def pop(self) -> Item | None:
        """Return the next item; None while there is none. Raises what ended the socket."""
        if self._items:
            return self._items.popleft()
        if self._failure is not None:
            raise self._failure
        self._arrived.clear()
        return None

    async def wait(self) -> None:
        """Wait until `take` has something, or raises."""
        await self._arrived.wait()

    async def next(self) -> Item:
        """Return the next item, waiting for it. Raises what ended the socket."""
        while (item := self.pop()) is None:
            await self.wait()
        return item
