"""What comes from its start to its end, in a bucket: objects of a fixed size, and a shorter last.

    uploads/cd/<id>/<number>-<mark>   a segment

So it can be read before its end, and nothing has to be asked of the server to go on after a crash.
The last one is written anew when it grows, under another mark; the old one goes when the record
has the new one. What a writer that was pre-empted still writes has a mark that no record names.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from sharezync_storage.keys import checked
from sharezync_storage.problems import ContentDamaged, StoreUnavailable
from sharezync_storage.settings import MIB
from sharezync_storage.stores.blocks import Piece, nothing
from sharezync_storage.stores.bucket import Bucket
from sharezync_storage.stores.port import Extent, Kept, NoSuchBlob, StoredSegment
from sharezync_storage.stores.read_ahead import ReadAhead
from sharezync_storage.stores.s3_joining import Source
from sharezync_storage.stores.s3_objects import Objects

SEGMENT_BYTES: Final = 8 * MIB
_ANEW_BYTES_PER_SECOND: Final = 2 * MIB
"""How fast one who sends a byte and pauses, again and again, can make us write the last segment."""


class SegmentWriter:
    """One writer of one upload, from where the record says that it stands.

    Holds the segment that is not full; the next one is gathered meanwhile.
    """

    def __init__(self, objects: Objects, key: str, start: Extent, epoch: int, kept: Kept) -> None:
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

    async def write(self, intake: ReadAhead) -> Extent:
        """Write what comes, and have it recorded."""
        try:
            while not intake.over:
                block = await intake.read(
                    SEGMENT_BYTES - self._open_bytes,
                    hurry=self._open_bytes > self._last_bytes,
                    rested_at=self._rested_at,
                )
                await self._open_with(block)
                if self._open_bytes > self._last_bytes:
                    await self._put_open()
            if self._unrecorded:
                await self._tell()
        finally:
            # Nobody will ever record these: bytes with a wrong checksum, perhaps.
            await self._delete(self._unrecorded)
        return self._extent

    async def _open_with(self, block: list[Piece]) -> None:
        if block and self._last is not None and not self._open:
            last = await self._objects.read(segment_key(self._key, self._last))
            if len(last) != self._last.size_bytes:
                raise ContentDamaged
            self._open.append(last)
        self._open += block
        self._open_bytes += sum(map(len, block))

    async def _put_open(self) -> None:
        body = await self._objects.threads.run(b"".join, self._open)
        self._open = [body]
        segment = StoredSegment(len(self._full), len(body), f"{self._epoch}-{self._count}")
        self._count += 1
        await self._objects.put(segment_key(self._key, segment), body)
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
        await self._tell()

    async def _tell(self) -> None:
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
        """Delete objects; those that can't be deleted now go with all the others."""
        keys = [segment_key(self._key, one) for one in segments]
        with contextlib.suppress(StoreUnavailable):
            await self._objects.delete(keys)


@asynccontextmanager
async def opened(
    bucket: Bucket, key: str, extent: Extent, offset: int, length: int
) -> AsyncGenerator[AsyncIterator[bytes]]:
    """Read `length` bytes from `offset`; entering raises NoSuchBlob where the first is gone."""
    ranges = _ranges(checked(key), extent, offset, length)
    if not ranges:
        if extent.segments:
            await bucket.size(segment_key(key, extent.segments[-1]))
        yield nothing()
        return
    first, *others = ranges
    async with (
        bucket.get(*first) as pieces,
        contextlib.aclosing(_all(bucket, pieces, others)) as coming,
    ):
        yield coming


async def _all(
    bucket: Bucket, first: AsyncIterator[bytes], others: Sequence[tuple[str, int, int]]
) -> AsyncGenerator[bytes]:
    async for piece in first:
        yield piece
    for one in others:
        try:
            async with bucket.get(*one) as pieces:
                async for piece in pieces:
                    yield piece
        except NoSuchBlob as error:  # deleted since we began
            raise StoreUnavailable from error


def _ranges(key: str, extent: Extent, offset: int, length: int) -> list[tuple[str, int, int]]:
    """Return the objects, offsets and lengths that these bytes are made of."""
    found = []
    begin, end = 0, offset + length
    for segment in extent.segments:
        first, last = max(offset, begin), min(end, begin + segment.size_bytes)
        if first < last:
            found.append((segment_key(key, segment), first - begin, last - first))
        begin += segment.size_bytes
    return found


def sources_of(key: str, extent: Extent) -> list[Source]:
    """Return the objects of an extent, to be joined."""
    return [Source(segment_key(key, one), one.size_bytes) for one in extent.segments]


def segment_key(key: str, segment: StoredSegment) -> str:
    """Return the key of one segment of the upload `key`."""
    return f"{checked(key)}/{segment.number:06d}-{segment.mark}"
