"""Asking auth what was revoked, twice a second: for what the bus fails to bring.

A replica may be cut off from the broker, its connection may be dead without anybody having noticed,
a frame may be lost: what was revoked must be known within a second all the same.
"""

import asyncio
import math
from typing import Final

import structlog

from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.peers import Peers
from sharezync_gateway.realtime.revoking import Revoker
from sharezync_shared.calls.client import ServiceUnavailable

log = structlog.get_logger()

_OVERLAP_SECONDS: Final = 5
"""Asked for once more each time: a transaction may commit later than the time it writes down."""
_PATIENCE_SECONDS: Final = 2.0
"""For one answer. A late one is better than none, but the next question is due."""


class RevocationPull:
    """Has `revoker` act on what auth says, every `period_seconds`, one question at a time."""

    def __init__(
        self,
        peers: Peers,
        revoker: Revoker,
        *,
        lifetime_seconds: float,
        period_seconds: float,
        metrics: SocketMetrics,
    ) -> None:
        """`lifetime_seconds`: what was revoked longer ago concerns no token."""
        self._peers = peers
        self._revoker = revoker
        self._lifetime_seconds = math.ceil(lifetime_seconds)
        self._period_seconds = period_seconds
        self._metrics = metrics
        self._known_at: float | None = None
        """When the last question was asked that was answered."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask; whether auth answers or not, nobody waits for it."""
        self._task = asyncio.create_task(self._go_on(), name="revocation-pull")

    async def aclose(self) -> None:
        """Stop. Safe to repeat."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def pull(self, now: float) -> None:
        """Ask for what was revoked since shortly before the last question that was answered.

        `now` is of any steady clock, in seconds. Raises ServiceUnavailable or TimeoutError.
        """
        since_seconds = self._lifetime_seconds
        if self._known_at is not None:
            unknown_seconds = math.ceil(now - self._known_at) + _OVERLAP_SECONDS
            since_seconds = min(unknown_seconds, since_seconds)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            revoked = await self._peers.revocations(since_seconds)
        self._revoker.revoke(revoked)
        self._known_at = now

    async def _go_on(self) -> None:
        loop = asyncio.get_running_loop()
        is_lost = False
        while True:
            asked_at = loop.time()
            try:
                await self.pull(asked_at)
            except Exception as error:  # the rim: auth may be away, and whatever else, we go on
                self._metrics.pulls("failed").inc()
                if not is_lost:
                    expected = isinstance(error, (ServiceUnavailable, TimeoutError))
                    log.warning("revocations_not_pulled", error=repr(error), exc_info=not expected)
                is_lost = True
            else:
                self._metrics.pulls("ok").inc()
                if is_lost:
                    log.info("revocations_recovered")
                is_lost = False
            await asyncio.sleep(max(0.0, asked_at + self._period_seconds - loop.time()))
