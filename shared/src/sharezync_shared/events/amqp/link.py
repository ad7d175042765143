"""One connection to the broker, kept alive, and the tenants that live on it.

A tenant is whatever needs a channel: a publisher, a consumer, a receiver. Each reconnection sets
every tenant up from nothing, so there is one way to begin and no state to restore.
"""

import asyncio
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import aiormq
import structlog
from aio_pika import Connection
from aio_pika.abc import AbstractChannel, AbstractConnection, TimeoutType, UnderlayConnection
from yarl import URL

from sharezync_shared.background import end, uncancelled
from sharezync_shared.outage_log import OutageLog

log = structlog.get_logger()

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 2.0
_STABLE_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 3.0
_LOST_SECONDS: Final = 0.5
"""A connection that is lost takes its channels along; which of both is noticed first is chance."""
_SETTLE_SECONDS: Final = 30.0
"""How long setting a tenant up may take before somebody should know of it."""


class _WatchedConnection(aiormq.Connection):
    """Given up after one and a half heartbeats in silence: 9 s with the 5 s that the bus asks for.

    aiormq waits for three. The broker sends something every half of a heartbeat, so that two or
    three in a row must have been lost.
    """

    HEARTBEAT_GRACE_MULTIPLIER = 1.5  # type: ignore[assignment]  # of (heartbeat + 1) seconds


class _WatchedUnderlay(UnderlayConnection):
    @classmethod
    async def make_connection(
        cls,
        url: URL,
        timeout: TimeoutType = None,
        **kwargs: Any,  # noqa: ANN401 - as it is overridden
    ) -> aiormq.abc.AbstractConnection:
        properties = kwargs.pop("client_properties", None)
        connection = _WatchedConnection(url, **kwargs)
        await asyncio.wait_for(connection.connect(properties), timeout)
        await connection.ready()
        return connection


class _LinkConnection(Connection):
    async def connect(self, timeout: TimeoutType = None) -> None:
        self.transport = await _WatchedUnderlay.connect(
            self.url, self._on_connection_close, timeout=timeout, **self.kwargs
        )
        await self._on_connected()


class BrokerOutage:
    """That the broker is away, told once for all links of a process that notice it."""

    def __init__(self) -> None:
        self._log = OutageLog("broker_unreachable", quiet_seconds=math.inf)
        self._down: set[AmqpLink] = set()

    def noticed(self, link: "AmqpLink", error: BaseException | str) -> None:
        """Note that `link` has lost its connection, or found none."""
        self._down.add(link)
        self._log.failed(error)

    def ended(self, link: "AmqpLink") -> None:
        """Note that `link` is connected. It is over when no link is without connection."""
        self._down.discard(link)
        if not self._down:
            self._log.over()


class LinkUser(ABC):
    """Something that lives on a link."""

    name: str

    def __init__(self) -> None:
        self.serving = asyncio.Event()
        """Set while it does what it is for."""

    @abstractmethod
    async def serve(self, connection: AbstractConnection) -> None:
        """Set up on a fresh connection, set `serving`, stay until the channel is gone.

        Cancelled when the connection is lost. Returning or raising means: set me up again. A broker
        may leave a question unanswered for as long as a queue has no leader: wait for it, on the
        same channel, since one that waits can't be closed either.
        """


