"""Uploads by signed URLs become files, once the client has named all of their parts."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

from sqlmodel import select

from sharezync_shared.contracts.storage import UploadFinishing
from sharezync_shared.db.work import UnitsOfWork
from sharezync_shared.ids import UserId
from sharezync_shared.problems import NotFound
from sharezync_storage import access
from sharezync_storage.models import Chunk, File, FileId, Upload, UploadId
from sharezync_storage.problems import PartsWrong, UploadGone
from sharezync_storage.states import ENDED, TAKES_BYTES
from sharezync_storage.stores import NoSuchBlob, UploadStore
from sharezync_storage.usecases.direct import direct_store
from sharezync_storage.usecases.finishing import PATIENCE_SECONDS, Finishing
from sharezync_storage.usecases.lifecycle import advance
from sharezync_storage.usecases.sweeping import Unneeded, forget
from sharezync_storage.usecases.uploads import plan_of


class Completing:
    """Completes uploads by signed URLs: at the store, or where their parts came through us."""

    def __init__(
        self,
        work: UnitsOfWork,
        store: UploadStore,
        finishing: Finishing,
        *,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._work = work
        self._store = store
        self._finishing = finishing
        self._patience_seconds = patience_seconds
        self._tasks: dict[UUID, asyncio.Task[None]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Complete uploads while the block runs; what is under way at its end is cancelled.

        Who asked for one asks again, and it goes on where it was.
        """
        try:
            yield
        finally:
            tasks = list(self._tasks.values())
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    async def complete(
        self, *, owner_id: UserId, upload_id: UploadId, etags: Mapping[int, str]
    ) -> File:
        """Make the parts with these ETags, by number, into the file. Idempotent.

        Raises PartsWrong (mend it, and ask again), UploadGone, DigestMismatch (it is given up),
        and UploadFinishing where the work takes longer than an answer may: it goes on, ask again.
        """
        async with self._work.read() as unit:
            upload = await access.own_direct(unit, owner_id, upload_id)
            if upload.state in ENDED:
                raise UploadGone
            takes_bytes = upload.state in TAKES_BYTES
            in_order = _in_order(upload, etags) if takes_bytes else []
            if takes_bytes and access.in_chunks(upload):
                kept = select(Chunk).where(Chunk.upload_id == upload_id)
                digests = {c.index + 1: c.sha256.hex() for c in await unit.session.exec(kept)}
                _check(digests, in_order)
        if takes_bytes and upload.direct_id:
            await self._at_the_store(upload, in_order)
        await self._finishing.finish(upload_id)
        async with self._work.read() as unit:
            try:
                return await access.own_file(unit, owner_id, FileId(upload_id))
            except NotFound:
                raise UploadGone from None  # deleted meanwhile

    async def _at_the_store(self, upload: Upload, etags: Sequence[str]) -> None:
        """Complete an upload at the store, by one task however many ask, which outlives them."""
        task = self._tasks.get(upload.id)
        if task is None:
            task = asyncio.create_task(self._complete(upload, etags), name=f"direct-{upload.id}")
            self._tasks[upload.id] = task
            task.add_done_callback(lambda done: self._over(upload.id, done))
        await asyncio.wait([task], timeout=self._patience_seconds)
        if not task.done():
            raise UploadFinishing(retry_after_seconds=1)
        if task.cancelled():
            raise UploadFinishing("The server is shutting down", retry_after_seconds=1)
        task.result()

    def _over(self, upload_id: UUID, task: "asyncio.Task[None]") -> None:
        del self._tasks[upload_id]
        if not task.cancelled():
            task.exception()  # perhaps nobody waits any more

    async def _complete(self, upload: Upload, etags: Sequence[str]) -> None:
        """First at the store, where it is idempotent, and only then on record: `verifying` means
        that the blob is there.
        """
        try:
            await direct_store(self._store).complete_direct(
                upload.store_key, upload.direct_id or "", etags, size_bytes=upload.size_bytes or 0
            )
        except NoSuchBlob:
            raise UploadGone from None  # given up meanwhile
        async with self._work.begin() as unit:
            found = await unit.get(Upload, upload.id, lock=True)
            gone = found is None or found.state in ENDED
            if gone:
                # It may have come behind the first deletion.
                await forget(
                    unit, Unneeded(blob=upload.store_key, size_bytes=upload.size_bytes or 0)
                )
            elif found is not None and found.state in TAKES_BYTES:
                advance(found, "verify")
        if gone:
            raise UploadGone


def _in_order(upload: Upload, etags: Mapping[int, str]) -> list[str]:
    """Return the ETags, that of the first part first. Raises PartsWrong where one is missing."""
    if upload.chunk_size_bytes is None:
        raise PartsWrong("No part was uploaded yet: get the URLs first")
    count = plan_of(upload).count
    if upload.direct_id:
        count = max(count, 1)  # no bytes go to the store as one part too
    wrong = sorted(set(range(1, count + 1)) ^ etags.keys())
    if wrong:
        raise PartsWrong(f"There are {count} parts", numbers=wrong[:100])
    return [etags[number] for number in range(1, count + 1)]


def _check(kept: Mapping[int, str], named: Sequence[str]) -> None:
    """Raise PartsWrong unless every part that is named is kept; its ETag is its digest."""
    wrong = [n for n, etag in enumerate(named, start=1) if etag.strip('"') != kept.get(n)]
    if wrong:
        raise PartsWrong("Parts are missing or differ", numbers=wrong[:100])
