"""A lane: work done in the background, in batches that grow by themselves under load."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from sharezync_shared.events.uncancelled import end

log = structlog.get_logger()

Item = TypeVar("Item")


class BatchQueue(Generic[Item]):
    """Collects what `put` brings into calls of `send`.

    What arrives while all `parallel` calls are busy becomes the next batch; so does what arrives
    within `gather_seconds` of the first item while none is. With `parallel` 1 the order is kept.
    `send` owns its failures: an exception from it is logged and the batch is gone.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], Awaitable[None]],
        *,
        name: str,
        capacity: int,
        weigh: Callable[[Item], int] = lambda _: 1,
        max_batch: int = 500,
        parallel: int = 1,
        gather_seconds: float = 0.0,
    ) -> None:
        self._send = send
        self._name = name
        self._capacity = capacity
        self._weigh = weigh
        self._max_batch = max_batch
        self._parallel = parallel
        self._gather_seconds = gather_seconds
        self._waiting: list[Item] = []
        self._weight = 0
        self._running: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._pump_due = False

    def put(self, items: Sequence[Item]) -> bool:
        """Take all of `items`, or none and return False when the lane is full."""
        weight = sum(map(self._weigh, items))
        if self._weight and self._weight + weight > self._capacity:
            return False
        self._waiting += items
        self._weight += weight
        self._idle.clear()
        if not self._pump_due:
            self._pump_due = True
            loop = asyncio.get_running_loop()
            if self._gather_seconds:
                loop.call_later(self._gather_seconds, self._pump)
            else:
                # Not at once: whatever else this turn of the loop brings joins the batch.
                loop.call_soon(self._pump)
        return True

    async def drained(self) -> None:
        """Return when nothing waits and nothing runs; what is being gathered goes at once."""
        self._pump()
        await self._idle.wait()

    async def aclose(self) -> None:
        """Drop what waits and cancel what runs."""
        self._waiting.clear()
        await end(self._running)

    def _pump(self) -> None:
        self._pump_due = False
        while self._waiting and len(self._running) < self._parallel:
            batch = self._waiting[: self._max_batch]
            del self._waiting[: self._max_batch]
            task = asyncio.create_task(self._run(batch), name=self._name)
            self._running.add(task)
            task.add_done_callback(self._finished)
        if not self._waiting and not self._running:
            self._idle.set()

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._pump()

    async def _run(self, batch: list[Item]) -> None:
        try:
            await self._send(batch)
        except Exception:
            log.exception("batch_queue_failed", lane=self._name)
        finally:
            self._weight -= sum(map(self._weigh, batch))
