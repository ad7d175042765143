"""A chunk as a binary frame, how files are cut, and sets of chunk indexes. Pure.

Big-endian: version u8 = 1, kind u8 = 1, flags u16, transfer id 16 B, file u32, index u32,
length u32, SHA-256 32 B, payload. Source: docs/realtime.md, Files, device to device.
"""

import hashlib
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from sharezync.problems import Corrupt

HEADER: Final = struct.Struct(">BBH16sIII32s")
HEADER_BYTES: Final = HEADER.size
DIGEST_BYTES: Final = 32

Place = tuple[int, int]
"""A chunk within its transfer: file and index, each from 0."""


class Chunk(NamedTuple):
    """A chunk that came; `payload` is a view of the frame, and nobody has looked at it yet."""

    file: int
    number: int
    digest: bytes
    payload: memoryview


def decode(frame: bytes) -> Chunk:
    """Return the chunk in a binary frame. Raises Corrupt for what is none."""
    if len(frame) < HEADER_BYTES:
        raise Corrupt("a frame came that is shorter than a chunk's header")
    version, kind, _, _, file, number, length, digest = HEADER.unpack_from(frame)
    payload = memoryview(frame)[HEADER_BYTES:]
    if (version, kind, length) != (1, 1, len(payload)):
        raise Corrupt("a frame came that is no chunk of this version")
    return Chunk(file, number, digest, payload)


def encode(buffer: bytearray, transfer: bytes, place: Place, length: int) -> memoryview:
    """Write the header before a payload that lies in `buffer` already; return the frame.

    The payload is not copied. `transfer` is the id's 16 bytes.
    """
    view = memoryview(buffer)
    digest = hashlib.sha256(view[HEADER_BYTES : HEADER_BYTES + length]).digest()
    HEADER.pack_into(buffer, 0, 1, 1, 0, transfer, *place, length, digest)
    return view[: HEADER_BYTES + length]


def chunk_count(size_bytes: int, chunk_size_bytes: int) -> int:
    """Return how many chunks a file has; an empty one has none."""
    return -(-size_bytes // chunk_size_bytes)


def chunk_length(size_bytes: int, chunk_size_bytes: int, index: int) -> int:
    """Return how many bytes a chunk has; only the last may be shorter."""
    return min(chunk_size_bytes, size_bytes - index * chunk_size_bytes)


def root_of(digests: bytes | bytearray) -> str:
    """Return a file's root in hex: SHA-256 over the digests of its chunks, in order."""
    return hashlib.sha256(digests).hexdigest()


class Ranges:
    """A set of whole numbers that costs memory by its gaps, not by its members."""

    __slots__ = ("_pairs",)

    def __init__(self, pairs: Iterable[Sequence[int]] = ()) -> None:
        self._pairs: list[tuple[int, int]] = []
        for first, last in pairs:
            self.add(first, last)

    @classmethod
    def whole(cls, count: int) -> "Ranges":
        return cls([(0, count - 1)] if count > 0 else [])

    def add(self, first: int, last: int | None = None) -> None:
        """Put in every number from `first` to `last`; without `last` only `first`."""
        last = first if last is None else last
        if not 0 <= first <= last:
            raise ValueError(f"{first} to {last} is no range")
        begin = bisect_right(self._pairs, first - 1, key=lambda pair: pair[1] + 1)
        # Everything that touches the new range becomes one with it.
        while begin and self._pairs[begin - 1][1] >= first - 1:
            begin -= 1
        end = bisect_right(self._pairs, last + 1, key=lambda pair: pair[0])
        if begin < end:
            first = min(first, self._pairs[begin][0])
            last = max(last, self._pairs[end - 1][1])
        self._pairs[begin:end] = [(first, last)]

    def pairs(self) -> list[tuple[int, int]]:
        """Return the set as it is written on the wire."""
        return list(self._pairs)

    @property
    def count(self) -> int:
        return sum(last - first + 1 for first, last in self._pairs)

    @property
    def first_gap(self) -> int:
        """The lowest number that is not in."""
        return self._pairs[0][1] + 1 if self._pairs and self._pairs[0][0] == 0 else 0

    def from_index(self, start: int, most: int) -> list[int]:
        """Return the lowest `most` members from `start` on."""
        found: list[int] = []
        for first, last in self._pairs:
            begin = max(first, start)
            found.extend(range(begin, min(last + 1, begin + most - len(found))))
            if len(found) >= most:
                break
        return found

    def __contains__(self, index: int) -> bool:
        place = bisect_right(self._pairs, index, key=lambda pair: pair[0])
        return place > 0 and self._pairs[place - 1][1] >= index

    def __iter__(self) -> Iterator[int]:
        for first, last in self._pairs:
            yield from range(first, last + 1)

    def __bool__(self) -> bool:
        return bool(self._pairs)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and self._pairs == other._pairs

    __hash__ = None  # type: ignore[assignment]  # it changes: not a key

    def __repr__(self) -> str:
        return f"Ranges({self._pairs})"
