"""Tasks that outlive whoever began them, held until they end."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class TaskSupervisor:
    """Starts tasks and holds on to them: the event loop alone would not."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> "asyncio.Task[None]":
        """Begin to do `work`."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def wind_down(self, seconds: float) -> None:
        """Give what is under way so many seconds, then cancel it; returns when nothing is left."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
