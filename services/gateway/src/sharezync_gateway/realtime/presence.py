"""Presence: who is online by auth's leases, sent to the connections that subscribed.

Nodes say on the bus when a user's first device comes to them and when the last one goes. Coming is
believed; of going auth is asked, since the user may be on another node. Both may be lost, and a
node may die without a word: so auth is asked again and again for everybody who is watched here.
"""

import asyncio
import math
from collections.abc import Collection
from datetime import timedelta
from itertools import count, islice
from typing import Final

import structlog

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.interest import Interest, WatchedUser
from sharezync_gateway.realtime.protocol import (
    PresenceData,
    PresenceSignal,
    UserPresence,
    encode,
    now_text,
)
from sharezync_gateway.realtime.signals import SharingContext
from sharezync_shared.background import Periodic
from sharezync_shared.batch_queue import BatchQueue
from sharezync_shared.calls.client import ServiceUnavailable, is_unanswered

log = structlog.get_logger()

STREAM: Final = "presence"
"""Kind of the streams on which nodes notify each other; the rest of the name is the user's id."""
_COMES: Final = b'{"online":true}'
_GOES: Final = b'{"online":false}'
_USERS_AT_ONCE: Final = 200
"""Users about whom auth is asked in one call of a round."""
_AT_A_STRETCH: Final = 200
"""Connections that are written to before yielding to the event loop."""


class PresenceTracker:
    """Fetches the presence of subscribed users, and sends subscribers what changed."""

    def __init__(self, context: SharingContext) -> None:
        self._context = context
        self._interests = context.interests
        self._turns = count(1)
        """Numbers signals and questions: an answer to an older question than what is known is
        out of date, be it that it took longer or that a signal came meanwhile."""
        self._doubted: BatchQueue[str] = BatchQueue.of_keys(
            self._ask_doubted, name="presence-doubted", gather_seconds=context.limits.gather_seconds
        )
        self._untold: BatchQueue[Connection] = BatchQueue.of_keys(
            self._send_to_all, name="presence-untold", gather_seconds=context.limits.gather_seconds
        )
        # Without rounds nothing that was lost is made good.
        self._rounds = Periodic(
            self._ask_next,
            name="presence-rounds",
            every_seconds=context.limits.presence_poll_seconds,
            first_seconds=context.limits.presence_poll_seconds,
            is_outage=is_unanswered,
        )

    def start(self) -> None:
        self._rounds.start()

    async def aclose(self) -> None:
        await self._doubted.aclose()
        await self._untold.aclose()
        await self._rounds.aclose()

    # --- between nodes -------------------------------------------------------------------------

    def broadcast(self, user_id: str, online: bool) -> None:  # noqa: FBT001 - what is said
        """Send all nodes that a user's first device came here, or the last one went."""
        self._context.signals.broadcast(f"{STREAM}:{user_id}", _COMES if online else _GOES)

    def handle_broadcast(self, user_id: str, text: bytes) -> None:
        watched = self._interests.watched.get(user_id)
        if watched is None:
            return
        watched.since = next(self._turns)
        if text == _COMES:
            self._learn(user_id, watched, online=True, last_seen_at=None)
        else:
            self._doubted.put([user_id])

    # --- from auth -----------------------------------------------------------------------------

    async def ask(self, user_ids: Collection[str]) -> None:
        """Learn from auth how it is with these users. Raises ServiceUnavailable."""
        turn = next(self._turns)
        try:
            answer = await self._context.calls.presence(user_ids)
        except ServiceUnavailable:
            self._context.metrics.presence_requests("failed").inc()
            raise
        self._context.metrics.presence_requests("ok").inc()
        for user_id in user_ids:
            watched = self._interests.watched.get(user_id)
            if watched is None or (watched.since > turn and watched.online is not None):
                continue
            watched.since = max(watched.since, turn)
            online = user_id in answer.online
            last_seen_at = None if online else answer.last_seen.get(user_id)
            self._learn(user_id, watched, online=online, last_seen_at=last_seen_at)

    async def _ask_doubted(self, user_ids: list[str]) -> None:
        watched = [user_id for user_id in user_ids if user_id in self._interests.watched]
        try:
            await self.ask(watched)
        except ServiceUnavailable as error:
            log.debug("presence_not_asked", users=len(watched), error=str(error))
            self._doubted.put(watched)

    async def _ask_next(self) -> timedelta:
        """Ask for those who were asked about the longest ago; each once in the period."""
        watched = self._interests.watched
        batch = list(islice(watched, _USERS_AT_ONCE))
        for user_id in batch:
            watched[user_id] = watched.pop(user_id)
        await self.ask(batch)
        return timedelta(
            seconds=self._context.limits.presence_poll_seconds
            / max(1, math.ceil(len(watched) / _USERS_AT_ONCE))
        )

    # --- to clients ----------------------------------------------------------------------------

    def shown(self, interest: Interest, user_ids: Collection[str]) -> list[UserPresence]:
        """Return what a connection is shown of those of its users who were asked about."""
        return [
            _show(user_id, None if user_id in interest.hidden else watched)
            for user_id in user_ids
            if user_id in interest.users
            and (watched := self._interests.watched.get(user_id)) is not None
        ]

    def refresh(self, connection: Connection, user_ids: Collection[str]) -> None:
        """Send a connection what has changed of users who were hidden from it, or shown again."""
        interest = self._interests.find(connection)
        for user_id in user_ids:
            watched = self._interests.watched.get(user_id)
            if interest is not None and watched is not None and user_id in interest.users:
                self._note(connection, interest, user_id, watched)

    def _learn(
        self, user_id: str, watched: WatchedUser, *, online: bool, last_seen_at: str | None
    ) -> None:
        watched.online = online
        watched.last_seen_at = last_seen_at
        # Also where nothing changed: a client may have been too slow for it the last time.
        for connection in watched.watchers:
            self._note(connection, self._interests.for_connection(connection), user_id, watched)

    def _note(
        self, connection: Connection, interest: Interest, user_id: str, watched: WatchedUser
    ) -> None:
        online = bool(watched.online) and user_id not in interest.hidden
        if interest.users[user_id] not in {None, online}:
            interest.untold.add(user_id)
            self._untold.put([connection])

    async def _send_to_all(self, connections: list[Connection]) -> None:
        for number, connection in enumerate(connections, 1):
            self._send_to(connection)
            if number % _AT_A_STRETCH == 0:
                await asyncio.sleep(0)

    def _send_to(self, connection: Connection) -> None:
        """Send one connection all that changed for it; what it can't take now waits for a round."""
        interest = self._interests.find(connection)
        if interest is None or connection.closed:
            return
        untold, interest.untold = interest.untold, set()
        # Who came and went again meanwhile is no news.
        shown = self.shown(interest, untold)
        news = [each for each in shown if interest.users[each.user_id] != each.online]
        if not news:
            return
        if not connection.send_signal(encode(PresenceSignal(now_text(), PresenceData(news)))):
            self._context.metrics.dropped("signal").inc()
            return
        self._context.metrics.delivered.inc()
        for each in news:
            interest.users[each.user_id] = each.online


def _show(user_id: str, watched: WatchedUser | None) -> UserPresence:
    """Return how a user looks; None: as who has no device."""
    if watched is None:
        return UserPresence(user_id, False, None)
    online = bool(watched.online)
    return UserPresence(user_id, online, None if online else watched.last_seen_at)
