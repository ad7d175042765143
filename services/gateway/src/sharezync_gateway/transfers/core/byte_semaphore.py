"""How many bytes may be in memory at a time, by node and by caller."""

import asyncio
from collections import deque
from collections.abc import Sequence


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
