import asyncio

import pytest

from sharezync_shared.events import uncancelled as module
from sharezync_shared.events.uncancelled import end, uncancelled
from sharezync_testkit.waiting import GIVE_UP_SECONDS


async def cancelled_within() -> None:
    raise asyncio.CancelledError


async def test_a_cancellation_from_within_becomes_an_error() -> None:
    with pytest.raises(ConnectionError):
        await uncancelled(cancelled_within())


async def test_a_cancellation_from_without_stays_one() -> None:
    task = asyncio.create_task(uncancelled(asyncio.Event().wait()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_results_and_other_errors_pass() -> None:
    async def answer() -> int:
        return 42

    async def fail() -> None:
        raise ValueError

    assert await uncancelled(answer()) == 42
    with pytest.raises(ValueError):
        await uncancelled(fail())


async def test_a_task_that_swallows_a_cancellation_is_ended_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_AGAIN_SECONDS", 0.05)
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
        raise ValueError("nobody's business")

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(GIVE_UP_SECONDS):
        await end([task])
    assert task.done()
    assert swallowed == 2


async def test_ending_nothing_is_no_error() -> None:
    await end([])
