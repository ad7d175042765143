"""What the contracts of the stores share: bytes in pieces, and readers that check them."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field

from sharezync_shared.ids import uuid7
from sharezync_storage.keys import upload_key
from sharezync_storage.stores.object_uploads import segment_key
from sharezync_storage.stores.port import PIECE_BYTES, BlobStore, ChunkPlan, Extent, UploadStore

MIB = 1024 * 1024


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


async def pieces_of(data: bytes, size: int = 64 * 1024) -> AsyncGenerator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(store: BlobStore, key: str, offset: int = 0, length: int | None = None) -> bytes:
    async with store.open(key, offset=offset, length=length) as pieces:
        got = [piece async for piece in pieces]
    assert all(0 < len(piece) <= PIECE_BYTES for piece in got)
    return b"".join(got)


def cut(plan: ChunkPlan, data: bytes) -> list[bytes]:
    return [data[plan.offset(i) : plan.offset(i) + plan.length(i)] for i in range(plan.count)]


def plan_for(data: bytes, chunk_size_bytes: int) -> ChunkPlan:
    return ChunkPlan(upload_key(uuid7()), len(data), chunk_size_bytes)


async def write(store: UploadStore, plan: ChunkPlan, index: int, chunk: bytes) -> None:
    half = len(chunk) // 2
    await store.write_chunk(plan, index, [chunk[:half], chunk[half:]], sha256(chunk))


class Interrupted(Exception):
    """What a client that leaves in the middle looks like to the store."""


async def interrupted(data: bytes) -> AsyncIterator[bytes]:
    async with aclosing(pieces_of(data)) as pieces:
        async for piece in pieces:
            yield piece
    raise Interrupted


@dataclass
class Record:
    """What a caller of `append` writes down. `refuses`: from so many bytes on it is not allowed.

    Where it doesn't count (yet), as long as `counts` is False, it is told and not written down.
    """

    extent: Extent = field(default_factory=Extent)
    steps: list[int] = field(default_factory=list)
    refuses: int | None = None
    counts: bool = True
    told: list[Extent] = field(default_factory=list)
    _busy: bool = False

    async def keep(self, extent: Extent) -> bool:
        assert not self._busy, "one at a time"
        assert extent.size_bytes > self.extent.size_bytes
        self._busy = True
        await asyncio.sleep(0)
        self._busy = False
        self.told.append(extent)
        if self.refuses is not None and extent.size_bytes >= self.refuses:
            raise PreEmpted
        if self.counts:
            self.steps.append(extent.size_bytes)
            self.extent = extent
        return self.counts


class PreEmpted(Exception):
    """The record belongs to another writer now."""


async def append(
    store: UploadStore, key: str, data: bytes, record: Record | None = None, epoch: int = 1
) -> Record:
    """Append `data` behind what is on record, and return the record with all of it."""
    record = Record() if record is None else record
    size = record.extent.size_bytes + len(data)
    extent = await store.append(
        key, pieces_of(data), start=record.extent, epoch=epoch, kept=record.keep
    )
    assert extent == record.extent
    assert extent.size_bytes == size
    return record


async def read_extent(store: UploadStore, key: str, extent: Extent) -> bytes:
    """Return what the record says was appended: of one file, or of objects."""
    if not extent.size_bytes:
        return b""
    if not extent.segments:
        return await read(store, key, length=extent.size_bytes)
    found = [
        await read(store, segment_key(key, one), length=one.size_bytes) for one in extent.segments
    ]
    return b"".join(found)
