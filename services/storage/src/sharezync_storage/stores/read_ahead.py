"""What comes from outside, gathered ahead of the one who writes it down."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import Final, TypeVar

from sharezync_shared.threads import settled
from sharezync_storage.stores.pieces import Piece

T = TypeVar("T")

PAUSE_SECONDS: Final = 0.5
"""Who has sent nothing for so long may not come back: what came is to be made durable."""


class ReadAhead:
    """Pieces in the order they came; a task of its own reads up to `ahead_bytes` of them ahead."""

    def __init__(self, pieces: AsyncIterable[bytes], ahead_bytes: int) -> None:
        self._pieces = pieces
        self._ahead_bytes = ahead_bytes
        self._buffered: list[Piece] = []
        self._buffered_bytes = 0
        self._wanted_bytes = 1
        self._enough = asyncio.Event()
        self._room = asyncio.Event()
        self._came_at = asyncio.get_running_loop().time()
        self._ended = False
        self.failure: BaseException | None = None
        """What `pieces` raised; everything before it can still be taken."""

    @property
    def over(self) -> bool:
        """Whether everything that will ever come has been taken."""
        return self._ended and not self._buffered

    async def fill(self) -> None:
        """Gather until the end, or until cancelled, which is an end like any other."""
        loop = asyncio.get_running_loop()
        try:
            async for piece in self._pieces:
                if piece:
                    self._buffered.append(piece)
                    self._buffered_bytes += len(piece)
                    self._came_at = loop.time()
                    if self._buffered_bytes >= self._wanted_bytes:
                        self._enough.set()
                while self._buffered_bytes >= self._ahead_bytes:
                    self._room.clear()
                    await self._room.wait()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised after the rest
            self.failure = error
        finally:
            self.end()

    def end(self) -> None:
        self._ended = True
        self._enough.set()

    async def read(self, count: int, *, hurry: bool, rested_at: float = 0.0) -> list[Piece]:
        """Return the next `count` bytes, which must not be more than are read ahead.

        Fewer at the end, and after a pause; perhaps none. A pause ends the waiting only where
        something has come, or the caller is in a `hurry`: holds something that is not yet durable.
        Before the loop's time `rested_at` nothing counts as a pause.
        """
        loop = asyncio.get_running_loop()
        while self._buffered_bytes < count and not self._ended:
            waits_long = not (hurry or self._buffered)
            self._wanted_bytes = 1 if waits_long else count
            self._enough.clear()
            due_at = None if waits_long else max(self._came_at + PAUSE_SECONDS, rested_at)
            if due_at is not None and loop.time() >= due_at:
                break
            try:
                async with asyncio.timeout_at(due_at):
                    await self._enough.wait()
            except TimeoutError:
                continue  # something may have come just now
        return self._cut(count)

    def _cut(self, count: int) -> list[Piece]:
        taken: list[Piece] = []
        size = 0
        for piece in self._buffered:
            if size + len(piece) > count:
                break
            taken.append(piece)
            size += len(piece)
        del self._buffered[: len(taken)]
        if self._buffered and size < count:
            first = memoryview(self._buffered[0])  # to cut bytes is to copy them
            taken.append(first[: count - size])
            self._buffered[0] = first[count - size :]
            size = count
        self._buffered_bytes -= size
        self._room.set()
        return taken


async def written(
    pieces: AsyncIterable[bytes], ahead_bytes: int, write: Callable[[ReadAhead], Awaitable[T]]
) -> T:
    """Return what `write` makes of `pieces`, gathered for it meanwhile.

    Where `pieces` fails or the caller is cancelled, it ends early for `write`, which writes down
    what came before; then that is raised. What `write` raises ends everything.
    """
    read_ahead = ReadAhead(pieces, ahead_bytes)
    filling = asyncio.create_task(read_ahead.fill(), name="read-ahead")
    writing = asyncio.ensure_future(write(read_ahead))
    try:
        result = await asyncio.shield(writing)
    finally:
        # In this order: the writer ends because nothing comes any more. It is never cancelled,
        # however often the caller is: it waits for nothing but the store, and for the record.
        filling.cancel()
        await settled(filling)
        read_ahead.end()  # cancelled before its first step, it never got so far
        await settled(writing)
    if read_ahead.failure is not None:
        raise read_ahead.failure
    return result
