"""Large frames on their way in: read from the socket to where they are parsed.

websockets appends what is read to a buffer and copies each frame out of it, after the event loop
has copied what the kernel copied. A frame of some size (a chunk of a file) is here received into a
place of its own, as soon as its beginning has come.
"""

from collections.abc import Generator
from typing import Final

from websockets.streams import StreamReader

from sharezync_shared.server.frame_limits import TURN_FRAMES
from sharezync_shared.server.request_body import Reads, SharedBufferReader

READ_BYTES: Final = 64 * 1024
"""The most that is read at a time, but for the rest of a large frame.

Also how much of a large frame must have come before room is made for all of it: who only says that
a frame will be large must not cost as much as who sends one.
"""


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
