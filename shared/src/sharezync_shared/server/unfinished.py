"""What the messages of all sockets hold that have begun and have not come whole."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

_SHORTEST_SECONDS: Final = 1.0
"""Nothing is known of a pace before."""


class MessageReceiver(Protocol):
    """A socket on which a message has begun."""

    @property
    def received_bytes(self) -> int:
        """Since the connection's beginning."""
        ...

    def fail_unfinished(self) -> None:
        """End the connection, and let go of what has come of its message."""
        ...


@dataclass(slots=True)
class _Message:
    bytes: int
    received_before: int
    """On the whole connection, when the message began."""
    began_at: float


class UnfinishedMessages:
    """Bounds them together, on one server.

    Each alone may take as long as a slow line needs. Where all together are too large, whose
    message has come most slowly is failed: who means harm holds many for long, and others don't.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._messages: dict[MessageReceiver, _Message] = {}
        self._bytes = 0

    def note(self, receiver: MessageReceiver, held_bytes: int, now: float) -> None:
        """Note how large a socket's message is, as far as it is known; 0: there is none."""
        message = self._messages.get(receiver)
        if not held_bytes:
            self.discard(receiver)
            return
        if message is None:
            message = self._messages[receiver] = _Message(0, receiver.received_bytes, now)
        self._bytes += held_bytes - message.bytes
        message.bytes = held_bytes
        while self._bytes > self._max_bytes and self._messages:
            slowest = min(self._messages, key=partial(self._pace, now=now))
            self.discard(slowest)
            slowest.fail_unfinished()

    def discard(self, receiver: MessageReceiver) -> None:
        """Note that a socket's message has come whole, or never will. Safe to repeat."""
        message = self._messages.pop(receiver, None)
        if message is not None:
            self._bytes -= message.bytes

    def _pace(self, receiver: MessageReceiver, now: float) -> float:
        message = self._messages[receiver]
        seconds = now - message.began_at
        if seconds < _SHORTEST_SECONDS:
            return math.inf
        return (receiver.received_bytes - message.received_before) / seconds
