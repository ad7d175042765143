"""Who is typing where, from one who types to those who asked to be told.

A removal comes in the order of its channel's stream, a signal in no order at all. So whether
somebody may still be told is looked up each time, at the moment of telling.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.realtime.interest import Interests
from sharezync_gateway.realtime.metrics import SocketMetrics
from sharezync_gateway.realtime.protocol import TypingSignal, Typist, encode, now_text
from sharezync_gateway.realtime.signals import Signals
from sharezync_shared.server import encode_text_frame

STREAM: Final = "typing"
"""Kind of the streams on which nodes tell each other; then come the channel's and the user's id."""

MOST_CHANNELS: Final = 5
"""In which one user is heard typing at about the same time. Each signal goes to everybody who
listens there: more than a person does would be a cheap way to make much work."""


class Typists:
    """Passes on that somebody is typing, seldom enough."""

    def __init__(
        self,
        *,
        interests: Interests,
        signals: Signals,
        metrics: SocketMetrics,
        between_seconds: float,
        clock: Callable[[], float],
    ) -> None:
        """`between_seconds`: of one user in one channel, what comes sooner is swallowed."""
        self._interests = interests
        self._signals = signals
        self._metrics = metrics
        self._between_seconds = between_seconds
        self._clock = clock
        self._lately: dict[tuple[str, str], float] = {}
        """When each user, in each channel, may be heard again; the soonest first."""
        self._channels: Counter[str] = Counter()
        """In how many channels each user was heard lately."""

    def say(self, connection: Connection, channel_id: str) -> None:
        """Tell all nodes that somebody is typing, unless they were told a moment ago."""
        now = self._clock()
        self._forget(now)
        user_id = connection.user_id
        key = (user_id, channel_id)
        if key in self._lately or self._channels[user_id] >= MOST_CHANNELS:
            return
        self._lately[key] = now + self._between_seconds
        self._channels[user_id] += 1
        typist = Typist(channel_id, user_id)
        text = encode(TypingSignal(f"channel:{channel_id}", now_text(), typist))
        self._signals.say(f"{STREAM}:{channel_id}:{user_id}", text)

    def hear(self, channel_id: str, user_id: str, text: bytes) -> None:
        """Tell those who want to know and may; not those who type."""
        listeners = self._interests.listeners.get(channel_id)
        if listeners is None:
            return
        encoded = encode_text_frame(text)
        stream = f"channel:{channel_id}"
        sent = lost = 0
        for connection in list(listeners):
            if stream not in connection.streams:
                self._interests.drop(connection, channels=[channel_id])
            elif connection.user_id != user_id:
                if connection.outbound.write_signal(encoded):
                    sent += 1
                else:
                    lost += 1
        self._metrics.delivered.inc(sent)
        if lost:
            self._metrics.dropped("signal").inc(lost)

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
