"""Uploads in chunks: begun, looked at, given up."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import col, select

from sharezync_shared.db.work import Unit, Work
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.media_types import clean_media_type
from sharezync_shared.names.filenames import clean_name
from sharezync_shared.problems import Invalid, NotFound
from sharezync_shared.ranges import Ranges
from sharezync_storage import access
from sharezync_storage.keys import file_key, upload_key
from sharezync_storage.models import Chunk, File, Upload, UploadId
from sharezync_storage.problems import UploadGone
from sharezync_storage.settings import MAX_CHUNKS
from sharezync_storage.states import ENDED, UNFINISHED, Act
from sharezync_storage.stores import BlobStore, ChunkPlan
from sharezync_storage.usecases import concatenating, files, holding, quota
from sharezync_storage.usecases.extents import forget_segments
from sharezync_storage.usecases.lifecycle import advance
from sharezync_storage.usecases.quota import Limits
from sharezync_storage.usecases.sweeping import forget

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
    FileTooLarge, QuotaExceeded, TooManyFiles, TooManyUploads, StoreFull, StoreUnavailable, and
    Invalid for more than 100,000 chunks.
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
        await quota.admit(unit, limits, owner_id)
        unit.add(upload)
    try:
        await store.begin_chunks(plan_of(upload))
    except BaseException:
        await asyncio.shield(abort(work, upload_id=UploadId(upload.id)))
        raise
    return upload


async def begin_from_start(
    work: Work,
    limits: Limits,
    *,
    owner_id: UserId,
    name: str,
    mime: str | None,
    size_bytes: int | None,
    tus_metadata: str | None,
    partial: bool,
    lifetime: timedelta,
    idempotency_key: str | None = None,
) -> Upload:
    """Begin an upload that comes from its start to its end; see `Appending.create`."""
    limits.check_size(size_bytes or 0)
    async with work.begin() as unit:
        upload_id = uuid7()
        upload = Upload(
            id=upload_id,
            owner_id=owner_id,
            door="tus",
            state="created",
            name=clean_name(name),
            mime=clean_media_type(mime),
            size_bytes=size_bytes,
            store_key=upload_key(upload_id),
            tus_metadata=tus_metadata,
            tus_concat="partial" if partial else None,
            idempotency_key=idempotency_key,
            created_at=unit.now,
            expires_at=unit.now + lifetime,
        )
        await quota.reserve(unit, limits, upload, size_bytes or 0)
        await quota.admit(unit, limits, owner_id)
        if size_bytes == 0:
            advance(upload, "hold" if partial else "verify")
        unit.add(upload)
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
                await _drop(unit, file, upload)


async def _drop(unit: Unit, file: File, upload: Upload) -> None:
    """Drop the file of a transfer that is over, unless it was attached to a message meanwhile."""
    if await holding.is_held(unit, file.id, by_transfers=False):
        await files.let_go(unit, file, upload)
    else:
        await files.remove(unit, file, upload)


async def end_with_file(unit: Unit, upload: Upload) -> None:
    """End one that has finished, its row held by the caller, as if its owner deleted the file.

    Raises UploadGone where they have done that already.
    """
    file = await unit.get(File, upload.id, lock=True)
    if file is None or file.deleted_at is not None or file.let_go_at is not None:
        raise UploadGone
    await files.let_go(unit, file, upload)
    if upload.state == "finished":  # somebody holds the file; the upload is over all the same
        advance(upload, "abort")
        upload.expires_at = unit.now


async def give_up(unit: Unit, upload: Upload, act: Act = "abort") -> None:
    """End an upload that has not finished, its row held by the caller.

    `act`: `abort`, `expire` or `fail`. Whoever is writing to it can record nothing any more.
    """
    size_bytes = bytes_kept(upload)
    await quota.release(unit, upload)
    sealed = upload.state == "verifying"  # it may be sealed already, or any moment now
    advance(upload, act)
    if upload.door == "form":
        forget(unit, blob=upload.store_key, size_bytes=size_bytes)
        await unit.session.delete(upload)
        return
    blob = file_key(upload.id)
    if upload.direct_id is not None:
        forget(unit, direct=(blob, upload.direct_id), blob=blob, size_bytes=size_bytes)
    else:
        forget(
            unit,
            chunks=upload.store_key,
            blob=blob if sealed else None,
            size_bytes=size_bytes,
        )
    upload.through, upload.stored_bytes = 0, 0
    upload.writer = upload.leased_until = None
    await unit.session.exec(delete(Chunk).where(col(Chunk.upload_id) == upload.id))
    await forget_segments(unit, upload)


def bytes_kept(upload: Upload) -> int:
    """Return about how much of an upload that has not finished lies in the store.

    What a form has brought is known at its end only, and what clients have sent straight to the
    store not even then: of these it is what was reserved.
    """
    unseen = upload.door == "form" or upload.direct_id is not None
    return upload.reserved_bytes if unseen else upload.stored_bytes


async def give_up_expired(work: Work) -> None:
    """Give up some uploads whose time has come, and forget those that ended a week ago."""
    async with work.begin() as unit:
        await unit.session.exec(
            delete(Upload)
            .where(col(Upload.expires_at) < unit.now - _REMEMBER, col(Upload.state).in_(ENDED))
            .execution_options(synchronize_session=False)
        )
        expired_first = (
            select(Upload.id)
            .where(col(Upload.expires_at) < unit.now, col(Upload.state).in_(UNFINISHED))
            .order_by(col(Upload.expires_at))
            .limit(20)
        )
        upload_ids = list(await unit.session.exec(expired_first))
    for upload_id in upload_ids:
        # One at a time: each takes the row of its owner too, in no order that others know.
        async with work.begin() as unit:
            upload = await unit.get(Upload, upload_id, lock=True)
            if upload is None or not expired(upload, unit.now):
                continue
            if upload.state == "held" and await concatenating.is_needed(unit, upload.id):
                upload.expires_at = unit.now + concatenating.PARTS_LIFETIME
            else:
                await give_up(unit, upload, "expire")


def expired(upload: Upload, now: datetime) -> bool:
    """Whether an upload has not finished in its time; the sweep has given it up, or will soon."""
    late = upload.expires_at is not None and upload.expires_at < now
    return late and upload.state in UNFINISHED