class AmqpLink:
    """Keeps one connection and its tenants alive from `start` to `aclose`."""

    def __init__(
        self,
        url: str,
        name: str,
        *,
        connect_seconds: float,
        heartbeat_seconds: int,
        settle_seconds: float = _SETTLE_SECONDS,
        outage: BrokerOutage | None = None,
    ) -> None:
        """`outage` is that of all links to the same broker."""
        self._url = URL(url).update_query(heartbeat=str(heartbeat_seconds))
        self._name = name
        self._connect_seconds = connect_seconds
        self._settle_seconds = settle_seconds
        self._outage = outage or BrokerOutage()
        self._was_connected = False
        self._tenants: list[LinkUser] = []
        self._keeper: asyncio.Task[None] | None = None
        self._houses: list[asyncio.Task[None]] = []
        self._started = False
        self._closing = False
        self._connection: AbstractConnection | None = None
        self._lost: asyncio.Future[None] | None = None
        self._connected = asyncio.Event()

    @property
    def serving(self) -> bool:
        """Whether all tenants do what they are for."""
        return all(tenant.serving.is_set() for tenant in self._tenants)

    def add(self, tenant: LinkUser) -> None:
        """Take in a tenant, before or after `start`."""
        self._tenants.append(tenant)
        if self._started:
            self._settle_in(tenant)

    def start(self) -> None:
        """Begin to connect, in the background. Idempotent."""
        if not self._started:
            self._started = True
            self._keeper = asyncio.create_task(
                self._again(self._connect, self._outage_noticed), name=self._name
            )
            for tenant in self._tenants:
                self._settle_in(tenant)

    async def until_serving(self) -> None:
        """Wait until every present tenant does what it is for."""
        for tenant in list(self._tenants):
            await tenant.serving.wait()

    async def aclose(self) -> None:
        """End the tenants, then the connection."""
        self._closing = True
        await end(self._houses)
        if self._keeper is not None:
            await end([self._keeper])

    def _settle_in(self, tenant: LinkUser) -> None:
        work = self._again(partial(self._house, tenant), partial(self._tenant_failed, tenant))
        name = f"{self._name}: {tenant.name}"
        self._houses.append(asyncio.create_task(work, name=name))

    async def _again(
        self,
        attempt: Callable[[], Awaitable[None]],
        on_failure: Callable[[Exception, bool], None],
    ) -> None:
        """Make attempt after attempt, with growing pauses between; short ones after a good while.

        `on_failure` is given the error of each that fails, and whether it is the first in a row.
        """
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE_SECONDS
        while not self._closing:  # a cancellation may get lost in a failing connection
            began = loop.time()
            try:
                await attempt()
            except Exception as error:  # noqa: BLE001 - boundary: whatever it is, try again
                on_failure(error, pause == _FIRST_PAUSE_SECONDS)
            if loop.time() - began > _STABLE_SECONDS:
                pause = _FIRST_PAUSE_SECONDS
            if not self._closing:
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    def _outage_noticed(self, error: Exception, _: bool) -> None:  # noqa: FBT001 - as `_again` has it
        if not self._closing:
            self._outage.noticed(self, error)

    def _tenant_failed(self, tenant: LinkUser, error: Exception, first: bool) -> None:  # noqa: FBT001 - as above
        note = log.warning if first else log.debug
        note("broker_tenant_failed", link=self._name, tenant=tenant.name, error=repr(error))

    async def _connect(self) -> None:
        """Connect, and return when the connection is lost."""
        connection = _LinkConnection(self._url, client_properties={"connection_name": self._name})
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection.close_callbacks.add(lambda *_: _resolve(lost))
        try:
            async with asyncio.timeout(self._connect_seconds):
                await uncancelled(connection.connect())
            note = log.debug if self._was_connected else log.info
            note("broker_connected", link=self._name)
            self._was_connected = True
            self._outage.ended(self)
            self._connection, self._lost = connection, lost
            self._connected.set()
            await lost
            self._outage.noticed(self, "the connection was lost")
        finally:
            self._connected.clear()
            self._connection = None
            _resolve(lost)
            await close_quietly(connection)

    async def _house(self, tenant: LinkUser) -> None:
        """Set a tenant up on the next connection, and return when that or its channel is lost."""
        await self._connected.wait()
        connection, lost = self._connection, self._lost
        if connection is None or lost is None:
            return
        serving = asyncio.create_task(tenant.serve(connection))
        watch = asyncio.create_task(self._watch(tenant))
        has_ended = False
        try:
            await asyncio.wait((serving, lost), return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                await asyncio.wait((lost,), timeout=_LOST_SECONDS)
            has_ended = serving.done() and not serving.cancelled() and not lost.done()
        finally:
            tenant.serving.clear()
            await end([serving, watch])
        if has_ended:
            serving.result()

    async def _watch(self, tenant: LinkUser) -> None:
        """Warn of a tenant for as long as setting it up takes suspiciously long."""
        waited = self._settle_seconds
        await asyncio.sleep(self._settle_seconds)
        while not tenant.serving.is_set():
            log.warning(
                "broker_not_responding", link=self._name, tenant=tenant.name, seconds=waited
            )
            waited += self._settle_seconds
            await asyncio.sleep(self._settle_seconds)


async def close_quietly(closable: AbstractChannel | AbstractConnection) -> None:
    """Close it without ever hanging or raising; a dead connection takes its channels along."""
    with suppress(Exception):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await uncancelled(closable.close())


async def until_closed(channel: AbstractChannel, *others: asyncio.Event) -> None:
    """Wait until the channel is closed, by whomever, or one of `others` is set."""
    waiting: list[asyncio.Future[object]] = [asyncio.ensure_future(channel.closed())]
    waiting += [asyncio.ensure_future(event.wait()) for event in others]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in waiting:
            future.cancel()


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
