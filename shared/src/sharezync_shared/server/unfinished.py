"""What the messages of all sockets hold that have begun and have not come whole."""

import math
from dataclasses import dataclass
from typing import Final, Protocol

_LOOK_SECONDS: Final = 1.0
"""Over which the pace of messages is measured, while half of what they may hold is held."""


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
    received_bytes: int
    """On the whole connection, when it was looked at last."""
    looked_at: float
    pace: float = math.inf
    """Bytes a second, the last looks counting most; infinite until there were two."""


class UnfinishedMessages:
    """Bounds them together, on one server.

    Each alone may take as long as a slow line needs. Where all together are too large, that message
    is failed of which least has come lately: who means harm holds many that don't grow. While of
    all of them nothing is known yet, the one that would be too much is failed.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._messages: dict[MessageReceiver, _Message] = {}
        self._bytes = 0
        self._looked_at = -math.inf

    def note(self, receiver: MessageReceiver, buffered_bytes: int, now: float) -> None:
        """Note how large a socket's message is, as far as it is known; 0: there is none."""
        message = self._messages.get(receiver)
        if not buffered_bytes:
            self.discard(receiver)
            return
        if message is None:
            message = self._messages[receiver] = _Message(0, receiver.received_bytes, now)
        self._bytes += buffered_bytes - message.bytes
        message.bytes = buffered_bytes
        if self._bytes > self._max_bytes / 2 and now - self._looked_at >= _LOOK_SECONDS:
            self._look(now)
        while self._bytes > self._max_bytes and self._messages:
            slowest = min(self._messages, key=lambda each: self._messages[each].pace)
            if self._messages[slowest].pace == math.inf and receiver in self._messages:
                slowest = receiver
            self.discard(slowest)
            slowest.fail_unfinished()

    def discard(self, receiver: MessageReceiver) -> None:
        """Note that a socket's message has come whole, or never will. Safe to repeat."""
        message = self._messages.pop(receiver, None)
        if message is not None:
            self._bytes -= message.bytes

    def _look(self, now: float) -> None:
        self._looked_at = now
        for receiver, message in self._messages.items():
            seconds = now - message.looked_at
            if seconds >= _LOOK_SECONDS:
                pace = (receiver.received_bytes - message.received_bytes) / seconds
                # Halved, so that a pause of a second doesn't pass for a peer that has stalled.
                message.pace = pace if message.pace == math.inf else (message.pace + pace) / 2
                message.received_bytes, message.looked_at = receiver.received_bytes, now
