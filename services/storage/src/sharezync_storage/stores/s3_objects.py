"""Objects of a bucket, whole or in parts, and the marks by which a crash can be cleaned up after.

<key>.multipart/<digest>   while <key> is written in parts: the server's id of that
"""

import asyncio
import base64
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from sharezync_shared.threads import IoThreads
from sharezync_storage.settings import MIB
from sharezync_storage.stores.bucket import Bucket
from sharezync_storage.stores.object_uploads import Source
from sharezync_storage.stores.pieces import Call, in_order
from sharezync_storage.stores.port import NoSuchBlob

MIN_PART_BYTES: Final = 5 * MIB
"""S3 takes no smaller part, but as the last one."""
PART_BYTES: Final = 8 * MIB
MAX_PARTS: Final = 10_000

_PARTS_AT_ONCE: Final = 2  # each holds its bytes
_COPIES_AT_ONCE: Final = 8  # these hold nothing
_GATHERED_AT_ONCE: Final = 2  # each holds its bytes: one is read while the other is written
_READS_AT_ONCE: Final = 4


class Objects:
    """What the parts of the store in a bucket share."""

    def __init__(self, bucket: Bucket, threads: IoThreads) -> None:
        self.bucket = bucket
        self.threads = threads

    async def put(self, key: str, body: bytes) -> None:
        """Keep `body`, as large as one part at most."""
        await self.bucket.put(key, body, await self.threads.run(md5_of, body))

    async def put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        """Upload part `number`, from 1, and return its ETag."""
        md5 = await self.threads.run(md5_of, body)
        return await self.bucket.put_part(key, upload_id, number, body, md5)

    async def put_parts(self, key: str, bodies: AsyncIterator[bytes]) -> None:
        """Make an object of `bodies`, each a part."""
        async with self.multipart(key) as upload_id:

            async def calls() -> AsyncGenerator[Call[str]]:
                number = 0
                async for body in bodies:
                    number += 1
                    yield partial(self.put_part, key, upload_id, number, body)

            async with contextlib.aclosing(calls()) as coming:
                etags = await in_order(coming, _PARTS_AT_ONCE)
            await self.bucket.complete_parts(key, upload_id, etags)

    # --- in parts ---------------------------------------------------------------------------

    @asynccontextmanager
    async def multipart(self, key: str) -> AsyncGenerator[str]:
        """Begin a multipart upload and yield its id; the block completes it, or it is aborted."""
        upload_id = await self.begin(key)
        try:
            yield upload_id
        except BaseException:
            # Best effort: what can't be undone now goes with `delete`.
            with contextlib.suppress(Exception):
                await asyncio.shield(self.abort(key, upload_id))
            raise
        await self.drop_upload_id(key, upload_id)

    async def begin(self, key: str, *, content_type: str | None = None) -> str:
        """Begin a multipart upload and return its id, which is kept beside it until `forget`.

        So `delete` knows after a crash what is ours to abort. Nothing is ever aborted because it
        was found in a listing of uploads, and nothing of a blob that is to stay: on some servers
        that destroys the finished blob.
        """
        upload_id = await self.bucket.begin_parts(key, content_type=content_type)
        try:
            await self.put(_mark(key, upload_id), upload_id.encode())
        except BaseException:
            with contextlib.suppress(Exception):
                await asyncio.shield(self.abort(key, upload_id))
            raise
        return upload_id

    async def drop_upload_id(self, key: str, upload_id: str) -> None:
        """Keep the id of a multipart upload no longer: it is over."""
        await self.bucket.delete(_mark(key, upload_id))

    async def abort(self, key: str, upload_id: str) -> None:
        """Leave nothing of a multipart upload, unless its blob is there."""
        try:
            await self.bucket.size(key)
        except NoSuchBlob:
            await self.bucket.abort_parts(key, upload_id)
            await self.drop_upload_id(key, upload_id)

    async def erase(self, key: str) -> None:
        """Leave nothing of an object, nor of what was begun for it in parts."""
        marks = await self.bucket.keys(_marks(key))
        for mark in marks:
            with contextlib.suppress(NoSuchBlob):
                await self.bucket.abort_parts(key, await self._upload_id(mark))
        await self.bucket.delete(key)
        for mark in marks:
            await self.bucket.delete(mark)

    async def tidy(self, key: str) -> None:
        """Leave nothing of what was begun for an object in parts and never completed.

        Whether it was is asked first: on some servers, aborting one that was would destroy the
        object.
        """
        for mark in await self.bucket.keys(_marks(key)):
            try:
                upload_id = await self._upload_id(mark)
                await self.bucket.check_parts(key, upload_id)
            except NoSuchBlob:
                pass  # it was completed, or aborted
            else:
                await self.bucket.abort_parts(key, upload_id)
            await self.bucket.delete(mark)

    async def _upload_id(self, mark: str) -> str:
        async with self.bucket.get(mark) as pieces:
            return b"".join([piece async for piece in pieces]).decode()


def _marks(key: str) -> str:
    return f"{key}.multipart/"


def _mark(key: str, upload_id: str) -> str:
    return f"{_marks(key)}{hashlib.sha256(upload_id.encode()).hexdigest()[:16]}"


def md5_of(data: bytes) -> str:
    """Return the MD5, as the header `Content-MD5` has it."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


async def join(
    objects: Objects,
    sources: Sequence[Source],
    key: str,
    read: Callable[[Source], Awaitable[bytes]],
) -> None:
    """Make the blob `key` of objects, inside the server as far as it lets us. Raises NoSuchBlob.

    A part of a multipart upload has at least 5 MiB, but for the last one. What is smaller is read
    and written again with its neighbours, some parts at a time.
    """

    async def gathered(sources: Sequence[Source]) -> bytes:
        reads = [partial(read, source) for source in sources if source.size_bytes]
        return await objects.threads.run(b"".join, await in_order(reads, _READS_AT_ONCE))

    if sum(source.size_bytes for source in sources) <= PART_BYTES:
        await objects.put(key, await gathered(sources))
        return
    gathering = asyncio.Semaphore(_GATHERED_AT_ONCE)
    async with objects.multipart(key) as upload_id:

        async def part(number: int, sources: Sequence[Source]) -> str:
            if len(sources) == 1:
                return await objects.bucket.copy_part(key, upload_id, number, sources[0].key)
            async with gathering:
                body = await gathered(sources)
                return await objects.put_part(key, upload_id, number, body)

        parts = enumerate(in_parts(sources), start=1)
        calls = (partial(part, number, group) for number, group in parts)
        await objects.bucket.complete_parts(key, upload_id, await in_order(calls, _COPIES_AT_ONCE))


def in_parts(sources: Sequence[Source]) -> list[list[Source]]:
    """Return `sources` in the groups that become parts: each large enough, none much larger.

    A group of one is copied. Where there are bytes, S3's limits of size and number hold.
    """
    whole = sum(source.size_bytes for source in sources)
    least = max(MIN_PART_BYTES, -(-whole // (MAX_PARTS - 1)))
    enough = max(PART_BYTES, least)
    parts: list[list[Source]] = []
    group: list[Source] = []
    size = 0
    for source in sources:
        if not source.size_bytes:
            continue
        alone = source.size_bytes >= least
        if size >= (least if alone else enough):
            parts.append(group)
            group, size = [], 0
        group.append(source)
        size += source.size_bytes
        if alone and len(group) == 1:
            parts.append(group)
            group, size = [], 0
    if group:
        parts.append(group)
    return parts
