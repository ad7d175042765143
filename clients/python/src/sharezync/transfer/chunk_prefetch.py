"""Chunks read and hashed in threads, before their turn, and handed out in order."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from sharezync.transfer.chunks import HEADER_BYTES, Place

DEPTH: Final = 6
"""How many are in the making or wait for their turn: the memory this takes, in chunks."""
_THREADS: Final = 2

Prepare = Callable[[bytearray, Place], memoryview]
"""Fills a buffer with a chunk's frame and returns the frame; called in a thread."""


class ChunkPrefetch:
    """Prepares frames of chunks, a few before their turn, in buffers that are used again."""

    def __init__(self, prepare: Prepare, chunk_size_bytes: int) -> None:
        self._prepare = prepare
        # Made once: fresh memory for each chunk costs more than reading it.
        self._buffers = [bytearray(HEADER_BYTES + chunk_size_bytes) for _ in range(DEPTH)]
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="read-chunks")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def frames(self, places: Iterable[Place]) -> AsyncGenerator[tuple[Place, memoryview]]:
        """Yield the chunks in order; a frame is good until the next one is asked for.

        Raises what preparing raised. One at a time: the buffers are the same.
        """
        loop = asyncio.get_running_loop()
        todo: Iterator[Place] = iter(places)
        free = list(self._buffers)
        pending: deque[tuple[Place, bytearray, asyncio.Future[memoryview]]] = deque()

        def submit() -> None:
            while free and (place := next(todo, None)) is not None:
                buffer = free.pop()
                future = loop.run_in_executor(self._threads, self._prepare, buffer, place)
                pending.append((place, buffer, future))

        submit()
        try:
            while pending:
                place, buffer, future = pending.popleft()
                yield place, await future
                free.append(buffer)
                submit()
        finally:
            # The buffers are used again: nobody may be writing into them any more.
            await asyncio.gather(*(each[2] for each in pending), return_exceptions=True)
