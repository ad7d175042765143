import asyncio

import pytest

from sharezync_shared.background import SingleFlight


class Work:
    """A call that waits to be let go, and counts how often it was made."""

    def __init__(self) -> None:
        self.calls = 0
        self.started = asyncio.Event()
        self.let_go = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        self.calls += 1
        self.started.set()
        await self.let_go.wait()
        if self.failure:
            raise self.failure
        return self.calls


async def test_many_callers_share_one_call() -> None:
    flight, work = SingleFlight[int](), Work()
    callers = [asyncio.create_task(flight.join(work)) for _ in range(10)]
    await work.started.wait()
    assert flight.running
    work.let_go.set()
    assert await asyncio.gather(*callers) == [1] * 10
    assert not flight.running


async def test_a_later_caller_gets_a_call_of_its_own() -> None:
    flight, work = SingleFlight[int](), Work()
    work.let_go.set()
    assert [await flight.join(work), await flight.join(work)] == [1, 2]


async def test_a_failure_reaches_every_caller_and_is_not_kept() -> None:
    flight, work = SingleFlight[int](), Work()
    work.failure = ValueError("no")
    callers = [asyncio.create_task(flight.join(work)) for _ in range(3)]
    work.let_go.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValueError] * 3
    work.failure = None
    assert await flight.join(work) == 2


async def test_a_caller_that_leaves_does_not_disturb_the_others() -> None:
    flight, work = SingleFlight[int](), Work()
    first = asyncio.create_task(flight.join(work))
    await work.started.wait()
    second = asyncio.create_task(flight.join(work))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    work.let_go.set()
    assert await second == 1


async def test_closing_ends_the_call_and_can_be_repeated() -> None:
    flight, work = SingleFlight[int](), Work()
    await flight.aclose()
    task = flight.start(work)
    await work.started.wait()
    await flight.aclose()
    await flight.aclose()
    assert task.cancelled()
