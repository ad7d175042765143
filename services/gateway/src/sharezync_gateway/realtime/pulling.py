"""Asking auth what was revoked, twice a second: for what the bus fails to bring.

A replica may be cut off from the broker, its connection may be dead without anybody having noticed,
a frame may be lost: what was revoked must be known within a second all the same.
"""

import asyncio
import math
from datetime import timedelta
from typing import Final

from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.revoking import Revoker
from sharezync_gateway.realtime.service_calls import ServiceCalls
from sharezync_shared.background import Periodic
from sharezync_shared.calls.client import is_unanswered

_OVERLAP_SECONDS: Final = 5
"""Asked for once more each time: a transaction may commit later than the time it writes down."""
_PATIENCE_SECONDS: Final = 2.0
"""For one answer. A late one is better than none, but the next question is due."""


class RevocationPull:
    """Has `revoker` act on what auth says, every `period_seconds`, one question at a time."""

    def __init__(
        self,
        calls: ServiceCalls,
        revoker: Revoker,
        *,
        lifetime_seconds: float,
        period_seconds: float,
        metrics: SocketMetrics,
    ) -> None:
        """`lifetime_seconds`: what was revoked longer ago concerns no token."""
        self._calls = calls
        self._revoker = revoker
        self._lifetime_seconds = math.ceil(lifetime_seconds)
        self._period_seconds = period_seconds
        self._metrics = metrics
        self._known_at: float | None = None
        """When the last question was asked that was answered."""
        self._pulling = Periodic(
            self._pull_in_time,
            name="revocation-pull",
            every_seconds=period_seconds,
            is_outage=is_unanswered,
        )

    def start(self) -> None:
        """Begin to ask; whether auth answers or not, nobody waits for it."""
        self._pulling.start()

    async def aclose(self) -> None:
        """Stop. Safe to repeat."""
        await self._pulling.aclose()

    async def pull(self, now: float) -> None:
        """Ask for what was revoked since shortly before the last question that was answered.

        `now` is of any steady clock, in seconds. Raises ServiceUnavailable or TimeoutError.
        """
        since_seconds = self._lifetime_seconds
        if self._known_at is not None:
            unknown_seconds = math.ceil(now - self._known_at) + _OVERLAP_SECONDS
            since_seconds = min(unknown_seconds, since_seconds)
        async with asyncio.timeout(_PATIENCE_SECONDS):
            revoked = await self._calls.revocations(since_seconds)
        self._revoker.revoke(revoked)
        self._known_at = now

    async def _pull_in_time(self) -> timedelta:
        """Pull, and return how long to wait so that a pull begins every `period_seconds`."""
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        try:
            await self.pull(asked_at)
        except Exception:
            self._metrics.pulls("failed").inc()
            raise
        self._metrics.pulls("ok").inc()
        return timedelta(seconds=max(0.0, asked_at + self._period_seconds - loop.time()))
