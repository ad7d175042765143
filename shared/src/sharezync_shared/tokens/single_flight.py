"""Many ask, one fetches."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs at most one call at a time and gives its outcome to everyone who asked meanwhile.

    The call belongs to no caller: one that is cancelled (a client hung up) neither stops the call
    nor disturbs the others. For use from one event loop.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[T] | None = None

    @property
    def running(self) -> bool:
        """Whether a call is under way that `join` would wait for."""
        return self._task is not None and not self._task.done()

    def start(self, work: Callable[[], Coroutine[Any, Any, T]]) -> asyncio.Task[T]:
        """Return the call under way, or start `work`. Its failure need not be looked at."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(work())
            self._task.add_done_callback(_look_at_outcome)
        return self._task

    async def join(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return the outcome of the call under way, or of `work`; raises what it raises."""
        return await asyncio.shield(self.start(work))

    async def aclose(self) -> None:
        """Cancel the call under way and wait until it has ended. Safe to repeat."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])


def _look_at_outcome(task: asyncio.Task[Any]) -> None:
    # Else asyncio complains about an exception "never retrieved" when every caller has gone.
    if not task.cancelled():
        task.exception()
