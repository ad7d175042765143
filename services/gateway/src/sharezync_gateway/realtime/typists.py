"""Who is typing where, from one who types to those who subscribed.

A removal comes in the order of its channel's stream, a signal in no order at all. So whether
somebody may still get it is looked up each time, at the moment of sending. Who types is present:
it is sent to those who may see their presence, and to nobody across a block (`Viewers`).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Final

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.protocol import TypingSignal, Typist, encode, now_text
from sharezync_gateway.realtime.signals import SharingContext
from sharezync_gateway.realtime.visibility import Viewers
from sharezync_shared.batch_queue import BatchQueue
from sharezync_shared.server import encode_text_frame

STREAM: Final = "typing"
"""Kind of the streams of signals between nodes; then come the channel's and the user's id."""
_GATHER_SECONDS: Final = 0.01


MOST_CHANNELS: Final = 5
"""In which one user is shown typing at about the same time. Each signal goes to everybody who
listens there: more than a person does would be a cheap way to make much work."""


class Typists:
    """Passes on that somebody is typing, seldom enough."""

    def __init__(
        self,
        context: SharingContext,
        viewers: Viewers,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._context = context
        self._interests = context.interests
        self._viewers = viewers
        self._clock = clock
        self._lately: dict[tuple[str, str], float] = {}
        """When each user, in each channel, may be signalled again; the soonest first."""
        self._channels: Counter[str] = Counter()
        """In how many channels each user was signalled lately."""
        self._unsure: BatchQueue[tuple[str, str, bytes]] = BatchQueue.of_keys(
            self._learn, name="typists", gather_seconds=_GATHER_SECONDS
        )

    async def aclose(self) -> None:
        await self._unsure.aclose()

    def broadcast(self, connection: Connection, channel_id: str) -> None:
        """Send all nodes that somebody is typing, unless that was sent a moment ago."""
        now = self._clock()
        self._forget(now)
        user_id = connection.user_id
        key = (user_id, channel_id)
        if key in self._lately or self._channels[user_id] >= MOST_CHANNELS:
            return
        self._lately[key] = now + self._context.limits.typing_seconds
        self._channels[user_id] += 1
        typist = Typist(channel_id, user_id)
        text = encode(TypingSignal(f"channel:{channel_id}", now_text(), typist))
        self._context.signals.broadcast(f"{STREAM}:{channel_id}:{user_id}", text)

    def handle_broadcast(self, channel_id: str, user_id: str, text: bytes) -> None:
        """Send it to those who want to know and may; not to those who type."""
        here = self._listening(channel_id)
        if not here:
            return
        seeing = self._viewers.cached(user_id, _users(here))
        if seeing is None:
            self._unsure.put([(channel_id, user_id, text)])
        else:
            self._send_signal(user_id, text, here, seeing)

    def _listening(self, channel_id: str) -> list[Connection]:
        """Return who wants to know and is on the channel; the others want to no more."""
        here = []
        for connection in list(self._interests.listeners.get(channel_id, ())):
            if f"channel:{channel_id}" in connection.streams:
                here.append(connection)
            else:
                self._interests.drop(connection, channels=[channel_id])
        return here

    def _send_signal(
        self,
        user_id: str,
        text: bytes,
        connections: Iterable[Connection],
        seeing: Collection[str],
    ) -> None:
        encoded = encode_text_frame(text)
        sent = lost = 0
        for connection in connections:
            if connection.user_id == user_id or connection.user_id not in seeing:
                continue
            if connection.write_signal(encoded):
                sent += 1
            else:
                lost += 1
        self._context.metrics.written(sent, lost, "signal")

    async def _learn(self, signals: list[tuple[str, str, bytes]]) -> None:
        """Ask who may know, and pass signals on; they are lost where that fails."""
        asked: dict[str, set[str]] = {}
        for channel_id, user_id, _ in signals:
            asked.setdefault(user_id, set()).update(_users(self._listening(channel_id)))
        await asyncio.gather(*(self._viewers.fetch(*each) for each in asked.items()))
        for channel_id, user_id, text in signals:
            here = [c for c in self._listening(channel_id) if c.user_id in asked[user_id]]
            seeing = self._viewers.cached(user_id, _users(here))
            if seeing is not None:
                self._send_signal(user_id, text, here, seeing)

    def _forget(self, now: float) -> None:
        """All wait equally long: who came first is free first."""
        over = []
        for key, free_at in self._lately.items():
            if free_at > now:
                break
            over.append(key)
        for key in over:
            del self._lately[key]
            user_id = key[0]
            self._channels[user_id] -= 1
            if not self._channels[user_id]:
                del self._channels[user_id]


def _users(connections: Iterable[Connection]) -> set[str]:
    return {connection.user_id for connection in connections}
