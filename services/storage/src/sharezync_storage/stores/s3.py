"""Blobs in a bucket of S3.

    files/ab/<id>                      a finished blob
    files/ab/<id>.multipart/<digest>   while one is written in parts: the id of that
    uploads/cd/<id>/<index>-<digest>   a chunk
    uploads/cd/<id>/<number>-<mark>    a segment of what comes from its start to its end

Different contents of a place have different keys, so any number of processes may write at once.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from io import FileIO

from sharezync_shared.threads import IoThreads
from sharezync_storage.keys import checked
from sharezync_storage.problems import ChunkCorrupt
from sharezync_storage.settings import StorageSettings
from sharezync_storage.stores import s3_direct, s3_extents
from sharezync_storage.stores.blocks import Piece, blocks, nothing
from sharezync_storage.stores.bucket import Bucket
from sharezync_storage.stores.port import ChunkPlan, DirectPart, Extent, Kept, StoredBlob
from sharezync_storage.stores.read_ahead import written
from sharezync_storage.stores.s3_extents import SEGMENT_BYTES, SegmentWriter, sources_of
from sharezync_storage.stores.s3_joining import Source, join, read_checked
from sharezync_storage.stores.s3_objects import MIN_PART_BYTES, PART_BYTES, Objects, md5_of

__all__ = ["MIN_PART_BYTES", "PART_BYTES", "S3Store"]


class S3Store:
    """The store in a bucket; see `BlobStore` for what it promises. Any number of processes."""

    def __init__(self, bucket: str, settings: StorageSettings) -> None:
        self._bucket = Bucket(bucket, settings)
        self._threads = IoThreads("storage-s3")
        self._objects = Objects(self._bucket, self._threads)

    async def start(self) -> None:
        await self._bucket.open()

    async def aclose(self) -> None:
        await self._bucket.aclose()
        await asyncio.to_thread(self._threads.close)

    async def ready(self) -> bool:
        return await self._bucket.reachable()

    # --- whole blobs ------------------------------------------------------------------------

    async def put(self, key: str, pieces: AsyncIterable[bytes]) -> StoredBlob:
        checked(key)
        digest = hashlib.sha256()
        size = 0
        first = b""

        async def parts() -> AsyncGenerator[bytes]:
            nonlocal size
            async with contextlib.aclosing(blocks(pieces, PART_BYTES, exact=True)) as gathered:
                async for block in gathered:
                    part = await self._threads.run(_join, block, digest)
                    size += len(part)
                    yield part

        async def all_parts() -> AsyncGenerator[bytes]:
            yield first
            async for part in coming:
                yield part

        async with contextlib.aclosing(parts()) as coming:
            first = await anext(coming, b"")
            if len(first) < PART_BYTES:
                await self._objects.put(key, first)
            else:
                async with contextlib.aclosing(all_parts()) as bodies:
                    await self._objects.put_parts(key, bodies)
        return StoredBlob(size, digest.digest())

    @asynccontextmanager
    async def open(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        checked(key)
        if length == 0:
            await self._bucket.size(key)
            yield nothing()
            return
        async with self._bucket.get(key, offset, length) as pieces:
            yield pieces

    def open_file(self, key: str) -> AbstractAsyncContextManager[FileIO | None]:  # noqa: ARG002 - there are no files here
        return contextlib.nullcontext()

    async def size(self, key: str) -> int:
        return await self._bucket.size(checked(key))

    async def delete(self, key: str) -> None:
        await self._objects.erase(checked(key))

    async def tidy(self, key: str) -> None:
        await self._objects.tidy(checked(key))

    async def link(
        self, key: str, *, expires_in_seconds: int, content_type: str, disposition: str
    ) -> str | None:
        if not self._bucket.reachable_by_clients:
            return None
        return await self._bucket.link(
            checked(key),
            expires_in_seconds=expires_in_seconds,
            content_type=content_type,
            disposition=disposition,
        )

    # --- chunks -----------------------------------------------------------------------------

    async def begin_chunks(self, *plans: ChunkPlan) -> None:
        """A bucket needs no place to be made."""

    async def write_chunk(
        self, plan: ChunkPlan, index: int, data: Sequence[bytes], sha256: bytes
    ) -> None:
        body, md5 = await self._threads.run(_checked_body, data, sha256)
        await self._bucket.put(_chunk_key(plan, index, sha256), body, md5)

    async def read_chunk(self, plan: ChunkPlan, index: int, sha256: bytes) -> bytes:
        return await read_checked(self._objects, _chunk(plan, index, sha256))

    async def seal(self, plan: ChunkPlan, key: str, digests: Sequence[bytes]) -> None:
        chunks = [_chunk(plan, index, digest) for index, digest in enumerate(digests)]
        await join(self._objects, chunks, checked(key))

    async def discard_chunks(self, key: str) -> None:
        # Listed, but not found by listing: the caller's record says that this upload is over, and
        # what nobody could record any more is among its own keys too.
        await self._objects.delete_below(f"{checked(key)}/")

    # --- from start to end ------------------------------------------------------------------

    async def append(
        self, key: str, pieces: AsyncIterable[bytes], *, start: Extent, epoch: int, kept: Kept
    ) -> Extent:
        writer = SegmentWriter(self._objects, key, start, epoch, kept)
        return await written(pieces, SEGMENT_BYTES, writer.write)

    @asynccontextmanager
    async def open_extent(
        self, key: str, extent: Extent, *, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        length = extent.size_bytes - offset if length is None else length
        async with s3_extents.opened(self._bucket, key, extent, offset, length) as pieces:
            yield pieces

    async def seal_extents(self, sources: Sequence[tuple[str, Extent]], key: str) -> None:
        segments = [one for source, extent in sources for one in sources_of(source, extent)]
        await join(self._objects, segments, checked(key))

    # --- straight from clients --------------------------------------------------------------

    async def begin_direct(
        self, key: str, *, size_bytes: int, part_bytes: int, content_type: str
    ) -> str | None:
        return await s3_direct.begin(
            self._objects,
            key,
            size_bytes=size_bytes,
            part_bytes=part_bytes,
            content_type=content_type,
        )

    async def direct_parts(
        self,
        key: str,
        direct_id: str,
        *,
        size_bytes: int,
        part_bytes: int,
        content_type: str,  # noqa: ARG002 - set when it began; no server takes one with a part
        expires_in_seconds: int,
    ) -> list[DirectPart]:
        return await s3_direct.parts(
            self._objects,
            key,
            direct_id,
            size_bytes=size_bytes,
            part_bytes=part_bytes,
            expires_in_seconds=expires_in_seconds,
        )

    async def complete_direct(
        self, key: str, direct_id: str, etags: Sequence[str], *, size_bytes: int
    ) -> None:
        await s3_direct.complete(self._objects, key, direct_id, etags, size_bytes=size_bytes)

    async def abort_direct(self, key: str, direct_id: str) -> None:
        await s3_direct.abort(self._objects, key, direct_id)


def _chunk(plan: ChunkPlan, index: int, sha256: bytes) -> Source:
    return Source(_chunk_key(plan, index, sha256), plan.length(index), sha256)


def _chunk_key(plan: ChunkPlan, index: int, sha256: bytes) -> str:
    return f"{checked(plan.key)}/{index:06d}-{sha256.hex()[:32]}"


def _join(block: list[Piece], digest: "hashlib._Hash") -> bytes:
    body = b"".join(block)
    digest.update(body)
    return body


def _checked_body(data: Sequence[bytes], sha256: bytes) -> tuple[bytes, str]:
    body = b"".join(data)
    if hashlib.sha256(body).digest() != sha256:
        raise ChunkCorrupt
    return body, md5_of(body)
