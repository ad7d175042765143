"""An upload becomes a file: complete, verified, sealed, announced."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog
from sqlalchemy import func, or_, update
from sqlmodel import col, select

from sharezync_shared.db.work import Unit, Work
from sharezync_shared.problems import NotFound
from sharezync_storage import access
from sharezync_storage.keys import file_key
from sharezync_storage.models import FileId, Upload, UploadId
from sharezync_storage.problems import (
    DigestMismatch,
    UploadClosed,
    UploadFinishing,
    UploadIncomplete,
)
from sharezync_storage.states import TAKES_BYTES
from sharezync_storage.stores import BlobStore
from sharezync_storage.usecases import files, quota
from sharezync_storage.usecases.extents import forget_segments
from sharezync_storage.usecases.lifecycle import advance
from sharezync_storage.usecases.sealing import Material, material_of, seal
from sharezync_storage.usecases.sweeping import forget, forget_leftovers
from sharezync_storage.usecases.uploads import give_up, plan_of, stored_chunks

log = structlog.get_logger()

PATIENCE_SECONDS: Final = 8.0
"""How long one request waits for the end: less than the 10 s that our clients wait for us."""
_LEASE: Final = timedelta(seconds=30)
"""How long the sweep of any replica leaves an upload alone that somebody is finishing."""
_RENEW_SECONDS: Final = 10.0
_STRANDED_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class Finished:
    """What an upload has become. `root`: of one that came in chunks."""

    file_id: FileId
    root: bytes | None
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

        Who asked for it asks again, or the sweep finds it, and it goes on where it was.
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
        task = self.start(upload_id)
        await asyncio.wait([task], timeout=self._patience_seconds)
        if not task.done():
            raise UploadFinishing(retry_after_seconds=1)
        if task.cancelled():
            raise UploadFinishing("This process is leaving", retry_after_seconds=1)
        return task.result()

    async def try_to_finish(self, upload_id: UploadId) -> None:
        """Wait for the end as long as one request may, and say nothing where it doesn't come.

        For uploads that are durable, whole and closed: what can't be finished now the sweep will.
        """
        try:
            await self.finish(upload_id)
        except UploadFinishing:
            pass
        except Exception as error:  # noqa: BLE001 - it costs nobody who asked anything
            log.warning("upload_not_finished", upload_id=str(upload_id), error=repr(error))

    def start(self, upload_id: UploadId) -> "asyncio.Task[Finished]":
        """Begin to finish an upload, if that hasn't been begun; see `finish`."""
        task = self._tasks.get(upload_id)
        if task is None:
            task = asyncio.create_task(self._finish(upload_id), name=f"finish-{upload_id}")
            self._tasks[upload_id] = task
            task.add_done_callback(lambda done: self._over(upload_id, done))
        return task

    async def finish_stranded(self) -> None:
        """Begin to finish some uploads that nobody works on: whoever did has crashed or failed.

        For the sweep, of any number of replicas: each takes others. One that fails is tried again
        half a minute later, until it expires.
        """
        async with self._work.begin() as unit:
            stranded = (
                select(Upload.id)
                .where(
                    col(Upload.state) == "verifying",
                    or_(
                        col(Upload.leased_until).is_(None),
                        col(Upload.leased_until) <= func.clock_timestamp(),
                    ),
                )
                .order_by(col(Upload.leased_until).nulls_first())
                .limit(_STRANDED_AT_ONCE)
                .with_for_update(skip_locked=True)
            )
            claim = (
                update(Upload)
                .where(col(Upload.id).in_(stranded))
                .values(leased_until=func.clock_timestamp() + _LEASE)
                .returning(col(Upload.id))
                .execution_options(synchronize_session=False)
            )
            upload_ids = list((await unit.session.exec(claim)).scalars())
        for upload_id in upload_ids:
            self.start(UploadId(upload_id))

    def _over(self, upload_id: UUID, task: "asyncio.Task[Finished]") -> None:
        del self._tasks[upload_id]
        if not task.cancelled() and (error := task.exception()):  # perhaps nobody waits any more
            log.info("upload_not_finished", upload_id=str(upload_id), error=repr(error))

    # ----------------------------------------------------------------------------------------

    async def _finish(self, upload_id: UploadId) -> Finished:
        """No call to the store inside a transaction: the state `verifying` holds its place."""
        upload, material, repeated = await self._claim(upload_id)
        if upload.state == "finished":
            return Finished(FileId(upload.id), upload.root, upload.sha256)
        keeper = asyncio.create_task(self._keep_lease(upload_id))
        try:
            sealed = await seal(self._store, upload, material)
        except DigestMismatch:
            await self._fail(upload_id)
            raise
        finally:
            keeper.cancel()
        async with self._work.begin() as unit:
            upload = await _upload(unit, upload_id)
            if upload.state != "finished":  # another replica may have been faster
                upload.sha256, upload.root = sealed.sha256, sealed.root
                await _stand(unit, upload)
                if repeated:
                    forget_leftovers(unit, file_key(upload.id))
        return Finished(FileId(upload.id), upload.root, upload.sha256)

    async def _claim(self, upload_id: UploadId) -> tuple[Upload, Material, bool]:
        """Close the upload, if it is complete; return it with what it is made of.

        And whether somebody has begun to finish it before, and may have left something behind.
        """
        async with self._work.begin() as unit:
            upload = await _upload(unit, upload_id)
            if upload.state == "finished":
                return upload, Material(), False
            if upload.state == "failed":
                raise DigestMismatch(expected_sha256=(upload.sha256 or b"").hex())
            if upload.state in TAKES_BYTES:
                await _check_complete(unit, upload)
            advance(upload, "verify")
            repeated = upload.leased_until is not None
            upload.leased_until = unit.now + _LEASE
            return upload, await material_of(unit, upload), repeated

    async def _fail(self, upload_id: UploadId) -> None:
        async with self._work.begin() as unit:
            upload = await _upload(unit, upload_id)
            if upload.state == "verifying":
                await give_up(unit, upload, "fail")

    async def _keep_lease(self, upload_id: UploadId) -> None:
        """Keep the sweeps of other replicas away while the work goes on."""
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            try:
                async with self._work.begin() as unit:
                    await unit.session.exec(
                        update(Upload)
                        .where(col(Upload.id) == upload_id, col(Upload.state) == "verifying")
                        .values(leased_until=func.clock_timestamp() + _LEASE)
                        .execution_options(synchronize_session=False)
                    )
            except Exception as error:  # noqa: BLE001 - at worst, somebody does the same work too
                log.warning("lease_not_renewed", upload_id=str(upload_id), error=repr(error))


async def _upload(unit: Unit, upload_id: UploadId) -> Upload:
    upload = await unit.get(Upload, upload_id, lock=True)
    if upload is None or upload.door == "form":
        raise NotFound
    return upload


async def _stand(unit: Unit, upload: Upload) -> None:
    """Make the file of an upload that is sealed. Raises UploadClosed where it was given up."""
    if upload.size_bytes is None:
        raise UploadClosed(state=upload.state)
    advance(upload, "finish")
    files.stand(unit, upload, size_bytes=upload.size_bytes, sha256=upload.sha256, root=upload.root)
    await quota.settle(unit, upload, upload.size_bytes)
    await forget_segments(unit, upload)
    if upload.direct_id is None:
        forget(unit, chunks=upload.store_key)
    upload.stored_bytes, upload.expires_at = upload.size_bytes, None
    upload.writer = upload.leased_until = None


async def _check_complete(unit: Unit, upload: Upload) -> None:
    if not access.in_chunks(upload):
        raise UploadIncomplete  # what comes from start to end closes itself
    count = plan_of(upload).count
    if upload.through < count:
        missing = (await stored_chunks(unit, upload)).gaps(count)
        raise UploadIncomplete(missing=missing.pairs())
