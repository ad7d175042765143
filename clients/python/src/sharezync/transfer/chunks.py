"""A chunk as a binary frame, and how files are cut. Pure.

Big-endian: version u8 = 1, kind u8 = 1, flags u16, transfer id 16 B, file u32, index u32,
length u32, SHA-256 32 B, payload. Source: docs/realtime.md, Files, device to device.
"""

import hashlib
import struct
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
