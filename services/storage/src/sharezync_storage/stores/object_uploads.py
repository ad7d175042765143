"""Uploads kept as objects: for every store that keeps objects and not files.

    uploads/cd/<id>/<index>-<digest>   a chunk
    uploads/cd/<id>/<number>-<suffix>  a segment of what is appended

Different contents of a place have different keys, so any number of processes may write at once.
Segments have a fixed size, but for a shorter last one, so that nothing has to be asked of the store
to go on after a crash. The last one is written anew when it grows, under another suffix; the old
one goes when the record has the new one. What a writer that was pre-empted still writes has a
suffix that no record names.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from sharezync_shared.threads import IoThreads
from sharezync_storage.errors import ChunkCorrupt, ContentDamaged, StoreUnavailable
from sharezync_storage.keys import checked
from sharezync_storage.settings import MIB
from sharezync_storage.stores.pieces import Piece, in_order, sha256_of
from sharezync_storage.stores.port import (
    ChunkPlan,
    Extent,
    Kept,
    NoSuchBlob,
    StoredSegment,
    UploadStore,
)
from sharezync_storage.stores.read_ahead import ReadAhead, written

SEGMENT_BYTES: Final = 8 * MIB
_ANEW_BYTES_PER_SECOND: Final = 2 * MIB
"""How fast one who sends a byte and pauses, again and again, can make us write the last segment."""
_DELETIONS_AT_ONCE: Final = 8


@dataclass(frozen=True, slots=True)
class Source:
    """An object that a blob is to be made of. Its digest is checked whenever it is read."""

    key: str
    size_bytes: int
    sha256: bytes | None = None


class ObjectUploads(UploadStore, ABC):
    """Makes an `UploadStore` of a `BlobStore` that can also write small objects and list keys."""

    def __init__(self, name: str) -> None:
        self.threads = IoThreads(name)

    @abstractmethod
    async def write(self, key: str, body: bytes) -> None:
        """Keep `body`, of 8 MiB at most, durably under a key of one object of an upload."""

    @abstractmethod
    async def keys(self, prefix: str) -> list[str]:
        """Return all keys that begin with `prefix`, those of objects written just now too."""

    async def copy(self, sources: Sequence[Source], key: str) -> None:
        """Make the blob `key` of objects, one behind the other. Raises NoSuchBlob.

        Through us, unless a store can do it by itself.
        """
        async with contextlib.aclosing(self._checked(sources)) as pieces:
            await self.put(key, pieces)

    # --- chunks -----------------------------------------------------------------------------

    async def begin_chunks(self, *plans: ChunkPlan) -> None:
        """Objects need no place to be made."""

    async def write_chunk(
        self, plan: ChunkPlan, index: int, data: Sequence[bytes], sha256: bytes
    ) -> None:
        body = await self.threads.run(_checked_body, data, sha256)
        await self.write(_chunk(plan, index, sha256).key, body)

    async def read_chunk(self, plan: ChunkPlan, index: int, sha256: bytes) -> bytes:
        return await self.read_checked(_chunk(plan, index, sha256))

    async def assemble_chunks(self, plan: ChunkPlan, key: str, digests: Sequence[bytes]) -> None:
        await self._assemble([_chunk(plan, index, one) for index, one in enumerate(digests)], key)

    async def discard(self, key: str) -> None:
        # Listed, but not found by listing: the caller's record says that this upload is over, and
        # what nobody could record any more is among its own keys too.
        await self.delete_each(await self.keys(f"{checked(key)}/"))

    # --- from start to end ------------------------------------------------------------------

    async def append(
        self, key: str, pieces: AsyncIterable[bytes], *, start: Extent, epoch: int, kept: Kept
    ) -> Extent:
        writer = SegmentWriter(self, key, start, epoch, kept)
        return await written(pieces, SEGMENT_BYTES, writer.write)

    async def assemble(self, sources: Sequence[tuple[str, Extent]], key: str) -> None:
        segments = [
            Source(segment_key(source, one), one.size_bytes)
            for source, extent in sources
            for one in extent.segments
        ]
        await self._assemble(segments, key)

    # ----------------------------------------------------------------------------------------

    async def _assemble(self, sources: Sequence[Source], key: str) -> None:
        size_bytes = sum(source.size_bytes for source in sources)
        if await self._has(checked(key), size_bytes):
            return
        try:
            await self.copy(sources, key)
        except NoSuchBlob:
            # Perhaps somebody else was faster, and the sources are gone already.
            if not await self._has(key, size_bytes):
                raise
        if await self.size(key) != size_bytes:
            raise ContentDamaged  # one that was copied is not what the record says

    async def _has(self, key: str, size_bytes: int) -> bool:
        try:
            return await self.size(key) == size_bytes
        except NoSuchBlob:
            return False

    async def _checked(self, sources: Sequence[Source]) -> AsyncGenerator[bytes]:
        for source in sources:
            yield await self.read_checked(source)

    async def read_checked(self, source: Source) -> bytes:
        async with self.open(source.key) as pieces:
            data = b"".join([piece async for piece in pieces])
        if source.sha256 is not None:
            if await self.threads.run(sha256_of, [data]) != source.sha256:
                raise ContentDamaged
        elif len(data) != source.size_bytes:
            raise ContentDamaged
        return data

    async def delete_each(self, keys: Sequence[str]) -> None:
        """Delete objects, whether they are there or not."""
        await in_order([partial(self.delete, key) for key in keys], _DELETIONS_AT_ONCE)


class SegmentWriter:
    """One writer of one upload, from where the record says that it stands.

    Holds the segment that is not full; the next one is gathered meanwhile.
    """

    def __init__(
        self, objects: ObjectUploads, key: str, start: Extent, epoch: int, kept: Kept
    ) -> None:
        if sum(segment.size_bytes for segment in start.segments) != start.size_bytes:
            raise ContentDamaged
        self._objects = objects
        self._key = checked(key)
        self._epoch = epoch
        self._kept = kept
        self._extent = self._recorded = start
        self._full = list(start.segments)
        self._last = self._full.pop() if start.size_bytes % SEGMENT_BYTES else None
        self._open: list[Piece] = []
        """The bytes of the last segment, and what has come behind them."""
        self._open_bytes = self._last_bytes
        self._unrecorded: list[StoredSegment] = []
        """Written, and known not to be on record."""
        self._count = 0
        self._rested_at = 0.0

    @property
    def _last_bytes(self) -> int:
        return self._last.size_bytes if self._last else 0

    async def write(self, read_ahead: ReadAhead) -> Extent:
        """Write what comes, and have it recorded."""
        try:
            while not read_ahead.over:
                block = await read_ahead.read(
                    SEGMENT_BYTES - self._open_bytes,
                    hurry=self._open_bytes > self._last_bytes,
                    rested_at=self._rested_at,
                )
                await self._open_with(block)
                if self._open_bytes > self._last_bytes:
                    await self._put_open()
            if self._unrecorded:
                await self._report()
        finally:
            # Nobody will ever record these: bytes with a wrong checksum, perhaps.
            await self._delete(self._unrecorded)
        return self._extent

    async def _open_with(self, block: list[Piece]) -> None:
        if block and self._last is not None and not self._open:
            last = Source(segment_key(self._key, self._last), self._last.size_bytes)
            self._open.append(await self._objects.read_checked(last))
        self._open += block
        self._open_bytes += sum(map(len, block))

    async def _put_open(self) -> None:
        body = await self._objects.threads.run(b"".join, self._open)
        self._open = [body]
        segment = StoredSegment(len(self._full), len(body), f"{self._epoch}-{self._count}")
        self._count += 1
        await self._objects.write(segment_key(self._key, segment), body)
        self._unrecorded.append(segment)
        size_bytes = len(self._full) * SEGMENT_BYTES + len(body)
        self._extent = Extent(size_bytes, (*self._full, segment))
        if len(body) < SEGMENT_BYTES:
            self._last = segment
            rest_seconds = len(body) / _ANEW_BYTES_PER_SECOND
            self._rested_at = asyncio.get_running_loop().time() + rest_seconds
        else:
            self._full.append(segment)
            self._last, self._open, self._open_bytes = None, [], 0
        await self._report()

    async def _report(self) -> None:
        """Have the extent recorded, and delete what it no longer names."""
        unrecorded, self._unrecorded = self._unrecorded, []
        # Where this raises, nobody knows: the record may name them.
        recorded = await self._kept(self._extent)
        named = set(self._extent.segments)
        if recorded:
            superseded = [*self._recorded.segments[-1:], *unrecorded]
            self._recorded = self._extent
        else:
            superseded = unrecorded
            self._unrecorded = [one for one in unrecorded if one in named]
        await self._delete([one for one in superseded if one not in named])

    async def _delete(self, segments: Sequence[StoredSegment]) -> None:
        keys = [segment_key(self._key, one) for one in segments]
        with contextlib.suppress(StoreUnavailable):
            await self._objects.delete_each(keys)


def segment_key(key: str, segment: StoredSegment) -> str:
    return f"{checked(key)}/{segment.number:06d}-{segment.suffix}"


def _chunk(plan: ChunkPlan, index: int, sha256: bytes) -> Source:
    key = f"{checked(plan.key)}/{index:06d}-{sha256.hex()[:32]}"
    return Source(key, plan.length(index), sha256)


def _checked_body(data: Sequence[bytes], sha256: bytes) -> bytes:
    body = b"".join(data)
    if sha256_of([body]) != sha256:
        raise ChunkCorrupt
    return body
