"""For what can't await, such as Hypothesis: it runs in a thread, and the event loop goes on."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class LoopThread:
    """Takes what must run on the event loop from a thread that can't await.

        async def test_model(service):
            loop = LoopThread()
            await loop.aside(lambda: run_state_machine_as_test(lambda: Machine(service, loop)))

    and inside of the machine: `loop.do(service.get("/"))`.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    async def aside(self, function: Callable[[], Result]) -> Result:
        """Run `function` in a thread and return what it returns; the loop serves `do` meanwhile."""
        return await asyncio.to_thread(function)

    def do(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Wait, in that thread, for what the coroutine returns or raises on the loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
