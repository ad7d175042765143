"""Telling a service that hangs from one that is slow: by asking whether it lives.

The kernel takes connections and requests for a process that was stopped, so that nothing fails
before a time limit; and time limits must let the slowest of all that is asked of a service pass.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from functools import partial
from typing import Final

import aiohttp
from prometheus_client import CollectorRegistry

from sharezync_shared.calls.breaker import Breaker, BreakerMetrics, State

Ping = Callable[[], Awaitable[bool]]
"""Whether the service shows a sign of life, soon."""

_QUIET_SECONDS: Final = 1.0
"""For how long calls wait without any answer to any of them, before the service is asked."""
_PINGS: Final = 3
"""That go unanswered one after the other: of several replicas behind a balancer one may hang."""
_PING_SECONDS: Final = 1.0
_EVERY_SECONDS: Final = 0.25
"""Between pings of a service whose breaker is open: so soon it is noticed that it is back."""


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
        """Ask until anything is heard, and tell the breaker where nothing is."""
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
