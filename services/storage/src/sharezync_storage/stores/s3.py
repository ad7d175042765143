"""Blobs in a bucket of S3.

    files/ab/<id>                      a finished blob
    files/ab/<id>.multipart/<digest>   while one is written in parts: the id of that
    uploads/cd/<id>/<index>-<digest>   a chunk

Different contents of a chunk have different keys, so any number of processes may write at once.
"""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from sharezync_storage.keys import checked
from sharezync_storage.problems import ChunkCorrupt, ContentDamaged
from sharezync_storage.settings import MIB, StorageSettings
from sharezync_storage.stores.blocks import blocks
from sharezync_storage.stores.bucket import Bucket
from sharezync_storage.stores.in_order import Call, in_order
from sharezync_storage.stores.port import ChunkPlan, NoSuchBlob, Stored
from sharezync_storage.stores.threads import IoThreads

MIN_PART_BYTES: Final = 5 * MIB
"""S3 takes no smaller part, but as the last one."""
PART_BYTES: Final = 8 * MIB
MAX_PARTS: Final = 10_000

_PARTS_AT_ONCE: Final = 2  # each holds its bytes
_COPIES_AT_ONCE: Final = 8  # these hold nothing
_READS_AT_ONCE: Final = 4


class S3Store:
    """The store in a bucket; see `BlobStore` for what it promises. Any number of processes."""

    def __init__(self, bucket: str, settings: StorageSettings) -> None:
        self._bucket = Bucket(bucket, settings)
        self._threads = IoThreads("storage-s3")

    async def start(self) -> None:
        await self._bucket.open()

    async def aclose(self) -> None:
        await self._bucket.aclose()
        await asyncio.to_thread(self._threads.close)

    async def ready(self) -> bool:
        return await self._bucket.reachable()

    # --- whole blobs ------------------------------------------------------------------------

    async def put(self, key: str, pieces: AsyncIterable[bytes]) -> Stored:
        checked(key)
        digest = hashlib.sha256()
        size = 0

        async def parts() -> AsyncGenerator[bytes]:
            nonlocal size
            async with contextlib.aclosing(blocks(pieces, PART_BYTES, exact=True)) as gathered:
                async for block in gathered:
                    part = await self._threads.run(_join, block, digest)
                    size += len(part)
                    yield part

        async with contextlib.aclosing(parts()) as coming:
            first = await anext(coming, b"")
            if len(first) < PART_BYTES:
                await self._put_one(key, first)
            else:
                await self._put_parts(key, first, coming)
        return Stored(size, digest.digest())

    async def _put_one(self, key: str, body: bytes) -> None:
        await self._bucket.put(key, body, await self._threads.run(_md5, body))

    async def _put_parts(self, key: str, first: bytes, others: AsyncIterator[bytes]) -> None:
        async with self._multipart(key) as upload_id:

            async def calls() -> AsyncGenerator[Call[str]]:
                yield partial(self._put_part, key, upload_id, 1, first)
                number = 1
                async for body in others:
                    number += 1
                    yield partial(self._put_part, key, upload_id, number, body)

            async with contextlib.aclosing(calls()) as coming:
                etags = await in_order(coming, _PARTS_AT_ONCE)
            await self._bucket.complete_parts(key, upload_id, etags)

    async def _put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        md5 = await self._threads.run(_md5, body)
        return await self._bucket.put_part(key, upload_id, number, body, md5)

    @asynccontextmanager
    async def _multipart(self, key: str) -> AsyncGenerator[str]:
        """Begin a multipart upload and yield its id; the block completes it, or it is aborted.

        Its id is kept beside it meanwhile: after a crash `delete` knows what is ours to abort.
        Nothing is ever aborted because it was found in a listing of uploads, and nothing of a
        blob that is to stay: on some servers that destroys the finished blob.
        """
        upload_id = await self._bucket.begin_parts(key)
        marker = f"{_markers(key)}{hashlib.sha256(upload_id.encode()).hexdigest()[:16]}"
        try:
            await self._put_one(marker, upload_id.encode())
            yield upload_id
        except BaseException:
            # Best effort: what can't be undone now goes with `delete`.
            with contextlib.suppress(Exception):
                await asyncio.shield(self._abort(key, upload_id, marker))
            raise
        await self._bucket.delete(marker)

    async def _abort(self, key: str, upload_id: str, marker: str) -> None:
        try:
            await self._bucket.size(key)
        except NoSuchBlob:
            await self._bucket.abort_parts(key, upload_id)
            await self._bucket.delete(marker)

    @asynccontextmanager
    async def open(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        checked(key)
        if length == 0:
            await self._bucket.size(key)
            yield _nothing()
            return
        async with self._bucket.get(key, offset, length) as pieces:
            yield pieces

    async def size(self, key: str) -> int:
        return await self._bucket.size(checked(key))

    async def delete(self, key: str) -> None:
        checked(key)
        markers = await self._bucket.keys(_markers(key))
        for marker in markers:
            with contextlib.suppress(NoSuchBlob):
                await self._bucket.abort_parts(key, (await self._read(marker)).decode())
        await self._bucket.delete(key)
        for marker in markers:
            await self._bucket.delete(marker)

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

    async def begin_chunks(self, plan: ChunkPlan) -> None:
        """A bucket needs no place to be made."""

    async def write_chunk(
        self, plan: ChunkPlan, index: int, data: Sequence[bytes], sha256: bytes
    ) -> None:
        body, md5 = await self._threads.run(_checked_body, data, sha256)
        await self._bucket.put(_chunk_key(plan, index, sha256), body, md5)

    async def read_chunk(self, plan: ChunkPlan, index: int, sha256: bytes) -> bytes:
        data = await self._read(_chunk_key(plan, index, sha256))
        if await self._threads.run(_sha256, data) != sha256:
            raise ContentDamaged
        return data

    async def seal(self, plan: ChunkPlan, key: str, digests: Sequence[bytes]) -> None:
        checked(key)
        if await self._sealed(plan, key):
            return
        try:
            if plan.size_bytes <= PART_BYTES:
                await self._put_one(key, await self._chunks(plan, digests, 0, plan.count))
            elif plan.chunk_size_bytes >= MIN_PART_BYTES and plan.count <= MAX_PARTS:
                await self._seal_by_copy(plan, key, digests)
            else:
                await self._seal_by_stream(plan, key, digests)
        except NoSuchBlob:
            # Perhaps somebody else was faster, and the chunks are gone already.
            if not await self._sealed(plan, key):
                raise

    async def _seal_by_copy(self, plan: ChunkPlan, key: str, digests: Sequence[bytes]) -> None:
        async with self._multipart(key) as upload_id:
            copies = [
                partial(self._bucket.copy_part, key, upload_id, i + 1, _chunk_key(plan, i, digest))
                for i, digest in enumerate(digests)
            ]
            etags = await in_order(copies, _COPIES_AT_ONCE)
            await self._bucket.complete_parts(key, upload_id, etags)

    async def _seal_by_stream(self, plan: ChunkPlan, key: str, digests: Sequence[bytes]) -> None:
        part_bytes = max(PART_BYTES, -(-plan.size_bytes // MAX_PARTS))
        step = -(-part_bytes // plan.chunk_size_bytes)

        async def others() -> AsyncGenerator[bytes]:
            for index in range(step, plan.count, step):
                yield await self._chunks(plan, digests, index, index + step)

        first = await self._chunks(plan, digests, 0, step)
        async with contextlib.aclosing(others()) as coming:
            await self._put_parts(key, first, coming)

    async def _chunks(
        self, plan: ChunkPlan, digests: Sequence[bytes], first: int, end: int
    ) -> bytes:
        """Return some chunks in a row, each of them checked."""
        reads = [
            partial(self.read_chunk, plan, index, digests[index])
            for index in range(first, min(end, plan.count))
        ]
        return b"".join(await in_order(reads, _READS_AT_ONCE))

    async def _sealed(self, plan: ChunkPlan, key: str) -> bool:
        try:
            return await self._bucket.size(key) == plan.size_bytes
        except NoSuchBlob:
            return False

    async def discard_chunks(self, key: str) -> None:
        # Listed, but not found by listing: the caller's record says that this upload is over, and
        # a chunk that nobody could record any more is among its own keys too.
        keys = await self._bucket.keys(f"{checked(key)}/")
        await in_order([partial(self._bucket.delete, one) for one in keys], _COPIES_AT_ONCE)

    async def _read(self, key: str) -> bytes:
        async with self._bucket.get(key) as pieces:
            return b"".join([piece async for piece in pieces])


async def _nothing() -> AsyncGenerator[bytes]:
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece


def _markers(key: str) -> str:
    return f"{key}.multipart/"


def _chunk_key(plan: ChunkPlan, index: int, sha256: bytes) -> str:
    return f"{checked(plan.key)}/{index:06d}-{sha256.hex()[:32]}"


def _join(block: list[bytes], digest: "hashlib._Hash") -> bytes:
    body = b"".join(block)
    digest.update(body)
    return body


def _checked_body(data: Sequence[bytes], sha256: bytes) -> tuple[bytes, str]:
    body = b"".join(data)
    if _sha256(body) != sha256:
        raise ChunkCorrupt
    return body, _md5(body)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
