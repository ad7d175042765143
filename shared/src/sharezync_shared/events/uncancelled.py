"""Cancelling in the company of libraries that let cancellations slip, or swallow them."""

import asyncio
from collections.abc import Awaitable, Collection
from typing import Any, Final, TypeVar

Result = TypeVar("Result")

_AGAIN_SECONDS: Final = 5.0


async def uncancelled(work: Awaitable[Result]) -> Result:
    """Await `work`; raise ConnectionError where it was cancelled, but this task was not.

    Clients of lost connections do that (aiormq ends pending calls with CancelledError). Left
    alone it passes every `except Exception` and ends tasks that were meant to live on.
    """
    try:
        return await work
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionError("cancelled from within") from error


async def end(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel tasks and return when all have ended; their outcome is nobody's business any more.

    One cancellation is not enough where a library answers it with another error, which the task
    takes for a failure to recover from: aiormq does, when its connection ends in that moment.
    """
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        done, running = await asyncio.wait(running, timeout=_AGAIN_SECONDS)
        for task in done:
            if not task.cancelled():
                task.exception()  # looked at, so that nobody warns of it
