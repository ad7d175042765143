"""Access that ends now: sessions and users whose sockets close and whose tokens are refused.

Frames say so. auth is asked besides, twice a second: a replica may be cut off from the broker, its
connection may be dead without anybody having noticed, a frame may be lost. What was revoked must be
known within a second all the same.
"""

import asyncio
import math
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.hub import Hub
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.protocol import CloseCode
from sharezync_gateway.realtime.service_calls import Revoked, ServiceCalls
from sharezync_shared.background import Periodic
from sharezync_shared.calls.client import is_unanswered
from sharezync_shared.ids import SessionId, UserId
from sharezync_shared.streams.frames import Frame
from sharezync_shared.tokens.verifier import Revocations

log = structlog.get_logger()

_OVERLAP_SECONDS: Final = 5
"""Asked for once more each time: a transaction may commit later than the time it writes down."""
_PATIENCE_SECONDS: Final = 2.0
"""For one answer. A late one is better than none, but the next question is due."""


class Revoker:
    """Closes the sockets of what was revoked on this node, and has its tokens refused."""

    def __init__(self, hub: Hub, revocations: Revocations) -> None:
        self._hub = hub
        self._revocations = revocations
        self.lifetime_seconds = math.ceil(revocations.lifetime_seconds)
        """What was revoked longer ago concerns no token."""

    def handle_frames(self, frames: Sequence[Frame]) -> None:
        """Do what frames say about revocation, be they of any stream, in order or not."""
        for frame in frames:
            control = frame.control
            if control is not None and (control.revoke_sessions or control.revoke_user):
                users = [control.revoke_user] if control.revoke_user else []
                self.revoke(Revoked(control.revoke_sessions, users))

    def revoke(self, revoked: Revoked) -> None:
        """Refuse tokens of these sessions and users, and close their sockets. Safe to repeat."""
        for session_id in revoked.sessions:
            if (known := _uuid(session_id)) is not None:
                self._revocations.revoke_session(SessionId(known))
                self._close(self._hub.sessions.get(session_id, ()))
        for user_id in revoked.users:
            if (known := _uuid(user_id)) is not None:
                self._revocations.revoke_user(UserId(known))
                self._close(self._hub.users.get(user_id, ()))

    def _close(self, connections: Iterable[Connection]) -> None:
        for connection in list(connections):
            connection.close(CloseCode.REVOKED, "access has ended")


class RevocationPull(Periodic):
    """Has `revoker` act on what auth says, every `period_seconds`, one question at a time."""

    def __init__(
        self,
        calls: ServiceCalls,
        revoker: Revoker,
        *,
        period_seconds: float,
        metrics: SocketMetrics,
    ) -> None:
        self._calls = calls
        self._revoker = revoker
        self._period_seconds = period_seconds
        self._metrics = metrics
        self._known_at: float | None = None
        """When the last question was asked that was answered."""
        super().__init__(
            self._pull_in_time,
            name="revocation-pull",
            every_seconds=period_seconds,
            is_outage=is_unanswered,
        )

    @property
    def answered(self) -> bool:
        """Whether auth has ever said what was revoked."""
        return self._known_at is not None

    async def pull(self, now: float) -> None:
        """Ask for what was revoked since shortly before the last question that was answered.

        `now` is of any steady clock, in seconds. Raises ServiceUnavailable or TimeoutError.
        """
        since_seconds = self._revoker.lifetime_seconds
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


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        log.warning("revocation_without_id", text=text[:40])
        return None
