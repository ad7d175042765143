"""What waits to be sent to one socket, bounded in bytes.

The queue is the transport's own buffer: a frame is in it or was refused, and nothing of it lies
anywhere else. Only while a socket is being made ready are frames kept here, to follow `ready`.
"""

from collections.abc import Callable
from typing import Final

from sharezync_shared.server import BINARY, HIGH_WATER_BYTES, FramePort, frame_header
from sharezync_shared.sizes import MAX_TEXT_FRAME_BYTES

SIGNAL_LIMIT_BYTES: Final = HIGH_WATER_BYTES
"""With more than this waiting, signals are dropped."""
EVENT_LIMIT_BYTES: Final = 16 * MAX_TEXT_FRAME_BYTES
"""With more than this waiting, the peer is too slow to keep."""


class Outbound:
    """One socket's way out. Never blocks; a frame is a whole WebSocket frame, or several in one."""

    __slots__ = ("_buffered", "_buffered_bytes", "_bulk_bytes", "_port", "write")

    def __init__(self, port: FramePort) -> None:
        self._port = port
        self._bulk_bytes = 0
        self._buffered: list[bytes] | None = None
        self._buffered_bytes = 0
        self.write: Callable[[bytes], bool] = port.write
        """Write frames unless the peer is slow or going; False means that nothing was written.

        The one call that fan-out makes for each socket: a bound method of the port, or what
        `cork` puts in its place.
        """

    @property
    def buffered_bytes(self) -> int:
        return self._port.buffered_bytes + self._buffered_bytes

    def write_event(self, frame: bytes) -> bool:
        """Write what must not be lost; False if the peer is too slow for it, or going."""
        return self.write(frame) or self._write_within(frame, EVENT_LIMIT_BYTES)

    def write_signal(self, frame: bytes) -> bool:
        """Write what may be lost; False if it was."""
        return self.write(frame) or self._write_within(frame, SIGNAL_LIMIT_BYTES)

    def send_binary(self, *parts: bytes, kind: int = BINARY) -> bool:
        """Write one binary message, or a text as large as one, in pieces that aren't copied.

        False, and nothing written, if the peer is slow or going: `wait_writable` says when to try
        again. What waits of it doesn't count against events: a chunk alone may be as large as their
        limit.
        """
        header = frame_header(kind, sum(map(len, parts)))
        if not self._port.write_parts([header, *parts]):
            return False
        # Never more than lies in the buffer now, so it can't grow with what was sent long ago.
        buffered = self._port.buffered_bytes
        self._bulk_bytes = min(self._bulk_bytes + len(header) + sum(map(len, parts)), buffered)
        return True

    async def wait_writable(self) -> bool:
        """Wait until the peer isn't slow. False if the socket is closed or closing."""
        return await self._port.wait_writable()

    def shut(self, code: int, reason: str) -> None:
        """Close behind what was written; what is held is forgotten."""
        self._buffered = None
        self._buffered_bytes = 0
        self.write = self._port.write
        self._port.close(code, reason)

    def limit_messages(self, most_bytes: int | None) -> None:
        """Bound what the peer may send in one message; see `FramePort.limit_messages`."""
        self._port.limit_messages(most_bytes)

    # --- until the socket is ready -------------------------------------------------------------

    def cork(self) -> None:
        """Keep what is written from now on until `uncork`; False answers begin at the bound."""
        self._buffered = []
        self._buffered_bytes = 0
        self.write = self._keep

    def uncork(self, first: bytes) -> bool:
        """Send the frame `first`, then what was held, and hold no more; False if that failed."""
        held, self._buffered, self._buffered_bytes = self._buffered or [], None, 0
        self.write = self._port.write
        return self.write_event(b"".join([first, *held]))

    def write_past(self, frame: bytes) -> bool:
        """Write at once, past what is held."""
        return self._port.write(frame)

    def _keep(self, frame: bytes) -> bool:
        if self._buffered is None or self._buffered_bytes + len(frame) > SIGNAL_LIMIT_BYTES:
            return False
        self._buffered.append(frame)
        self._buffered_bytes += len(frame)
        return True

    def _write_within(self, frame: bytes, limit_bytes: int) -> bool:
        if self._buffered is not None:
            return False
        # How much of what waits may still be bulk: too high rather than too low, and bounded.
        self._bulk_bytes = min(self._bulk_bytes, self._port.buffered_bytes)
        return self._port.write_within(frame, limit_bytes + self._bulk_bytes)
