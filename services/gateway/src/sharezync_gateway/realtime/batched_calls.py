"""Doing once, a moment later, what many ask for now."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger()

K = TypeVar("K")


class BatchedCalls(Generic[K]):
    """Calls `act` with all that was added within `seconds`, each once; one call at a time.

    `act` may add again what it could not do yet.
    """

    def __init__(
        self, act: Callable[[list[K]], Awaitable[None]], seconds: float, *, name: str
    ) -> None:
        self._act = act
        self._seconds = seconds
        self._name = name
        self._gathered: dict[K, None] = {}
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._gathered)

    def add(self, key: K) -> None:
        """Have `key` in the next call. Safe to repeat; never waits."""
        if self._closed:
            return
        self._gathered[key] = None
        if self._task is None:
            self._task = asyncio.create_task(self._go_on(), name=self._name)

    async def aclose(self) -> None:
        """Stop; what was gathered is forgotten. Safe to repeat."""
        self._closed = True
        self._gathered.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _go_on(self) -> None:
        try:
            while self._gathered:
                await asyncio.sleep(self._seconds)
                gathered, self._gathered = self._gathered, {}
                try:
                    await self._act(list(gathered))
                except Exception:  # the rim: the next ones are not to suffer
                    log.exception("gathered_failed", what=self._name)
        finally:
            self._task = None
