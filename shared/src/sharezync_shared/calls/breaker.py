"""The circuit breaker of one service: calls that would fail are refused at once.

Closed until several calls in a row have failed, or the service has shown no sign of life for some
seconds; then open for a moment, then half open: one call is let through, and what becomes of it
decides. Source: Nygard, Release It!, 2nd edition, chapter 5.

A service that hangs is told from one that is slow by asking whether it lives: the kernel takes
connections and requests for a process that was stopped, so that nothing fails before a time limit;
and time limits must let the slowest of all that is asked of a service pass.
"""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Gauge

from sharezync_shared.metrics import shared_metric
from sharezync_shared.outage_log import OutageLog

_FAILURES: Final = 5
"""In a row, and none that went well between: who can make single calls fail can't open it."""
_FIRST_SECONDS: Final = 1.0
_LONGEST_SECONDS: Final = 10.0
"""Where calls fail again and again though the service lives."""
_PROBE_SECONDS: Final = 5.0
"""A probe without a verdict for so long (a long upload) lets another one through."""

Ping = Callable[[], Awaitable[bool]]
"""Whether the service shows a sign of life, soon."""

_QUIET_SECONDS: Final = 1.0
"""For how long calls wait without any answer to any of them, before the service is asked."""
_PINGS: Final = 3
"""That go unanswered one after the other: of several replicas behind a balancer one may hang."""
_PING_SECONDS: Final = 1.0
_EVERY_SECONDS: Final = 0.25
"""Between pings of a service whose breaker is open: so soon it is noticed that it is back."""


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
        self.state = shared_metric(
            registry,
            Gauge,
            "sharezync_breaker_state",
            "Circuit breaker of calls to a service: 0 closed, 1 half open, 2 open",
            ("service",),
        )
        self.refused = shared_metric(
            registry,
            Counter,
            "sharezync_breaker_refused_total",
            "Calls that were not made, as those before had failed",
            ("service",),
        )


@dataclass(slots=True, eq=False)
class Call:
    """One call that was let through."""

    generation: int
    answers: int
    """How many answers the service had given when it began."""
    end: Callable[[], None] | None


