"""Group commit: many small writes, one transaction, no timer.

The first write is flushed at once; whatever arrives during a flush is the next batch. Alone a
write is as quick as it can be; under load the batches grow by themselves (measured: 4 to 20 times
the throughput of a transaction each, at lower latency).
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import asyncpg

from sharezync_shared.batch_queue import BatchQueue
from sharezync_shared.db.outages import was_rolled_back

Item = TypeVar("Item")
Result = TypeVar("Result")

_Waiting = tuple[Item, asyncio.Future[Result]]

Flush = Callable[[Sequence[Item]], Awaitable[Sequence[Result | BaseException]]]


def blames_a_row(error: Exception) -> bool:
    """Whether PostgreSQL refused a value or a constraint (SQLSTATE classes 22 and 23).

    Anything else (a lost connection, a timeout) would meet each item alone just the same, only
    many times slower.
    """
    return isinstance(error, asyncpg.PostgresError) and str(error.sqlstate)[:2] in {"22", "23"}


class GroupCommit(Generic[Item, Result]):
    """Collects calls of `submit` into calls of `flush`, one at a time.

    `flush` writes all items in one transaction and returns one result for each, in order; an
    exception in a result's place refuses that item alone. When `flush` itself raises, nothing was
    written: one that lost against another transaction (a deadlock) is done once more; if
    `is_about_an_item` holds of the error, each item is flushed alone, so that one bad row costs
    only itself; else all callers get the error.

    A batch has at most `max_batch` items, which weigh at most `max_weight` together by `weigh`; an
    item that weighs more goes alone.
    """

    def __init__(
        self,
        flush: Flush[Item, Result],
        *,
        max_batch: int = 500,
        weigh: Callable[[Item], int] = lambda _: 0,
        max_weight: float = math.inf,
        is_about_an_item: Callable[[Exception], bool] = blames_a_row,
    ) -> None:
        self._flush = flush
        self._is_about_an_item = is_about_an_item
        self._queue: BatchQueue[_Waiting[Item, Result]] = BatchQueue(
            self._write,
            name="group-commit",
            weigh=lambda waiting: weigh(waiting[0]),
            max_batch=max_batch,
            max_batch_weight=max_weight,
        )

    async def submit(self, item: Item) -> Result:
        """Return the item's result once its transaction is committed, or raise its refusal.

        A cancelled caller does not stop the write: whether it happened is then unknown, as with a
        lost answer; callers that retry need an idempotency key.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.put([(item, future)])
        return await future

    async def drain(self) -> None:
        """Wait until everything that was submitted is written or refused."""
        await self._queue.drained()

    async def _write(self, batch: list[_Waiting[Item, Result]]) -> None:
        try:
            results = await self._flush_or_repeat([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - the refusal belongs to whoever submitted
            if len(batch) > 1 and self._is_about_an_item(error):
                for pair in batch:
                    await self._write([pair])
                return
            for _, future in batch:
                _settle(future, error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            _settle(future, result)

    async def _flush_or_repeat(self, items: Sequence[Item]) -> Sequence[Result | BaseException]:
        try:
            return await self._flush(items)
        except Exception as error:
            if not was_rolled_back(error):
                raise
        return await self._flush(items)


def _settle(future: "asyncio.Future[Result]", result: Result | BaseException) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(result)
