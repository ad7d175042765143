"""Uploads in chunks: begun, looked at, given up."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import col, select

from sharezync_shared.db.work import Unit, Work
from sharezync_shared.filenames import clean_name
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.problems import Invalid, NotFound
from sharezync_shared.ranges import Ranges
from sharezync_storage import access
from sharezync_storage.keys import file_key, upload_key
from sharezync_storage.media_types import clean_media_type
from sharezync_storage.models import UNFINISHED, Chunk, File, Upload, UploadId
from sharezync_storage.settings import MAX_CHUNKS
from sharezync_storage.stores import BlobStore, ChunkPlan
from sharezync_storage.usecases import files, quota
from sharezync_storage.usecases.quota import Limits
from sharezync_storage.usecases.sweeping import forget

_ENDED: Final = ("failed", "aborted")
_REMEMBER: Final = timedelta(days=7)
"""How long one is told what became of an upload that ended without a file."""


@dataclass(frozen=True, slots=True)
class Status:
    """How far an upload is."""

    upload: Upload
    stored: Ranges


def plan_of(upload: Upload) -> ChunkPlan:
    """Return how an upload is cut; only for one that comes in chunks."""
    if upload.size_bytes is None or upload.chunk_size_bytes is None:
        raise ValueError(f"upload {upload.id} does not come in chunks")
    return ChunkPlan(upload.store_key, upload.size_bytes, upload.chunk_size_bytes)


async def begin(
    work: Work,
    store: BlobStore,
    limits: Limits,
    *,
    owner_id: UserId,
    name: str,
    mime: str | None,
    size_bytes: int,
    chunk_size_bytes: int,
    sha256: bytes | None,
    lifetime: timedelta,
) -> Upload:
    """Begin an upload, with room for all of it reserved.

    Not idempotent: who lost the answer begins another one, and the first expires. Raises
    FileTooLarge, QuotaExceeded, StoreFull, StoreUnavailable, and Invalid for more than 100,000
    chunks.
    """
    limits.check_size(size_bytes)
    if size_bytes > MAX_CHUNKS * chunk_size_bytes:
        raise Invalid(f"An upload may have at most {MAX_CHUNKS} chunks: make them larger")
    async with work.begin() as unit:
        upload_id = uuid7()
        upload = Upload(
            id=upload_id,
            owner_id=owner_id,
            door="chunks",
            state="created",
            name=clean_name(name),
            mime=clean_media_type(mime),
            size_bytes=size_bytes,
            chunk_size_bytes=chunk_size_bytes,
            sha256=sha256,
            store_key=upload_key(upload_id),
            created_at=unit.now,
            expires_at=unit.now + lifetime,
        )
        await quota.reserve(unit, limits, upload, size_bytes)
        unit.add(upload)
    try:
        await store.begin_chunks(plan_of(upload))
    except BaseException:
        await asyncio.shield(abort(work, upload_id=UploadId(upload.id)))
        raise
    return upload


async def status(work: Work, *, upload_id: UploadId) -> Status:
    """Return how far an upload is. Raises NotFound."""
    async with work.read() as unit:
        upload = await access.upload_in_chunks(unit, upload_id)
        return Status(upload, await stored_chunks(unit, upload))


async def stored_chunks(unit: Unit, upload: Upload) -> Ranges:
    """Return which chunks are stored."""
    stored = Ranges.whole(upload.through)
    if upload.state == "aborted" or upload.through < plan_of(upload).count:
        beyond = select(Chunk.index).where(
            Chunk.upload_id == upload.id, Chunk.index >= upload.through
        )
        for index in await unit.session.exec(beyond.order_by(col(Chunk.index))):
            stored.add(index)
    return stored


async def abort(work: Work, *, upload_id: UploadId | UUID) -> None:
    """Give up an upload, and delete its file where it has become one. Idempotent."""
    async with work.begin() as unit:
        try:
            upload = await access.upload_in_chunks(unit, upload_id, lock=True)
        except NotFound:
            return
        if upload.state in UNFINISHED:
            await give_up(unit, upload)
        elif upload.state == "finished":
            file = await unit.get(File, upload.id, lock=True)
            if file is not None:
                await files.remove(unit, file, upload)


async def give_up(unit: Unit, upload: Upload, state: str = "aborted") -> None:
    """End an upload that has not finished, its row held by the caller."""
    await quota.release(unit, upload)
    if upload.door == "form":
        forget(unit, blob=upload.store_key)
        await unit.session.delete(upload)
        return
    forget(unit, chunks=upload.store_key)
    if upload.state == "verifying":
        forget(unit, blob=file_key(upload.id))  # it may be sealed already, or any moment now
    upload.state, upload.through, upload.stored_bytes = state, 0, 0
    await unit.session.exec(delete(Chunk).where(col(Chunk.upload_id) == upload.id))


async def give_up_expired(work: Work) -> None:
    """Give up some uploads whose time has come, and forget those that ended a week ago."""
    async with work.begin() as unit:
        await unit.session.exec(
            delete(Upload)
            .where(col(Upload.expires_at) < unit.now - _REMEMBER, col(Upload.state).in_(_ENDED))
            .execution_options(synchronize_session=False)
        )
        expired = (
            select(Upload.id)
            .where(col(Upload.expires_at) < unit.now, col(Upload.state).in_(UNFINISHED))
            .order_by(col(Upload.expires_at))
            .limit(20)
        )
        upload_ids = list(await unit.session.exec(expired))
    for upload_id in upload_ids:
        # One at a time: each takes the row of its owner too, in no order that others know.
        async with work.begin() as unit:
            upload = await unit.get(Upload, upload_id, lock=True)
            if upload is not None and upload.state in UNFINISHED and _expired(upload, unit.now):
                await give_up(unit, upload)


def _expired(upload: Upload, now: datetime) -> bool:
    return upload.expires_at is not None and upload.expires_at < now