class Breaker:
    """Decides whether a call to `service` is made; is called with the outcome of each that was.

    One for each service in a process, for all ways to it. Not thread-safe: for one event loop.
    Without `look`, a call that is let through is what finds out whether the service is back; with
    it, no call is made before the service has shown a sign of life.
    """

    look: Callable[[], None] | None = None
    """Begins to ask the service for a sign of life, unless that is under way (`heartbeat`)."""

    def __init__(
        self,
        service: str,
        metrics: BreakerMetrics | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.service = service
        self.state = State.CLOSED
        self._clock = clock
        self._jitter = jitter
        self._pending: set[Call] = set()
        self._quiet_since = 0.0
        self._answers = 0
        self._failures = 0
        self._generation = 0
        self._pause_seconds = _FIRST_SECONDS
        self._open_until = 0.0
        self._probe_until = 0.0
        self._log = OutageLog("service_not_answering", upstream=service)
        self._gauge = metrics.state.labels(service) if metrics else None
        self._refused = metrics.refused.labels(service) if metrics else None
        self._show()

    @property
    def open_seconds(self) -> float:
        """How long it stays open, at least; 0 where it isn't."""
        return max(0.0, self._open_until - self._clock()) if self.state is State.OPEN else 0.0

    @property
    def quiet_seconds(self) -> float | None:
        """For how long calls have waited in which no answer came; None where none waits."""
        return self._clock() - self._quiet_since if self._pending else None

    def check(self) -> None:
        """Raise CircuitOpen where no call may be made now."""
        if self.state is State.CLOSED:
            return
        until = self._open_until if self.state is State.OPEN else self._probe_until
        wait_seconds = until - self._clock()
        if self.state is State.OPEN and self.look is not None:
            wait_seconds = max(wait_seconds, _FIRST_SECONDS)
        if wait_seconds > 0:
            if self._refused is not None:
                self._refused.inc()
            if self.look is not None:
                self.look()
            raise CircuitOpen(self.service, wait_seconds)

    def enter(self, end: Callable[[], None] | None = None) -> Call:
        """Let a call through; one of `succeeded`, `failed` and `abandoned` is owed, exactly once.

        `end` is called where the service turns out not to live before that. Raises CircuitOpen.
        """
        if self.state is not State.CLOSED:
            self.check()
            self._probe_until = self._clock() + _PROBE_SECONDS
            if self.state is State.OPEN:
                self._become(State.HALF_OPEN)
        if not self._pending:
            self._quiet_since = self._clock()
        call = Call(self._generation, self._answers, end)
        self._pending.add(call)
        if self.look is not None:
            self.look()
        return call

    def succeeded(self, call: Call) -> None:
        """Note that a call was answered, whatever the answer."""
        self._pending.discard(call)
        self._heard()
        # One that began before the state changed says nothing about whether calls go well now.
        if call.generation == self._generation and self.state is State.HALF_OPEN:
            self._close()

    def failed(self, call: Call, error: BaseException) -> None:
        """Note that a call had no answer."""
        self._pending.discard(call)
        self._log.failed(error)
        if call.generation != self._generation:
            return
        if self.state is State.CLOSED:
            if call.answers != self._answers:
                return  # others were answered meanwhile: it was the call's fault
            self._failures += 1
            if self._failures < _FAILURES:
                return
        self._open()

    def abandoned(self, call: Call) -> None:
        """Note that a call ended for a reason that says nothing about the service."""
        self._pending.discard(call)
        if call.generation == self._generation:
            self._probe_until = 0.0

    def lives(self) -> None:
        """Note a sign of life that is no answer to a call."""
        self._heard()
        if self.state is State.OPEN and self._clock() >= self._open_until:
            self._become(State.HALF_OPEN)
            self._probe_until = 0.0
        elif self.state is State.HALF_OPEN:
            self._close()  # the probe is slow, and the service isn't

    def silent(self) -> None:
        """Note that the service shows no sign of life, and end the calls that wait for it."""
        self._log.failed("no sign of life")
        if self.state is not State.OPEN:
            self._open()
        ended = [call for call in self._pending if call.end is not None]
        self._pending.difference_update(ended)
        for call in ended:
            assert call.end is not None  # noqa: S101 - narrows what was asked above
            call.end()

    @asynccontextmanager
    async def attempt(self, *failures: type[BaseException]) -> AsyncGenerator[None]:
        """Make one call in the block; exceptions of the types `failures` are the service's fault.

        Raises CircuitOpen before the block, and TimeoutError out of it where the service turns out
        not to live.
        """
        async with asyncio.timeout(None) as waiting:
            call = self.enter(partial(waiting.reschedule, 0.0))
            try:
                yield
            except failures as error:
                self.failed(call, error)
                raise
            except BaseException:
                self.abandoned(call)
                raise
            self.succeeded(call)

    def _heard(self) -> None:
        self._failures = 0
        self._answers += 1
        self._quiet_since = self._clock()

    def _close(self) -> None:
        self._log.over()
        self._pause_seconds = _FIRST_SECONDS
        self._become(State.CLOSED)

    def _open(self) -> None:
        # Replicas that met the same outage shall not come back as one.
        self._open_until = self._clock() + self._pause_seconds * (0.75 + 0.5 * self._jitter())
        self._pause_seconds = min(_LONGEST_SECONDS, self._pause_seconds * 2)
        self._become(State.OPEN)
        if self.look is not None:
            self.look()

    def _become(self, state: State) -> None:
        self.state = state
        self._failures = 0
        self._generation += 1
        self._show()

    def _show(self) -> None:
        if self._gauge is not None:
            self._gauge.set(self.state.value)


class ServiceHeartbeat:
    """Asks the service of one breaker while calls wait in silence, or the breaker is open."""

    def __init__(self, breaker: Breaker, ping: Ping) -> None:
        self._breaker = breaker
        self._ping = ping
        self._task: asyncio.Task[None] | None = None

    def look(self) -> None:
        """Begin to ask, unless that is under way. Called with each call; never raises."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(
                self._watch(),
                name=f"heartbeat-{self._breaker.service}",
                context=Context(),  # not that of the request that begins just now
            )

    async def aclose(self) -> None:
        """Stop. Idempotent."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        try:
            while True:
                if self._breaker.state is State.OPEN:
                    await self._until_it_lives()
                elif (quiet_seconds := self._breaker.quiet_seconds) is None:
                    return
                elif quiet_seconds < _QUIET_SECONDS:
                    await asyncio.sleep(_QUIET_SECONDS - quiet_seconds)
                else:
                    await self._listen()
        finally:
            self._task = None

    async def _until_it_lives(self) -> None:
        await asyncio.sleep(self._breaker.open_seconds)
        while not await self._ping():
            self._breaker.silent()
            await asyncio.sleep(_EVERY_SECONDS)
        self._breaker.lives()

    async def _listen(self) -> None:
        """Ask until anything answers; where nothing does, the breaker opens."""
        breaker = self._breaker
        for _ in range(_PINGS):
            began = asyncio.get_running_loop().time()
            if await self._ping():
                breaker.lives()
                return
            if breaker.state is State.OPEN or (breaker.quiet_seconds or 0.0) < _QUIET_SECONDS:
                return
            # One that is refused fails at once, and so would the next.
            lasted_seconds = asyncio.get_running_loop().time() - began
            await asyncio.sleep(max(0.0, _PING_SECONDS - lasted_seconds))
        breaker.silent()


async def ping(base_url: str) -> bool:
    """Ask the service at `base_url` whether it lives, on a connection of its own."""
    try:
        async with (
            asyncio.timeout(_PING_SECONDS),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True),
                cookie_jar=aiohttp.DummyCookieJar(),
            ) as session,
            session.get(f"{base_url.rstrip('/')}/health", allow_redirects=False),
        ):
            return True
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


class Breakers:
    """The breakers of a process, one for each service that is called."""

    def __init__(
        self, registry: CollectorRegistry, base_urls: Mapping[str, str] | None = None
    ) -> None:
        """`base_urls` says where services are asked whether they live; None: they aren't."""
        self._metrics = BreakerMetrics(registry)
        self._base_urls = base_urls or {}
        self._breakers: dict[str, Breaker] = {}
        self._heartbeats: list[ServiceHeartbeat] = []

    def for_service(self, service: str) -> Breaker:
        """Return that of a service."""
        if service not in self._breakers:
            breaker = self._breakers[service] = Breaker(service, self._metrics)
            if service in self._base_urls:
                heartbeat = ServiceHeartbeat(breaker, partial(ping, self._base_urls[service]))
                breaker.look = heartbeat.look
                self._heartbeats.append(heartbeat)
        return self._breakers[service]

    async def aclose(self) -> None:
        """Ask nobody any more. Idempotent."""
        for heartbeat in self._heartbeats:
            await heartbeat.aclose()
