"""Blobs in a bucket of S3, and the marks by which a crash can be cleaned up after.

files/ab/<id>                      a finished blob
files/ab/<id>.multipart/<digest>   while one is written in parts: the server's id of that
uploads/cd/<id>/…                  chunks and segments (`object_uploads.py`)
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from functools import partial
from typing import Final

from sharezync_storage.errors import PartsWrong
from sharezync_storage.keys import checked
from sharezync_storage.settings import MIB, StorageSettings
from sharezync_storage.stores.bucket import Bucket, InvalidParts
from sharezync_storage.stores.object_uploads import ObjectUploads, Source
from sharezync_storage.stores.pieces import Call, Piece, blocks, in_order, no_pieces
from sharezync_storage.stores.port import ChunkPlan, DirectPart, NoSuchBlob, StoredBlob

MIN_PART_BYTES: Final = 5 * MIB
"""S3 takes no smaller part, but as the last one."""
PART_BYTES: Final = 8 * MIB
MAX_PARTS: Final = 10_000

_PARTS_AT_ONCE: Final = 2  # each holds its bytes
_COPIES_AT_ONCE: Final = 8  # these hold nothing
_GATHERED_AT_ONCE: Final = 2  # each holds its bytes: one is read while the other is written
_READS_AT_ONCE: Final = 4


class S3Store(ObjectUploads):
    """The store in a bucket: `UploadStore` and `DirectUploads`. Any number of processes."""

    def __init__(self, bucket: str, settings: StorageSettings) -> None:
        super().__init__("storage-s3")
        self._bucket = Bucket(bucket, settings)

    async def start(self) -> None:
        await self._bucket.open()

    async def aclose(self) -> None:
        await self._bucket.aclose()
        await asyncio.to_thread(self.threads.close)

    async def ready(self) -> bool:
        await self._bucket.check()
        return True

    # --- blobs ------------------------------------------------------------------------------

    async def put(self, key: str, pieces: AsyncIterable[bytes]) -> StoredBlob:
        checked(key)
        digest = hashlib.sha256()
        size = 0
        first = b""

        async def parts() -> AsyncGenerator[bytes]:
            nonlocal size
            async with aclosing(blocks(pieces, PART_BYTES)) as gathered:
                async for block in gathered:
                    part = await self.threads.run(_join, block, digest)
                    size += len(part)
                    yield part

        async def calls(upload_id: str) -> AsyncGenerator[Call[str]]:
            yield partial(self._put_part, key, upload_id, 1, first)
            number = 1
            async for part in coming:
                number += 1
                yield partial(self._put_part, key, upload_id, number, part)

        async with aclosing(parts()) as coming:
            first = await anext(coming, b"")
            if len(first) < PART_BYTES:
                await self.write(key, first)
            else:
                async with self._multipart(key) as upload_id, aclosing(calls(upload_id)) as puts:
                    etags = await in_order(puts, _PARTS_AT_ONCE)
                    await self._bucket.complete_parts(key, upload_id, etags)
        return StoredBlob(size, digest.digest())

    async def write(self, key: str, body: bytes) -> None:
        await self._bucket.put(checked(key), body, await self.threads.run(_md5_of, body))

    @asynccontextmanager
    async def open(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        checked(key)
        if length == 0:
            await self._bucket.size(key)
            yield no_pieces()
            return
        async with self._bucket.get(key, offset, length) as pieces:
            yield pieces

    async def size(self, key: str) -> int:
        return await self._bucket.size(checked(key))

    async def keys(self, prefix: str) -> list[str]:
        return await self._bucket.keys(prefix)

    async def delete(self, key: str) -> None:
        if checked(key).startswith("uploads/"):
            await self._bucket.delete(key)  # never written in parts
            return
        marks = await self._bucket.keys(_marks(key))
        for mark in marks:
            with suppress(NoSuchBlob):
                await self._bucket.abort_parts(key, await self._upload_id(mark))
        for each in (key, *marks):
            await self._bucket.delete(each)

    async def tidy(self, key: str) -> None:
        # Whether it was completed is asked first: on some servers, aborting what was would destroy
        # the object.
        for mark in await self._bucket.keys(_marks(checked(key))):
            try:
                upload_id = await self._upload_id(mark)
                await self._bucket.check_parts(key, upload_id)
            except NoSuchBlob:
                pass  # it was completed, or aborted
            else:
                await self._bucket.abort_parts(key, upload_id)
            await self._bucket.delete(mark)

    async def copy(self, sources: Sequence[Source], key: str) -> None:
        """Make the blob inside the server as far as it lets us.

        A part of a multipart upload has at least 5 MiB, but for the last one. What is smaller is
        read and written again with its neighbours, some parts at a time.
        """
        if sum(source.size_bytes for source in sources) <= PART_BYTES:
            await self.write(key, await self._gathered(sources))
            return
        gathering = asyncio.Semaphore(_GATHERED_AT_ONCE)
        async with self._multipart(key) as upload_id:

            async def part(number: int, sources: Sequence[Source]) -> str:
                if len(sources) == 1:
                    return await self._bucket.copy_part(key, upload_id, number, sources[0].key)
                async with gathering:
                    body = await self._gathered(sources)
                    return await self._put_part(key, upload_id, number, body)

            calls = (partial(part, *each) for each in enumerate(in_parts(sources), start=1))
            etags = await in_order(calls, _COPIES_AT_ONCE)
            await self._bucket.complete_parts(key, upload_id, etags)

    async def _gathered(self, sources: Sequence[Source]) -> bytes:
        reads = [partial(self.read_checked, source) for source in sources if source.size_bytes]
        return await self.threads.run(b"".join, await in_order(reads, _READS_AT_ONCE))

    # --- in parts ---------------------------------------------------------------------------

    async def _put_part(self, key: str, upload_id: str, number: int, body: bytes) -> str:
        md5 = await self.threads.run(_md5_of, body)
        return await self._bucket.put_part(key, upload_id, number, body, md5)

    @asynccontextmanager
    async def _multipart(self, key: str) -> AsyncGenerator[str]:
        """Begin a multipart upload and yield its id; the block completes it, or it is aborted."""
        upload_id = await self._begin(key)
        async with self._aborted_on_failure(key, upload_id):
            yield upload_id
        await self._bucket.delete(_mark(key, upload_id))

    async def _begin(self, key: str, *, content_type: str | None = None) -> str:
        """Begin a multipart upload and return its id, which is kept beside it until it is over.

        So `delete` knows after a crash what is ours to abort. Nothing is ever aborted because it
        was found in a listing of uploads, and nothing of a blob that is to stay: on some servers
        that destroys the finished blob.
        """
        upload_id = await self._bucket.begin_parts(key, content_type=content_type)
        async with self._aborted_on_failure(key, upload_id):
            mark, body = _mark(key, upload_id), upload_id.encode()
            await self._bucket.put(mark, body, await self.threads.run(_md5_of, body))
        return upload_id

    @asynccontextmanager
    async def _aborted_on_failure(self, key: str, upload_id: str) -> AsyncGenerator[None]:
        try:
            yield
        except BaseException:
            # Best effort: what can't be undone now goes with `delete`.
            with suppress(Exception):
                await asyncio.shield(self._abort(key, upload_id))
            raise

    async def _abort(self, key: str, upload_id: str) -> None:
        try:
            await self._bucket.size(key)
        except NoSuchBlob:
            await self._bucket.abort_parts(key, upload_id)
            await self._bucket.delete(_mark(key, upload_id))

    async def _upload_id(self, mark: str) -> str:
        async with self._bucket.get(mark) as pieces:
            return b"".join([piece async for piece in pieces]).decode()

    # --- straight from clients --------------------------------------------------------------
    # Always as parts of a multipart upload, one part where one is enough: once it is completed, no
    # URL that is still out there can change the blob, as one for a plain PUT could. The id says how
    # many parts there must be, and the server's own id.

    @property
    def reachable_by_clients(self) -> bool:
        return self._bucket.reachable_by_clients

    async def link(
        self, key: str, *, expires_in_seconds: int, content_type: str, disposition: str
    ) -> str:
        return await self._bucket.link(
            "get_object",
            checked(key),
            expires_in_seconds,
            ResponseContentType=content_type,
            ResponseContentDisposition=disposition,
        )

    async def begin_direct(self, plan: ChunkPlan, *, content_type: str) -> str:
        upload_id = await self._begin(checked(plan.key), content_type=content_type)
        return f"{max(1, plan.count)}:{upload_id}"

    async def direct_parts(
        self, plan: ChunkPlan, direct_id: str, *, expires_in_seconds: int
    ) -> list[DirectPart]:
        count, upload_id = _parsed(direct_id)
        found = []
        for number in range(1, count + 1):
            length = plan.length(number - 1)
            url = await self._bucket.link(
                "upload_part",
                checked(plan.key),
                expires_in_seconds,
                UploadId=upload_id,
                PartNumber=number,
                ContentLength=length,
            )
            found.append(DirectPart(number, length, url, {"Content-Length": str(length)}))
        return found

    async def complete_direct(
        self, key: str, direct_id: str, etags: Sequence[str], *, size_bytes: int
    ) -> None:
        count, upload_id = _parsed(direct_id)
        if len(etags) != count:
            raise PartsWrong(f"There must be {count} parts")
        try:
            await self._bucket.complete_parts(checked(key), upload_id, etags)
        except InvalidParts as error:
            raise PartsWrong from error
        except NoSuchBlob:
            # Completed before, perhaps: then the blob is there. Raises where it isn't.
            await self._bucket.size(key)
        if await self._bucket.size(key) != size_bytes:
            # Only where the server lets a part have another length than was signed.
            await self.delete(key)
            raise PartsWrong("The parts don't have the announced length")
        await self._bucket.delete(_mark(key, upload_id))

    async def abort_direct(self, key: str, direct_id: str) -> None:
        await self._abort(checked(key), _parsed(direct_id)[1])


def _join(block: list[Piece], digest: "hashlib._Hash") -> bytes:
    body = b"".join(block)
    digest.update(body)
    return body


def _md5_of(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()


def _marks(key: str) -> str:
    return f"{key}.multipart/"


def _mark(key: str, upload_id: str) -> str:
    return f"{_marks(key)}{hashlib.sha256(upload_id.encode()).hexdigest()[:16]}"


def _parsed(direct_id: str) -> tuple[int, str]:
    count, _, upload_id = direct_id.partition(":")
    return int(count), upload_id


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
