"""Frames of WebSockets: written, counted, and read from the socket to where they are parsed.

A frame of no bytes costs its sender six, and us as much work as one of a kilobyte. What brings
something is bounded by the line and by who reads it; what brings nothing is counted.

websockets appends what is read to a buffer and copies each frame out of it, after the event loop
has copied what the kernel copied. A frame of some size (a chunk of a file) is here received into a
place of its own, as soon as its beginning has come. Source: RFC 6455 §5.2.
"""

import struct
from collections.abc import Generator, Iterator
from typing import Final

from websockets.streams import StreamReader

from sharezync_shared.server.request_body import Reads, SharedBufferReader

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


TEXT: Final = 0x81
"""First byte of a whole text message: FIN and opcode 1."""
BINARY: Final = 0x82
"""First byte of a whole binary message: FIN and opcode 2."""

READ_BYTES: Final = 64 * 1024
"""The most that is read at a time, but for the rest of a large frame.

Also how much of a large frame must have come before room is made for all of it: who only says that
a frame will be large must not cost as much as who sends one.
"""


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


def frame_header(first_byte: int, payload_bytes: int) -> bytes:
    """Return what stands before a payload of that many bytes; the length in its shortest form."""
    if payload_bytes < 126:
        return bytes((first_byte, payload_bytes))
    if payload_bytes < 65536:
        return struct.pack("!BBH", first_byte, 126, payload_bytes)
    return struct.pack("!BBQ", first_byte, 127, payload_bytes)


def encode_text_frame(payload: bytes) -> bytes:
    """Return one whole text message. `payload` must be UTF-8: nobody checks it again."""
    return frame_header(TEXT, len(payload)) + payload


def text_payloads(frames: bytes) -> Iterator[bytes]:
    """Yield what the text messages hold in whole frames of ours; others are passed over."""
    at = 0
    while at < len(frames):
        kind, length, begin = frames[at], frames[at + 1], at + 2
        if length > 125:
            extended = 2 if length == 126 else 8
            length = int.from_bytes(frames[begin : begin + extended])
            begin += extended
        at = begin + length
        if kind == TEXT:
            yield frames[begin:at]


def encode_binary_frame(payload: bytes) -> bytes:
    """Return one whole binary message."""
    return frame_header(BINARY, len(payload)) + payload


class FrameStream(StreamReader):
    """The stream that websockets' parser reads from, which lets large frames bypass its buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.awaited: memoryview | None = None
        """Where the rest of a large frame goes that has come in part."""
        self.frames_left = TURN_FRAMES
        """How many more frames the parser may begin in this turn; whoever feeds it sets this."""
        self.frames_begun = 0
        self.in_frame = False
        """Whether a frame has begun and is not whole."""
        self.large_frame_bytes = 0
        """Of the large frame that has come in part: room is made for all of it; 0: of none."""
        self.received_bytes = 0
        """Since the beginning."""

    @property
    def has_more(self) -> bool:
        """Whether the parser stopped though there is something to parse: its turn is over."""
        return self.frames_left == 0 and not self.in_frame and bool(self.buffer)

    def at_eof(self) -> Generator[None, None, bool]:
        """As `StreamReader.at_eof`, which the parser calls before each frame; waits for a turn."""
        self.in_frame = False
        while not self.buffer or (self.frames_left == 0 and not self.eof):
            if self.eof:
                return True
            yield
        self.frames_left -= 1
        self.frames_begun += 1
        self.in_frame = True
        return False

    def read_exact(self, n: int) -> Generator[None, None, bytearray]:
        """Read so many bytes; see `StreamReader.read_exact`."""
        if n > READ_BYTES:
            while len(self.buffer) < READ_BYTES and not self.eof:
                yield
            if not self.eof and len(self.buffer) < n:
                return (yield from self._read_rest(n))
        return (yield from super().read_exact(n))

    def feed_data(self, data: bytes | bytearray | memoryview) -> None:
        """Write data to the stream; what is awaited goes to its place."""
        self.received_bytes += len(data)
        if self.awaited is not None:
            count = min(len(data), len(self.awaited))
            self.awaited[:count] = data[:count]
            self._advance(count)
            data = data[count:]
        super().feed_data(data)  # type: ignore[arg-type]  # any buffer will do

    def advance(self, count: int) -> bool:
        """Note that so many bytes were put into `awaited`; False if there is none left."""
        self.received_bytes += count
        return self._advance(count)

    def _advance(self, count: int) -> bool:
        if self.awaited is not None:
            self.awaited = self.awaited[count:] or None
        return self.awaited is not None

    def _read_rest(self, n: int) -> Generator[None, None, bytearray]:
        frame = bytearray(n)
        self.large_frame_bytes = n
        have = len(self.buffer)
        frame[:have] = self.buffer
        self.buffer.clear()
        self.awaited = memoryview(frame)[have:]
        try:
            while self._advance(0):
                if self.eof:
                    raise EOFError("stream ends in the middle of a frame")
                yield
        finally:
            self.awaited = None
            self.large_frame_bytes = 0
        return frame


class FrameReader(SharedBufferReader):
    """Reads for a WebSocket protocol; the rest of a large frame goes straight to its place."""

    __slots__ = ("_stream",)

    def __init__(self, protocol: Reads, stream: FrameStream) -> None:
        """`stream` is the one that the protocol's parser reads from."""
        super().__init__(protocol)
        self._stream = stream

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._stream.awaited or super().get_buffer(sizehint)

    def buffer_updated(self, nbytes: int) -> None:
        if self._stream.awaited is None:
            super().buffer_updated(nbytes)
        elif not self._stream.advance(nbytes):
            self._protocol.data_received(b"")  # the frame is whole: parse it
