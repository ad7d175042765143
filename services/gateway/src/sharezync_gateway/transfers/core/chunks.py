"""A chunk of a file as it travels on a socket: as a binary frame, or in JSON. Pure.

Big-endian: `version u8 =1 | kind u8 (1 chunk) | flags u16 | transfer_id 16 B | file u32 |
index u32 | length u32 | sha256 32 B | payload`. Source: realtime.md, Transfer over the socket.
"""

import struct
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

import msgspec

from sharezync_gateway.realtime.protocol import (
    CHUNK_HEADER_BYTES,
    BadFrame,
    FrameHead,
)
from sharezync_shared.sizes import MAX_CHUNK_BYTES

VERSION: Final = 1
KIND_CHUNK: Final = 1

_HEADER: Final = struct.Struct(">BBH16sIII32s")

Bytes = bytes | memoryview
"""Bytes that nobody changes: a piece of a frame need not be copied out of it."""
Place = tuple[int, int]
"""A chunk within its transfer: file and index, each from 0."""


class Chunk(msgspec.Struct, frozen=True):
    """One chunk, well-formed; whether the digest is that of the payload is not known here."""

    transfer_id: UUID
    file: int
    index: int
    sha256: bytes
    payload: Bytes
    frame: bytes
    """The whole binary frame: what goes down to a receiver, as it came up."""

    @property
    def place(self) -> Place:
        """Where in its transfer it belongs."""
        return self.file, self.index


def chunk_header(
    transfer_id: UUID, file: int, index: int, length_bytes: int, sha256: bytes
) -> bytes:
    """Return what stands before a payload of that many bytes in a binary frame."""
    return _HEADER.pack(
        VERSION, KIND_CHUNK, 0, transfer_id.bytes, file, index, length_bytes, sha256
    )


def decode_frame(frame: bytes) -> Chunk:
    """Return the chunk in a binary frame, whose payload is not copied.

    Raises BadFrame with the code `chunk-header`, `chunk-version`, `chunk-kind`, `chunk-flags`,
    `chunk-too-large` or `chunk-length`.
    """
    if len(frame) < CHUNK_HEADER_BYTES:
        raise BadFrame("chunk-header", f"A chunk begins with {CHUNK_HEADER_BYTES} bytes of header")
    version, kind, flags, transfer_id, file, index, length, sha256 = _HEADER.unpack_from(frame)
    if version != VERSION:
        raise BadFrame("chunk-version", f"Version {version} isn't supported; use {VERSION}")
    if kind != KIND_CHUNK:
        raise BadFrame("chunk-kind", f"Unknown kind of frame: {kind}")
    if flags:
        # They go down to receivers as they came: what we don't know must not pass for known.
        raise BadFrame("chunk-flags", "Flags must be 0")
    came = len(frame) - CHUNK_HEADER_BYTES
    if max(length, came) > MAX_CHUNK_BYTES:
        raise BadFrame("chunk-too-large", f"A chunk has at most {MAX_CHUNK_BYTES} bytes")
    if length != came:
        raise BadFrame("chunk-length", f"The payload has {came} bytes instead of {length}")
    payload = memoryview(frame)[CHUNK_HEADER_BYTES:]
    return Chunk(UUID(bytes=transfer_id), file, index, sha256, payload, frame)


_Index = Annotated[int, msgspec.Meta(ge=0, lt=2**32)]


class JsonChunk(msgspec.Struct):
    """A chunk as a `file_chunk` frame; `data` is base64 (RFC 4648 §4)."""

    transfer_id: UUID
    file: _Index
    index: _Index
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{64}$")]
    data: bytes


class JsonChunkDown(JsonChunk, tag_field="type", tag="file_chunk"):
    """A chunk as recipients get it that asked for JSON."""


_json_decoder = msgspec.json.Decoder(JsonChunk)


def read_transfer_id(head: FrameHead) -> UUID:
    """Return the transfer that a `file_chunk` frame is about. Raises BadFrame."""
    try:
        return msgspec.json.decode(head.transfer_id, type=UUID)
    except msgspec.DecodeError as error:
        raise BadFrame("invalid", f"{error} - at `$.transfer_id`", head.id) from error


def decode_json(text: str) -> Chunk:
    """Return the chunk in a `file_chunk` frame; `data` is base64 (RFC 4648 §4).

    Raises BadFrame with the code `invalid` or `chunk-too-large`.
    """
    try:
        said = _json_decoder.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BadFrame("invalid", str(error) or "Not a valid chunk") from error
    if len(said.data) > MAX_CHUNK_BYTES:
        raise BadFrame("chunk-too-large", f"A chunk has at most {MAX_CHUNK_BYTES} bytes")
    sha256 = bytes.fromhex(said.sha256)
    return gather_chunk(said.transfer_id, said.file, said.index, sha256, [said.data])


def encode_json(frame: bytes) -> bytes:
    """Return the `file_chunk` frame of what a binary frame of ours holds."""
    chunk = decode_frame(frame)
    payload = bytes(chunk.payload)
    return msgspec.json.encode(
        JsonChunkDown(chunk.transfer_id, chunk.file, chunk.index, chunk.sha256.hex(), payload)
    )


def gather_chunk(
    transfer_id: UUID, file: int, index: int, sha256: bytes, pieces: Sequence[bytes]
) -> Chunk:
    """Return the chunk whose payload came in `pieces`. They are copied together, once."""
    length = sum(map(len, pieces))
    frame = b"".join([chunk_header(transfer_id, file, index, length, sha256), *pieces])
    payload = memoryview(frame)[CHUNK_HEADER_BYTES:]
    return Chunk(transfer_id, file, index, sha256, payload, frame)
