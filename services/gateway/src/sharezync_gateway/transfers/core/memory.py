"""Memory for chunks: how many bytes may be in it, and those that receivers are about to get."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from typing import Final
from uuid import UUID

CAPACITY_BYTES: Final = 32 * 1024 * 1024
"""On the whole node: enough for a receiver to be a window behind its sender, for several pairs."""

Key = tuple[UUID, int]
"""An upload and the index of a chunk."""


class ChunkCache:
    """The latest frames by upload and index, the least recently used given up first.

    A frame is kept for as many as are about to take it, and no longer: those who come later, or
    who stall, find the chunk at storage.
    """

    def __init__(self, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._frames: OrderedDict[Key, tuple[bytes, int]] = OrderedDict()
        self.size_bytes = 0

    def put(self, key: Key, frame: bytes, takers: int = 1) -> None:
        """Keep a chunk's binary frame for so many; for nobody it isn't kept."""
        self.discard(key)
        if takers < 1:
            return
        self._frames[key] = (frame, takers)
        self.size_bytes += len(frame)
        while self.size_bytes > self._capacity_bytes:
            _, (dropped, _) = self._frames.popitem(last=False)
            self.size_bytes -= len(dropped)

    def pop(self, key: Key) -> bytes | None:
        """Return a frame that is still here; the last who was to take it has it alone."""
        found = self._frames.get(key)
        if found is None:
            return None
        frame, takers = found
        if takers <= 1:
            self.discard(key)
        else:
            self._frames[key] = (frame, takers - 1)
            self._frames.move_to_end(key)
        return frame

    def discard(self, key: Key) -> None:
        """Give a chunk up; nobody needs it any more."""
        found = self._frames.pop(key, None)
        if found is not None:
            self.size_bytes -= len(found[0])


class ByteSemaphore:
    """Lets bytes in up to `capacity_bytes`, in the order of asking; one piece always may."""

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.inside_bytes = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, size_bytes: int) -> None:
        """Wait until there is room, and take it. Whoever entered must `leave`."""
        if not self._waiting and self._fits(size_bytes):
            self.inside_bytes += size_bytes
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # let in at the very moment of giving up
                self.leave(size_bytes)
            else:
                self._let_in()
            raise

    def leave(self, size_bytes: int) -> None:
        """Give room back."""
        self.inside_bytes -= size_bytes
        self._let_in()

    @staticmethod
    async def enter_all(semaphores: "Sequence[ByteSemaphore]", size_bytes: int) -> None:
        """Wait until there is room in all of them, one after the other; or take none."""
        entered: list[ByteSemaphore] = []
        try:
            for semaphore in semaphores:
                await semaphore.enter(size_bytes)
                entered.append(semaphore)
        except BaseException:
            for semaphore in entered:
                semaphore.leave(size_bytes)
            raise

    def _fits(self, size_bytes: int) -> bool:
        return not self.inside_bytes or self.inside_bytes + size_bytes <= self.capacity_bytes

    def _let_in(self) -> None:
        while self._waiting:
            size_bytes, turn = self._waiting[0]
            if not turn.cancelled():
                if not self._fits(size_bytes):
                    return
                self.inside_bytes += size_bytes
                turn.set_result(None)
            self._waiting.popleft()
