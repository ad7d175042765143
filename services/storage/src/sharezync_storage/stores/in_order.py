"""Many calls at a time, their results in order."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
Call = Callable[[], Awaitable[T]]


async def in_order(calls: Iterable[Call[T]] | AsyncIterable[Call[T]], at_once: int) -> list[T]:
    """Make `calls` as they come, at most `at_once` at a time, and return all results in order.

    The next call is taken only when there is room for it. When one fails, or the caller is
    cancelled, the others are cancelled and have ended before that is raised.
    """
    tasks: list[asyncio.Task[T]] = []
    running: set[asyncio.Task[T]] = set()

    async def start(call: Call[T]) -> None:
        nonlocal running
        task = asyncio.create_task(_awaited(call))
        tasks.append(task)
        running.add(task)
        if len(running) >= at_once:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()

    try:
        if isinstance(calls, AsyncIterable):
            async for call in calls:
                await start(call)
        else:
            for call in calls:
                await start(call)
        return [await task for task in tasks]
    finally:
        await _end(tasks)


async def _awaited(call: Call[T]) -> T:
    return await call()


async def _end(tasks: list[asyncio.Task[T]]) -> None:
    left = [task for task in tasks if not task.done()]
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, or asyncio complains about those after the first
