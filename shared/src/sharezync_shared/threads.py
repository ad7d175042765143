"""Blocking calls, away from the event loop: reading, writing, syncing, hashing."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

# Most of them wait for a disk or hash without the interpreter's lock: more than cores is right.
_THREADS: Final = 8


class IoThreads:
    """A bounded number of threads, of their own: a slow disk must not hold up DNS lookups."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)

    def submit(self, call: Callable[..., T], *args: object) -> "asyncio.Future[T]":
        """Start `call` and return its future, which must not be cancelled: see `run`."""
        return asyncio.get_running_loop().run_in_executor(self._pool, call, *args)

    async def run(
        self, call: Callable[..., T], *args: object, undo: Callable[[T], object] | None = None
    ) -> T:
        """Return what `call` returns.

        Never leaves a call running behind its caller's back: one who is cancelled waits for the
        end of the call first (so that it may then close what the call was using) and `undo` is
        given the result that nobody takes any more.
        """
        future = self.submit(call, *args)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await settled(future)
            if undo is not None and future.exception() is None:
                undo(future.result())
            raise

    def close(self) -> None:
        """Wait for what is running, and end the threads."""
        self._pool.shutdown()


async def settled(future: "asyncio.Future[T]") -> None:
    """Wait until `future` is done, through any number of cancellations; its failure is dropped.

    For calls in threads, which can't be stopped and end soon, and for tasks of that kind.
    """
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    if not future.cancelled():
        future.exception()
