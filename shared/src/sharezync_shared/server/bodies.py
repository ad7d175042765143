"""Bodies of requests: where one ends, and what in it is content. Without I/O."""

import re
from collections.abc import Callable
from typing import Final, Protocol

from sharezync_shared.problems import Malformed
from sharezync_shared.server.bounds import (
    FRAMING_BYTES,
    MAX_CHUNK_LINE_BYTES,
    MAX_EXCESS_BYTES,
    MAX_TRAILER_BYTES,
    HeadTooLarge,
)

_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;[\t\x20-\x7e\x80-\xff]*)?")
_FIELD_LINE: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")

_LEAST_END_BYTES: Final = len(b"0\r\n\r\n")

Keep = Callable[[bytes], None]
"""Takes a piece of content, which is the taker's own."""


class FramedBody(Protocol):
    """One request's body on its way in."""

    @property
    def is_complete(self) -> bool: ...

    @property
    def wanted_bytes(self) -> int:
        """How much to read now: nothing behind the body, where its end is known."""
        ...

    def missing_bytes(self, unread_bytes: int) -> int:
        """Return how many bytes must still come at least, when so many have that weren't read."""
        ...

    def feed(self, data: memoryview, keep: Keep, *, at_most: int) -> memoryview:
        """Give `keep` the content in `data`, and return what was not looked at.

        That is what lies behind the body's end, or behind so many steps: each is some work,
        whatever its size. Raises Malformed and HeadTooLarge.
        """
        ...


class LengthBody:
    """A body of `Content-Length` bytes."""

    __slots__ = ("wanted_bytes",)

    def __init__(self, length: int) -> None:
        self.wanted_bytes = length

    @property
    def is_complete(self) -> bool:
        return not self.wanted_bytes

    def missing_bytes(self, unread_bytes: int) -> int:
        return max(0, self.wanted_bytes - unread_bytes)

    def feed(self, data: memoryview, keep: Keep, *, at_most: int) -> memoryview:  # noqa: ARG002 - one step
        piece = bytes(data[: self.wanted_bytes])
        self.wanted_bytes -= len(piece)
        if piece:
            keep(piece)
        return data[len(piece) :]


class ChunkedBody:
    """A body in chunks (RFC 9112 §7.1). Extensions and trailers are checked, and dropped."""

    __slots__ = ("_excess", "_line", "_read", "_remaining", "_trailer_bytes", "is_complete")

    def __init__(self) -> None:
        self.is_complete = False
        self._remaining = 0  # of a chunk's content
        self._line = b""  # the beginning of one that has not come whole
        self._read: Callable[[bytes], None] = self._read_size
        self._excess = 0
        self._trailer_bytes = 0

    @property
    def wanted_bytes(self) -> int:
        return self._remaining + FRAMING_BYTES

    def missing_bytes(self, unread_bytes: int) -> int:
        if self.is_complete:
            return 0
        end_bytes = 1 if self.in_trailers or self._line else _LEAST_END_BYTES
        return max(0, self._remaining + end_bytes - unread_bytes)

    @property
    def in_trailers(self) -> bool:
        """Whether all of the content has come."""
        return self._read == self._read_trailer

    def feed(self, data: memoryview, keep: Keep, *, at_most: int) -> memoryview:
        if self._remaining:
            data = self._feed_content(data, keep)
        rest = bytes(data)  # there is little behind a large chunk: see `wanted_bytes`
        at = 0
        while at < len(rest) and at_most and not self.is_complete:
            at_most -= 1
            if self._remaining:
                piece = rest[at : at + self._remaining]
                at += len(piece)
                self._remaining -= len(piece)
                keep(piece)
                if not self._remaining and rest.startswith(b"\r\n", at):
                    at += 2
                    self._read = self._read_size
            else:
                at = self._feed_line(rest, at)
        return data[at:]

    def _feed_content(self, data: memoryview, keep: Keep) -> memoryview:
        piece = bytes(data[: self._remaining])
        self._remaining -= len(piece)
        if piece:
            keep(piece)
        return data[len(piece) :]

    def _feed_line(self, data: bytes, at: int) -> int:
        """Read the line that goes on at `at`, and return where the next one begins."""
        limit = MAX_TRAILER_BYTES if self.in_trailers else MAX_CHUNK_LINE_BYTES
        if self._line:
            line = self._line + data[at : at + limit + 2]
            end = line.find(b"\r\n")
            after = at + end + 2 - len(self._line)
        else:
            end = data.find(b"\r\n", at, at + limit + 2)
            line, end, after = (data[at:end], end - at, end + 2) if end >= 0 else (b"", -1, 0)
        if end < 0:
            self._line += data[at : at + limit + 2]
            if len(self._line) > limit + 1:
                raise self._too_long()
            return len(data)
        if end > limit:
            raise self._too_long()
        self._line = b""
        self._read(line[:end])
        return after

    def _read_size(self, line: bytes) -> None:
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise Malformed("A chunk of the body has an invalid size")
        self._remaining = size = int(match[1], 16)
        self._excess = max(0, self._excess + len(line) + 4 - size)
        if self._excess > MAX_EXCESS_BYTES:
            raise Malformed("The chunks of the body are too small")
        self._read = self._read_end if size else self._read_trailer

    def _read_end(self, line: bytes) -> None:
        if line:
            raise Malformed("A chunk of the body is longer than its size")
        self._read = self._read_size

    def _read_trailer(self, line: bytes) -> None:
        if not line:
            self.is_complete = True
            return
        self._trailer_bytes += len(line) + 2
        if self._trailer_bytes > MAX_TRAILER_BYTES:
            raise self._too_long()
        if not _FIELD_LINE.fullmatch(line):
            raise Malformed("A trailer of the body is malformed")

    def _too_long(self) -> Malformed | HeadTooLarge:
        if self.in_trailers:
            return HeadTooLarge(f"At most {MAX_TRAILER_BYTES} bytes of trailers are accepted")
        return Malformed(
            f"At most {MAX_CHUNK_LINE_BYTES} bytes of a chunk's size are accepted here"
        )
