"""A socket, a store and services in memory, for the parts that move chunks."""

import asyncio
import hashlib
import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, cast
from uuid import UUID, uuid4

import msgspec
from prometheus_client import CollectorRegistry

from sharezync_gateway.realtime.connection import Connection
from sharezync_gateway.transfers.context import TransferContext
from sharezync_gateway.transfers.core.calls import Caller, TransferCalls
from sharezync_gateway.transfers.core.chunk_store import (
    ChunkAbsent,
    ChunkRefused,
    ChunkStore,
    StoreAway,
    StoredChunk,
)
from sharezync_gateway.transfers.core.chunks import Bytes, Chunk, gather_chunk
from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.storage import ChunkStored
from sharezync_shared.contracts.transfer import ParticipationRead, Standing
from sharezync_shared.events.local import LocalBus
from sharezync_shared.ranges import Ranges
from sharezync_shared.server import BINARY

CHUNK = 100
"""Size of chunks in these tests; only the last of a file may be shorter."""


class FakeSocket:
    """As much of a `Connection` as chunks need; `writable` False makes it a slow one."""

    def __init__(self) -> None:
        self.closed = False
        self.admitted = 0
        self.most_admitted = 100
        self.user_id = "ada"
        self.device: str | None = None
        self.buffered_bytes = 0
        self.texts: list[dict[str, Any]] = []
        self.frames: list[bytes] = []
        self.writable = asyncio.Event()
        self.writable.set()

    @property
    def connection(self) -> Connection:
        return cast("Connection", self)

    def admit(self, frame_id: object, now: float) -> bool:
        self.admitted += 1
        return self.admitted <= self.most_admitted

    def send_text(self, payload: bytes) -> bool:
        self.texts.append(json.loads(payload))
        return True

    def send_binary(self, *parts: bytes, kind: int = BINARY) -> bool:
        assert kind == BINARY
        if not self.writable.is_set():
            return False
        self.frames.append(b"".join(parts))
        return True

    async def wait_writable(self) -> bool:
        await self.writable.wait()
        return not self.closed

    def said(self, kind: str) -> list[dict[str, Any]]:
        return [text for text in self.texts if text["type"] == kind]


class FakeStore(ChunkStore):
    """A `ChunkStore` in memory. `gate` holds every put back; `away` is how many calls fail."""

    def __init__(self) -> None:
        self.chunks: dict[tuple[UUID, int], StoredChunk] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.away = 0
        self.puts = self.gets = 0
        self.most_bytes = self._bytes = 0

    async def start(self) -> None:
        pass

    async def aclose(self) -> None:
        pass

    async def put_chunk(
        self, upload_id: UUID, index: int, sha256: bytes, payload: Bytes
    ) -> ChunkStored:
        self.puts += 1
        self._bytes += len(payload)
        self.most_bytes = max(self.most_bytes, self._bytes)
        try:
            await self.gate.wait()
            self._be_away()
            content = bytes(payload)
            if hashlib.sha256(content).digest() != sha256:
                raise ChunkRefused("chunk-corrupt", "")
            self.chunks[upload_id, index] = StoredChunk(content, sha256)
        finally:
            self._bytes -= len(payload)
        held = self.held(upload_id)
        total = sum(len(c.payload) for (u, _), c in self.chunks.items() if u == upload_id)
        return ChunkStored(total, held.first_gap, complete=False)

    async def get_chunk(self, upload_id: UUID, index: int) -> StoredChunk:
        self.gets += 1
        await asyncio.sleep(0)
        self._be_away()
        chunk = self.chunks.get((upload_id, index))
        if chunk is None:
            raise ChunkAbsent
        return chunk

    def held(self, upload_id: UUID) -> Ranges:
        return Ranges((i, i) for u, i in self.chunks if u == upload_id)

    def _be_away(self) -> None:
        if self.away:
            self.away -= 1
            raise StoreAway("away")


class FakeCalls(TransferCalls):
    """Calls that answer from memory; `away` is how many of them fail."""

    def __init__(self, store: FakeStore) -> None:
        self.store = store
        self.reports: list[tuple[float, dict[int, int], dict[int, list[tuple[int, int]]]]] = []
        self.looks = 0
        self.away = 0

    async def report(
        self,
        transfer_id: UUID,
        caller: Caller,
        *,
        stored: Mapping[int, int],
        received: Mapping[int, Ranges],
    ) -> Standing:
        now = asyncio.get_running_loop().time()
        self._be_away()
        pairs = {file: ranges.pairs() for file, ranges in received.items()}
        self.reports.append((now, dict(stored), pairs))
        return Standing("receiving")

    async def stored(self, upload_id: UUID) -> Ranges:
        self.looks += 1
        self._be_away()
        return self.store.held(upload_id)

    def _be_away(self) -> None:
        if self.away:
            self.away -= 1
            raise ServiceUnavailable("transfer", "away")


class Scene:
    """A socket, a store, and the context of a node between them."""

    def __init__(self) -> None:
        self.socket = FakeSocket()
        self.store = FakeStore()
        self.calls = FakeCalls(self.store)
        self.bus = LocalBus()
        self.registry = CollectorRegistry()
        self.context = TransferContext(
            bus=self.bus, registry=self.registry, store=self.store, calls=self.calls
        )
        self.tasks = self.context.tasks


def attachment(
    *sizes: int,
    role: str = "sender",
    state: str = "accepted",
    window_bytes: int = 4 * CHUNK,
    stored_bytes: int = 0,
    received: dict[int, list[tuple[int, int]]] | None = None,
) -> ParticipationRead:
    """An end of a transfer of files of these sizes."""
    files = [
        {
            "index": index,
            "upload_id": uuid4(),
            "size_bytes": size,
            "chunk_size_bytes": CHUNK,
            "chunk_count": -(-size // CHUNK),
            "accepted": True,
        }
        for index, size in enumerate(sizes)
    ]
    states = [{"index": index, "stored_bytes": stored_bytes} for index in range(len(sizes))]
    return msgspec.convert(
        {
            "user_id": uuid4(),
            "device_id": None,
            "role": role,
            "transfer": {"id": uuid4(), "state": state, "files": states},
            "window_bytes": window_bytes,
            "files": files,
            "received": received or {},
        },
        ParticipationRead,
    )


def make_chunk(transfer_id: UUID, file: int, index: int, payload: bytes, sha256: bytes) -> Chunk:
    """The chunk made of these."""
    return gather_chunk(transfer_id, file, index, sha256, [payload])


def encode_json(chunk: Chunk) -> bytes:
    """A chunk as a `file_chunk` frame in JSON."""
    return msgspec.json.encode(
        {
            "type": "file_chunk",
            "transfer_id": chunk.transfer_id,
            "file": chunk.file,
            "index": chunk.index,
            "sha256": chunk.sha256.hex(),
            "data": b64encode(chunk.payload).decode(),
        }
    )


def chunk_of(transfer_id: UUID, file: int, index: int, length: int = CHUNK) -> Chunk:
    """A chunk whose content tells its place."""
    content = f"{file}/{index};".encode().ljust(length, b".")[:length]
    return make_chunk(transfer_id, file, index, content, hashlib.sha256(content).digest())
