"""Work that is done in batches, which grow by themselves under load."""

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
from contextlib import suppress
from contextvars import Context
from itertools import count, islice
from typing import Generic, TypeVar

import structlog

from sharezync_shared.background import end

log = structlog.get_logger()

Item = TypeVar("Item")


class BatchQueue(Generic[Item]):
    """Collects what `put` brings into calls of `send`.

    A call has at most `max_batch` items, which together weigh at most `max_batch_weight`; an item
    that weighs more goes alone. What arrives while all `parallel` calls are busy becomes the next
    batch; so does what arrives within `gather_seconds` of the first item. With `parallel` 1 the
    order is kept. Of several items with the same `key` that wait, the latest goes.

    `capacity` bounds what all weigh that wait or are being sent. `send` owns its failures: an
    exception from it is logged and the batch is gone.
    """

    def __init__(
        self,
        send: Callable[[list[Item]], Awaitable[None]],
        *,
        name: str,
        capacity: float = math.inf,
        weigh: Callable[[Item], int] = lambda _: 1,
        key: Callable[[Item], Hashable] | None = None,
        max_batch: int = 500,
        max_batch_weight: float = math.inf,
        parallel: int = 1,
        gather_seconds: float = 0.0,
    ) -> None:
        self._send = send
        self._name = name
        self._capacity = capacity
        self._weigh = weigh
        self._key = key
        self._numbers = count()
        self._max_batch = max_batch
        self._max_batch_weight = max_batch_weight
        self._parallel = parallel
        self._gather_seconds = gather_seconds
        self._waiting: dict[Hashable, Item] = {}
        self._weight = 0
        self._running: set[asyncio.Task[None]] = set()
        self._starting = False
        """Whether a task is about to take what waits."""
        self._hurried = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False

    @classmethod
    def of_keys(
        cls,
        send: Callable[[list[Item]], Awaitable[None]],
        *,
        name: str,
        gather_seconds: float,
    ) -> "BatchQueue[Item]":
        """Return a queue of items that are their own keys: a call has all that wait, each once."""
        return cls(
            send,
            name=name,
            key=lambda item: item,
            max_batch=sys.maxsize,
            gather_seconds=gather_seconds,
        )

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, items: Sequence[Item]) -> bool:
        """Take all of `items`, or none and return False when the queue is full or closed."""
        weight = sum(map(self._weigh, items))
        if self._key is None:
            keyed: dict[Hashable, Item] = dict(zip(self._numbers, items, strict=False))
            replaced: Collection[Hashable] = ()
        else:
            keyed = {self._key(item): item for item in items}
            replaced = keyed.keys() & self._waiting.keys()
            weight = sum(map(self._weigh, keyed.values()))
            weight -= sum(self._weigh(self._waiting[key]) for key in replaced)
        if self._closed or (self._weight and self._weight + weight > self._capacity):
            return False
        for key in replaced:
            del self._waiting[key]  # the later one has its own place
        self._waiting |= keyed
        self._weight += weight
        self._start_if_due()
        return True

    async def drained(self) -> None:
        """Return when nothing waits and nothing runs; what is being gathered goes at once."""
        self._hurried.set()
        await self._idle.wait()
        self._hurried.clear()

    async def aclose(self, *, last_seconds: float = 0.0) -> None:
        """Take nothing more; send what waits for as long as that, then drop it and cancel what
        runs. Idempotent.
        """
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(last_seconds):
                await self.drained()
        self._waiting.clear()
        await end(self._running)

    def _start_if_due(self) -> None:
        if self._waiting and not self._starting and len(self._running) < self._parallel:
            self._idle.clear()
            self._starting = True
            # Not at once: whatever else this turn of the loop brings joins the batch.
            # In no request's context: a batch is of many, and would be taken for the first one's.
            task = asyncio.create_task(self._run(), name=self._name, context=Context())
            self._running.add(task)
            task.add_done_callback(self._ended)

    async def _run(self) -> None:
        if self._gather_seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._gather_seconds):
                    await self._hurried.wait()
        self._starting = False
        batch = self._next_batch()
        self._start_if_due()
        try:
            await self._send(batch)
        except Exception:
            log.exception("batch_queue_failed", queue=self._name)
        finally:
            self._weight -= sum(map(self._weigh, batch))

    def _next_batch(self) -> list[Item]:
        batch: dict[Hashable, Item] = {}
        weight = 0
        for key, item in islice(self._waiting.items(), self._max_batch):
            weight += self._weigh(item)
            if batch and weight > self._max_batch_weight:
                break
            batch[key] = item
        for key in batch:
            del self._waiting[key]
        return list(batch.values())

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._running.discard(task)
        self._start_if_due()
        if not self._waiting and not self._running:
            self._idle.set()
