"""An upload becomes a file: complete, verified, sealed, announced."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlmodel import col, select

from sharezync_shared.db.work import Unit, Work
from sharezync_storage import access
from sharezync_storage.keys import file_key
from sharezync_storage.models import TAKES_CHUNKS, Chunk, FileId, Upload, UploadId
from sharezync_storage.problems import (
    DigestMismatch,
    UploadClosed,
    UploadFinishing,
    UploadIncomplete,
)
from sharezync_storage.stores import BlobStore
from sharezync_storage.usecases import files, quota
from sharezync_storage.usecases.chunks import stored_chunk
from sharezync_storage.usecases.sweeping import forget
from sharezync_storage.usecases.uploads import give_up, plan_of, stored_chunks

PATIENCE_SECONDS: Final = 8.0
"""How long one request waits for the end: less than the 10 s that our clients wait for us."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What an upload has become."""

    file_id: FileId
    root: bytes
    sha256: bytes | None


class Finishing:
    """Finishes uploads, each by one task however many ask; the work outlives who asked."""

    def __init__(
        self, work: Work, store: BlobStore, *, patience_seconds: float = PATIENCE_SECONDS
    ) -> None:
        self._work = work
        self._store = store
        self._patience_seconds = patience_seconds
        self._tasks: dict[UUID, asyncio.Task[Finished]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Finish uploads while the block runs; what is under way at its end is cancelled.

        Who asked for it asks again, and it goes on where it was.
        """
        try:
            yield
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def finish(self, upload_id: UploadId) -> Finished:
        """Verify an upload and make it a file; services hear of it. Idempotent.

        Raises UploadIncomplete (send what is missing), DigestMismatch and UploadClosed (final), and
        UploadFinishing where the work takes longer than an answer may: ask again.
        """
        task = self._tasks.get(upload_id)
        if task is None:
            task = asyncio.create_task(self._finish(upload_id), name=f"finish-{upload_id}")
            self._tasks[upload_id] = task
            task.add_done_callback(lambda done: self._over(upload_id, done))
        await asyncio.wait([task], timeout=self._patience_seconds)
        if not task.done():
            raise UploadFinishing(retry_after_seconds=1)
        if task.cancelled():
            raise UploadFinishing("This process is leaving", retry_after_seconds=1)
        return task.result()

    def _over(self, upload_id: UUID, task: "asyncio.Task[Finished]") -> None:
        del self._tasks[upload_id]
        if not task.cancelled():
            task.exception()  # perhaps nobody waits any more

    async def _finish(self, upload_id: UploadId) -> Finished:
        """No call to the store inside a transaction: the state `verifying` holds its place."""
        upload, digests = await self._claim(upload_id)
        if upload.root is not None:
            return Finished(FileId(upload.id), upload.root, upload.sha256)
        plan = plan_of(upload)
        root = await asyncio.to_thread(_digest_of, digests)
        if upload.sha256 is not None:
            await self._check_whole(upload, digests)
        await self._store.seal(plan, file_key(upload.id), digests)
        async with self._work.begin() as unit:
            upload = await access.upload_in_chunks(unit, upload_id, lock=True)
            if upload.state == "verifying":
                files.stand(
                    unit, upload, size_bytes=plan.size_bytes, sha256=upload.sha256, root=root
                )
                await quota.settle(unit, upload, plan.size_bytes)
                forget(unit, chunks=upload.store_key)
                upload.state, upload.root, upload.expires_at = "finished", root, None
            elif upload.state != "finished":  # another replica may have been faster
                raise UploadClosed(state=upload.state)
        return Finished(FileId(upload.id), root, upload.sha256)

    async def _claim(self, upload_id: UploadId) -> tuple[Upload, list[bytes]]:
        """Close the upload to chunks, if it is complete, and return it with their digests."""
        async with self._work.begin() as unit:
            upload = await access.upload_in_chunks(unit, upload_id, lock=True)
            if upload.state == "failed":
                raise DigestMismatch(expected_sha256=(upload.sha256 or b"").hex())
            if upload.state == "aborted":
                raise UploadClosed(state=upload.state)
            if upload.state == "finished":
                return upload, []
            if upload.state in TAKES_CHUNKS:
                await _check_complete(unit, upload)
                upload.state = "verifying"
            statement = select(Chunk.sha256).where(Chunk.upload_id == upload_id)
            return upload, list(await unit.session.exec(statement.order_by(col(Chunk.index))))

    async def _check_whole(self, upload: Upload, digests: Sequence[bytes]) -> None:
        """Hash the whole again, chunk by chunk; one that differs ends the upload."""
        plan, whole = plan_of(upload), hashlib.sha256()
        for index, digest in enumerate(digests):
            chunk = await stored_chunk(self._store, upload.id, plan, index, digest)
            await asyncio.to_thread(whole.update, chunk)
        if whole.digest() == upload.sha256:
            return
        async with self._work.begin() as unit:
            found = await access.upload_in_chunks(unit, UploadId(upload.id), lock=True)
            if found.state == "verifying":
                await give_up(unit, found, "failed")
        raise DigestMismatch(
            expected_sha256=(upload.sha256 or b"").hex(), actual_sha256=whole.hexdigest()
        )


async def _check_complete(unit: Unit, upload: Upload) -> None:
    count = plan_of(upload).count
    if upload.through < count:
        missing = (await stored_chunks(unit, upload)).gaps(count)
        raise UploadIncomplete(missing=missing.pairs())


def _digest_of(digests: Sequence[bytes]) -> bytes:
    return hashlib.sha256(b"".join(digests)).digest()
