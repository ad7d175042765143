"""What the programs here share: the way in, and the binary frame of a chunk."""

import hashlib
import json
import struct
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from uuid import UUID

import websockets
from websockets.asyncio.client import ClientConnection

# version, kind, flags, transfer id, file, index, length, sha256; big-endian
HEADER = struct.Struct(">BBH16sIII32s")


class Chunk(NamedTuple):
    """A piece of a file on its way."""

    transfer_id: str
    file: int
    number: int
    payload: bytes
    sha256: bytes

    def encode(self) -> bytes:
        """The chunk as a binary frame."""
        transfer = UUID(self.transfer_id).bytes
        size = len(self.payload)
        return (
            HEADER.pack(1, 1, 0, transfer, self.file, self.number, size, self.sha256) + self.payload
        )

    @classmethod
    def decode(cls, frame: bytes) -> "Chunk":
        """The chunk in a binary frame. Raises ValueError where its digest or length is wrong."""
        _, _, _, transfer, file, number, length, sha256 = HEADER.unpack_from(frame)
        payload = frame[HEADER.size :]
        if len(payload) != length or hashlib.sha256(payload).digest() != sha256:
            raise ValueError(f"chunk {number} arrived damaged")
        return cls(str(UUID(bytes=transfer)), file, number, payload, sha256)


@asynccontextmanager
async def connected(url: str, token: str, device: str) -> AsyncGenerator[ClientConnection]:
    """A socket of the device `device`, which the first connection registers."""
    async with websockets.connect(
        f"{url.replace('http', 'ws', 1)}/ws/{device}",
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[websockets.Subprotocol("sharezync.v1")],
        max_size=4 * 1024 * 1024,
        compression=None,
    ) as socket:
        yield socket


async def next_frame(socket: ClientConnection) -> dict[str, Any] | Chunk:
    """The next frame: a chunk, or anything else as a dict. Raises RuntimeError for an `error`."""
    message = await socket.recv()
    if isinstance(message, bytes):
        return Chunk.decode(message)
    frame: dict[str, Any] = json.loads(message)
    if frame["type"] == "error":
        raise RuntimeError(ascii(f"{frame['code']}: {frame['message']}"))
    return frame


async def frame_of(socket: ClientConnection, *types: str) -> dict[str, Any]:
    """The next frame of one of these types; others are passed over."""
    while True:
        frame = await next_frame(socket)
        if isinstance(frame, dict) and frame["type"] in types:
            return frame
