"""Work in the background: acts that are repeated, and tasks that outlive whoever began them."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final, Generic, TypeVar

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from sharezync_shared.metrics import shared_metric
from sharezync_shared.outage_log import OutageLog

log = structlog.get_logger()

Result = TypeVar("Result")

AT_ONCE: Final = timedelta(0)
NEVER: Final = timedelta.max
"""What an act returns that is to be called again at once, or need not be called again."""
_AGAIN_SECONDS: Final = 5.0

T = TypeVar("T")


class Periodic:
    """Calls `act` again and again, one call at a time.

    An act may return the time until its next call, AT_ONCE and NEVER among them; None means
    `every_seconds`. One that raises is called again after the next of
    `retry_seconds`, of which the last repeats, or as if it had returned None. Each failure is
    counted, in `sharezync_background_failures_total`, and logged as OutageLog does; with a
    traceback unless `is_outage` holds of the error. Gauges tell when a call last succeeded, 0
    before the first, and how long that one took.
    """

    def __init__(
        self,
        act: Callable[[], Awaitable[timedelta | None]],
        *,
        name: str,
        every_seconds: float,
        retry_seconds: Sequence[float] = (),
        first_seconds: float = 0.0,
        is_outage: Callable[[Exception], bool] = lambda error: isinstance(error, OSError),
        registry: CollectorRegistry | None = None,
    ) -> None:
        """`first_seconds` go by before the first call."""
        self._act = act
        self._name = name
        self._every_seconds = every_seconds
        self._retry_seconds = retry_seconds or (every_seconds,)
        self._first_seconds = first_seconds
        self._is_outage = is_outage
        self._failures = registry and shared_metric(
            registry,
            Counter,
            "sharezync_background_failures_total",
            "Calls of work in the background that failed, to be repeated",
            ("task",),
        ).labels(name)
        self._succeeded = registry and shared_metric(
            registry,
            Gauge,
            "sharezync_background_last_success_timestamp_seconds",
            "When a call of work in the background last succeeded, in seconds since 1970",
            ("task",),
        ).labels(name)
        self._duration = registry and shared_metric(
            registry,
            Gauge,
            "sharezync_background_last_success_duration_seconds",
            "How long that call took",
            ("task",),
        ).labels(name)
        self._log = OutageLog("background_work_failed", task=name)
        self._woken = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin. Idempotent."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self._name)

    def wake(self) -> None:
        """Have the next call now, or right after the one under way."""
        self._woken.set()

    async def aclose(self) -> None:
        """End, in the middle of a call too. Idempotent."""
        if self._task is not None:
            await end([self._task])

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Call while the block runs."""
        self.start()
        try:
            yield
        finally:
            await self.aclose()

    async def _run(self) -> None:
        pause_seconds = self._first_seconds
        failed = 0
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_seconds):
                    await self._woken.wait()
            self._woken.clear()
            began = time.monotonic()
            try:
                asked = await uncancelled(self._act())
            except Exception as error:  # noqa: BLE001 - whatever failed is tried again
                pause_seconds = self._retry_seconds[min(failed, len(self._retry_seconds) - 1)]
                failed += 1
                self._note(error)
            else:
                self._note_success(time.monotonic() - began)
                if asked is NEVER:
                    return
                pause_seconds = self._every_seconds if asked is None else asked.total_seconds()
                if failed:
                    self._log.over()
                failed = 0

    def _note_success(self, seconds: float) -> None:
        if self._succeeded and self._duration:
            self._succeeded.set_to_current_time()
            self._duration.set(seconds)

    def _note(self, error: Exception) -> None:
        if self._failures:
            self._failures.inc()
        if self._is_outage(error):
            self._log.failed(error)
        else:
            self._log.failed(error, exc_info=error)


class TaskSupervisor:
    """Starts tasks and holds on to them: the event loop alone would not. Logs those that fail."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, Result], name: str) -> "asyncio.Task[Result]":
        """Begin to do `work`."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def wind_down(self, seconds: float = 0.0) -> None:
        """Give what is under way so many seconds, then cancel it; returns when nothing is left."""
        if self._tasks and seconds:
            await asyncio.wait(self._tasks, timeout=seconds)
        await end(self._tasks)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("background_task_failed", task=task.get_name(), exc_info=error)


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
