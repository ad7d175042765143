"""How many frames one peer may send, and how slowly one message may come. Pure.

A frame of no bytes costs its sender six, and us as much work as one of a kilobyte. What brings
something is bounded by the line and by who reads it; what brings nothing is counted.
"""

from typing import Final

TURN_FRAMES: Final = 64
"""Frames of one peer that are parsed before others get their turn: about half a millisecond."""

OVERHEAD_PER_SECOND: Final = 20.0
"""Frames that bring nothing, on average: pings, pongs, fragments under `SMALL_BYTES`. Clients send
a few a minute; unsolicited pongs are legal (RFC 6455 §5.5.3)."""
OVERHEAD_BURST: Final = 1000.0
"""As many at once. Who sends more is flooding."""
SMALL_BYTES: Final = 1024
"""A fragment of less brings nothing. Browsers cut a message into pieces of 16 KiB and more."""

MESSAGES_PER_SECOND: Final = 2000.0
"""Messages under `BULK_BYTES`, on average. What is beyond is read later, and nothing is lost: the
application has limits of its own for those that ask for something. Four times as many as there are
chunks where a thousand files of a kilobyte are sent in two seconds."""
MESSAGES_BURST: Final = 4000.0
"""As many at once."""
BULK_BYTES: Final = 16 * 1024
"""A message of so much isn't counted: its bytes take longer than its parsing."""

PACE_BYTES_PER_SECOND: Final = 4096.0
"""The least that an unfinished message must grow by. A chunk of 1 MiB has four minutes."""
PACE_GRACE_SECONDS: Final = 15.0
"""How long a message may take whatever its size; also how often its growth is looked at."""


class FrameBudget:
    """What one peer may still send: two token buckets. Seconds are those of any steady clock."""

    __slots__ = ("_at", "_messages", "_overhead")

    def __init__(self, now: float) -> None:
        self._at = now
        self._overhead = OVERHEAD_BURST
        self._messages = MESSAGES_BURST

    def spend_overhead(self, now: float) -> bool:
        """Count a frame that brings nothing; False if the peer is flooding."""
        self.refill(now)
        self._overhead -= 1
        return self._overhead >= 0

    def spend_message(self, now: float) -> None:
        """Count a message that came; `wait_seconds` says when the next may."""
        self.refill(now)
        self._messages -= 1

    def wait_seconds(self) -> float:
        """Return how long no more messages should be read, as of the last `refill`; or 0."""
        return max(0.0, -self._messages) / MESSAGES_PER_SECOND

    def refill(self, now: float) -> None:
        """Give back what time restores."""
        passed, self._at = now - self._at, now
        self._overhead = min(OVERHEAD_BURST, self._overhead + passed * OVERHEAD_PER_SECOND)
        self._messages = min(MESSAGES_BURST, self._messages + passed * MESSAGES_PER_SECOND)


class Growth:
    """Looks whether an unfinished message grows at a minimum pace."""

    __slots__ = ("_bytes", "_message", "_since")

    def __init__(self, message: object, received_bytes: int, now: float) -> None:
        self._message = message
        self._bytes = received_bytes
        self._since = now

    def is_too_slow(self, message: object, received_bytes: int, now: float) -> bool:
        """Return whether the message that was unfinished last time still is, and grew too little.

        `message` is what tells one from another; `received_bytes` is how much came on the whole
        connection. Another message than last time is measured from now on.
        """
        if message != self._message:
            self._message, self._bytes, self._since = message, received_bytes, now
            return False
        due = (now - self._since - PACE_GRACE_SECONDS) * PACE_BYTES_PER_SECOND
        return received_bytes - self._bytes < due
