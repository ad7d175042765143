import asyncio
from collections.abc import Sequence

import pytest

from sharezync_shared.db.group_commit import GroupCommit


class Ledger:
    """Where batches are written; `poison` makes the whole batch fail, as a constraint does."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()

    async def flush(self, items: Sequence[int]) -> list[int | BaseException]:
        await self.go.wait()
        if any(item < 0 for item in items):
            raise ValueError(items)
        self.batches.append(list(items))
        return [KeyError(item) if item == 13 else item * 10 for item in items]


async def test_the_first_is_flushed_at_once_and_what_arrives_meanwhile_is_the_next_batch() -> None:
    ledger = Ledger()
    ledger.go.clear()
    group = GroupCommit(ledger.flush)
    first = asyncio.create_task(group.submit(1))
    await asyncio.sleep(0)  # submitted: the flush is scheduled
    await asyncio.sleep(0)  # the flush has taken it, and waits
    others = [asyncio.create_task(group.submit(n)) for n in (2, 3, 4)]
    await asyncio.sleep(0)
    ledger.go.set()

    assert await asyncio.gather(first, *others) == [10, 20, 30, 40]
    assert ledger.batches == [[1], [2, 3, 4]]


async def test_a_refused_item_costs_only_itself() -> None:
    group = GroupCommit(Ledger().flush)
    results = await asyncio.gather(*map(group.submit, (1, 13, 2)), return_exceptions=True)
    assert results[0] == 10
    assert isinstance(results[1], KeyError)
    assert results[2] == 20


async def test_items_of_a_failed_batch_are_flushed_alone() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.flush, is_about_an_item=lambda error: isinstance(error, ValueError))
    results = await asyncio.gather(*map(group.submit, (1, -1, 2)), return_exceptions=True)
    assert results[0] == 10
    assert isinstance(results[1], ValueError)
    assert results[2] == 20


async def test_a_failure_that_is_no_items_fault_is_everyones_and_is_not_repeated() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.flush, is_about_an_item=lambda _: False)
    results = await asyncio.gather(*map(group.submit, (1, -1, 2)), return_exceptions=True)
    assert [type(result) for result in results] == [ValueError] * 3
    assert ledger.batches == []


async def test_batches_are_bounded() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.flush, max_batch=10)
    await asyncio.gather(*map(group.submit, range(100, 135)))
    assert max(map(len, ledger.batches)) == 10


async def test_a_cancelled_caller_stops_neither_its_write_nor_the_others() -> None:
    ledger = Ledger()
    ledger.go.clear()
    group = GroupCommit(ledger.flush)
    leaving = asyncio.create_task(group.submit(1))
    staying = asyncio.create_task(group.submit(2))
    await asyncio.sleep(0)
    leaving.cancel()
    ledger.go.set()

    assert await staying == 20
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert sorted(item for batch in ledger.batches for item in batch) == [1, 2]


async def test_drain_waits_for_everything_submitted() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.flush)
    tasks = [asyncio.create_task(group.submit(n)) for n in range(100, 120)]
    await asyncio.sleep(0)
    await group.drain()
    assert sum(map(len, ledger.batches)) == 20
    await asyncio.gather(*tasks)


async def test_a_batch_weighs_no_more_than_it_may_and_what_weighs_more_goes_alone() -> None:
    ledger = Ledger()
    group = GroupCommit(ledger.flush, weigh=lambda item: item, max_weight=10)
    assert await asyncio.gather(*map(group.submit, (4, 6, 1, 99, 5, 5))) == [
        40, 60, 10, 990, 50, 50,
    ]  # fmt: skip
    assert ledger.batches == [[4, 6], [1], [99], [5, 5]]
