"""The circuit breaker of one way to one service: calls that would fail are refused at once.

Closed until several calls in a row have failed, then open for a moment, then half open: one call
is let through, and what becomes of it decides. Source: Nygard, Release It!, 2nd edition, chapter 5.
"""

import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import Enum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from sharezync_shared.events.metrics import shared_metric
from sharezync_shared.outage_log import OutageLog

_FAILURES: Final = 5
"""In a row, and none that went well between: who can make single calls fail can't open it."""
_FIRST_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 10.0
"""A service that is back is noticed after this at the latest."""
_PROBE_SECONDS: Final = 5.0
"""A probe without a verdict for so long (a long upload) lets another one through."""


class State(Enum):
    """The value is what the metric shows."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


class CircuitOpen(Exception):
    """The call was not made, as those before it failed."""

    def __init__(self, service: str, retry_after_seconds: float) -> None:
        super().__init__(f"{service} has not answered lately")
        self.retry_after_seconds = retry_after_seconds


class BreakerMetrics:
    """States and refusals of all breakers of a registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("service", "way")
        self.state = shared_metric(
            registry,
            Gauge,
            "sharezync_breaker_state",
            "Circuit breaker of calls to a service: 0 closed, 1 half open, 2 open",
            labels,
        )
        self.refused = shared_metric(
            registry,
            Counter,
            "sharezync_breaker_refused_total",
            "Calls that were not made, as those before had failed",
            labels,
        )


class Breaker:
    """Decides whether a call to `service` is made; told what became of each that was.

    `way` tells several breakers of one service apart. Not thread-safe: for one event loop.
    """

    def __init__(
        self,
        service: str,
        way: str,
        metrics: BreakerMetrics | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.service = service
        self.state = State.CLOSED
        self._clock = clock
        self._jitter = jitter
        self._failures = 0
        self._generation = 0
        self._pause_seconds = _FIRST_SECONDS
        self._open_until = 0.0
        self._probe_until = 0.0
        self._log = OutageLog("service_not_answering", upstream=service, way=way)
        self._gauge = metrics.state.labels(service, way) if metrics else None
        self._refused = metrics.refused.labels(service, way) if metrics else None
        self._show()

    def enter(self) -> int:
        """Return what `succeeded`, `failed` or `abandoned` must be given; exactly one is owed.

        Raises CircuitOpen.
        """
        if self.state is not State.CLOSED:
            now = self._clock()
            wait = (self._open_until if self.state is State.OPEN else self._probe_until) - now
            if wait > 0:
                if self._refused is not None:
                    self._refused.inc()
                raise CircuitOpen(self.service, wait)
            self._probe_until = now + _PROBE_SECONDS
            if self.state is State.OPEN:
                self._become(State.HALF_OPEN)
        return self._generation

    def succeeded(self, generation: int) -> None:
        """Note that a call was answered, whatever the answer."""
        if generation != self._generation:
            return  # it began before the state changed, and says nothing about the present
        self._failures = 0
        if self.state is State.HALF_OPEN:
            self._pause_seconds = _FIRST_SECONDS
            self._become(State.CLOSED)

    def failed(self, generation: int, error: BaseException) -> None:
        """Note that a call had no answer."""
        self._log.failed(error)
        if generation != self._generation:
            return
        self._failures += 1
        if self.state is State.HALF_OPEN or self._failures >= _FAILURES:
            # Replicas that met the same outage shall not come back as one.
            self._open_until = self._clock() + self._pause_seconds * (0.75 + 0.5 * self._jitter())
            self._pause_seconds = min(_LONGEST_SECONDS, self._pause_seconds * 2)
            self._become(State.OPEN)

    def abandoned(self, generation: int) -> None:
        """Note that a call ended for a reason that says nothing about the service."""
        if generation == self._generation:
            self._probe_until = 0.0

    @contextmanager
    def attempt(self, *failures: type[BaseException]) -> Generator[None]:
        """Make one call in the block; exceptions of the types `failures` are the service's fault.

        Raises CircuitOpen before the block.
        """
        generation = self.enter()
        try:
            yield
        except failures as error:
            self.failed(generation, error)
            raise
        except BaseException:
            self.abandoned(generation)
            raise
        self.succeeded(generation)

    def _become(self, state: State) -> None:
        self.state = state
        self._failures = 0
        self._generation += 1
        self._show()

    def _show(self) -> None:
        if self._gauge is not None:
            self._gauge.set(self.state.value)
