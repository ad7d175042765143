"""Blobs in a bucket of S3.

files/ab/<id>                      a finished blob
files/ab/<id>.multipart/<digest>   while one is written in parts: the id of that
uploads/cd/<id>/…                  chunks and segments (`object_uploads.py`)
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sharezync_storage.errors import PartsWrong
from sharezync_storage.keys import checked
from sharezync_storage.settings import StorageSettings
from sharezync_storage.stores.bucket import Bucket, InvalidParts
from sharezync_storage.stores.object_uploads import ObjectUploads, Source
from sharezync_storage.stores.pieces import Piece, blocks, no_pieces
from sharezync_storage.stores.port import DirectPart, NoSuchBlob, StoredBlob
from sharezync_storage.stores.s3_objects import MIN_PART_BYTES, PART_BYTES, Objects, join

__all__ = ["MIN_PART_BYTES", "PART_BYTES", "S3Store"]


class S3Store(ObjectUploads):
    """The store in a bucket: `UploadStore` and `DirectUploads`. Any number of processes."""

    def __init__(self, bucket: str, settings: StorageSettings) -> None:
        super().__init__("storage-s3")
        self._bucket = Bucket(bucket, settings)
        self._objects = Objects(self._bucket, self.threads)

    async def start(self) -> None:
        await self._bucket.open()

    async def aclose(self) -> None:
        await self._bucket.aclose()
        await asyncio.to_thread(self.threads.close)

    async def ready(self) -> bool:
        return await self._bucket.reachable()

    async def put(self, key: str, pieces: AsyncIterable[bytes]) -> StoredBlob:
        checked(key)
        digest = hashlib.sha256()
        size = 0
        first = b""

        async def parts() -> AsyncGenerator[bytes]:
            nonlocal size
            async with contextlib.aclosing(blocks(pieces, PART_BYTES, exact=True)) as gathered:
                async for block in gathered:
                    part = await self.threads.run(_join, block, digest)
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
            yield no_pieces()
            return
        async with self._bucket.get(key, offset, length) as pieces:
            yield pieces

    async def size(self, key: str) -> int:
        return await self._bucket.size(checked(key))

    async def delete(self, key: str) -> None:
        if checked(key).startswith("uploads/"):
            await self._bucket.delete(key)  # never written in parts
        else:
            await self._objects.erase(key)

    async def tidy(self, key: str) -> None:
        await self._objects.tidy(checked(key))

    async def write(self, key: str, body: bytes) -> None:
        await self._objects.put(checked(key), body)

    async def keys(self, prefix: str) -> list[str]:
        return await self._bucket.keys(prefix)

    async def copy(self, sources: Sequence[Source], key: str) -> None:
        await join(self._objects, sources, key, self.read_checked)

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
            checked(key),
            expires_in_seconds=expires_in_seconds,
            content_type=content_type,
            disposition=disposition,
        )

    async def begin_direct(
        self, key: str, *, size_bytes: int, part_bytes: int, content_type: str
    ) -> str:
        upload_id = await self._objects.begin(checked(key), content_type=content_type)
        return f"{_count(size_bytes, part_bytes)}:{upload_id}"

    async def direct_parts(
        self,
        key: str,
        direct_id: str,
        *,
        size_bytes: int,
        part_bytes: int,
        expires_in_seconds: int,
    ) -> list[DirectPart]:
        _, upload_id = _parsed(direct_id)
        found = []
        for index in range(_count(size_bytes, part_bytes)):
            length = min(part_bytes, size_bytes - index * part_bytes)
            url = await self._bucket.part_link(
                checked(key),
                upload_id,
                index + 1,
                length=length,
                expires_in_seconds=expires_in_seconds,
            )
            found.append(DirectPart(index + 1, length, url, {"Content-Length": str(length)}))
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
            await self._objects.erase(key)
            raise PartsWrong("The parts don't have the announced length")
        await self._objects.drop_upload_id(key, upload_id)

    async def abort_direct(self, key: str, direct_id: str) -> None:
        _, upload_id = _parsed(direct_id)
        await self._objects.abort(checked(key), upload_id)


def _join(block: list[Piece], digest: "hashlib._Hash") -> bytes:
    body = b"".join(block)
    digest.update(body)
    return body


def _count(size_bytes: int, part_bytes: int) -> int:
    return max(1, -(-size_bytes // part_bytes))


def _parsed(direct_id: str) -> tuple[int, str]:
    count, _, upload_id = direct_id.partition(":")
    return int(count), upload_id
