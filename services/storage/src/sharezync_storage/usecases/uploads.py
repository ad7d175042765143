"""Uploads in chunks: begun, looked at, given up."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import col, select

from sharezync_shared.cooperative import cooperatively
from sharezync_shared.db.work import UnitOfWork, UnitsOfWork
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
from sharezync_storage.stores import ChunkPlan, UploadStore
from sharezync_storage.usecases import concatenating, files, quota
from sharezync_storage.usecases.extents import forget_segments
from sharezync_storage.usecases.lifecycle import advance
from sharezync_storage.usecases.quota import StorageLimits
from sharezync_storage.usecases.sweeping import Unneeded, forget

_REMEMBER: Final = timedelta(days=7)
"""How long one is told what became of an upload that ended without a file."""

_BEGIN: Final = """
INSERT INTO storage.uploads
    (id, store_key, name, mime, size_bytes, reserved_bytes, sha256, owner_id, chunk_size_bytes,
     created_at, expires_at, door, state, stored_bytes, through, epoch)
SELECT g.id, g.store_key, g.name, g.mime, g.size_bytes, g.size_bytes, g.sha256, $7, $8, $9, $10,
       'chunks', 'created', 0, 0, 0
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[])
    AS g(id, store_key, name, mime, size_bytes, sha256)
"""


@dataclass(frozen=True, slots=True)
class Coming:
    """A file that is going to come in chunks; `sha256`, of the whole, is raw."""

    name: str
    size_bytes: int
    mime: str | None = None
    sha256: bytes | None = None


class Begun(NamedTuple):
    """An upload that was begun, and how it is cut."""

    id: UploadId
    plan: ChunkPlan


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
    work: UnitsOfWork,
    store: UploadStore,
    limits: StorageLimits,
    *,
    owner_id: UserId,
    coming: Sequence[Coming],
    chunk_size_bytes: int,
    lifetime: timedelta,
) -> list[Begun]:
    """Begin an upload for each of these files, or none, with room for all of them reserved.

    Not idempotent: who lost the answer begins others, and the first expire. Raises FileTooLarge,
    QuotaExceeded, TooManyFiles, TooManyUploads, StoreFull, StoreUnavailable, and Invalid for one
    of more than 100,000 chunks.
    """
    for file in coming:
        limits.check_size(file.size_bytes)
        if file.size_bytes > MAX_CHUNKS * chunk_size_bytes:
            raise Invalid(f"An upload may have at most {MAX_CHUNKS} chunks: use larger ones")
    ids = [UploadId(uuid7()) for _ in coming]
    # All in one folder: a store on disk then makes their names durable at once.
    keys = [upload_key(upload_id, beside=ids[0]) for upload_id in ids]
    begun = [
        Begun(upload_id, ChunkPlan(key, file.size_bytes, chunk_size_bytes))
        for upload_id, key, file in zip(ids, keys, coming, strict=True)
    ]
    names = [clean_name(file.name) async for file in cooperatively(coming)]
    async with work.begin() as unit:
        await quota.take(unit, limits, owner_id, sum(file.size_bytes for file in coming))
        await quota.admit(unit, limits, owner_id, len(coming))
        await (await unit.raw()).execute(
            _BEGIN,
            ids,
            keys,
            names,
            [clean_media_type(file.mime) for file in coming],
            [file.size_bytes for file in coming],
            [file.sha256 for file in coming],
            owner_id,
            chunk_size_bytes,
            unit.now,
            unit.now + lifetime,
        )
    try:
        await store.begin_chunks(*(each.plan for each in begun))
    except BaseException:
        await asyncio.shield(abort(work, upload_ids=ids))
        raise
    return begun


async def begin_from_start(
    work: UnitsOfWork,
    limits: StorageLimits,
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


async def status(work: UnitsOfWork, *, upload_id: UploadId) -> Status:
    """Return how far an upload is. Raises NotFound."""
    found = await status_of_each(work, upload_ids=[upload_id])
    if not found:
        raise NotFound
    return found[0]


async def status_of_each(work: UnitsOfWork, *, upload_ids: Collection[UUID]) -> list[Status]:
    """Return how far those of these uploads are that come in chunks, in no order."""
    async with work.read() as unit:
        found = await unit.session.exec(select(Upload).where(access.among(Upload.id, upload_ids)))
        uploads = [upload for upload in found if access.in_chunks(upload)]
        stored = await stored_chunks(unit, uploads)
        return [Status(upload, stored[upload.id]) for upload in uploads]


async def stored_chunks(unit: UnitOfWork, uploads: Sequence[Upload]) -> dict[UUID, Ranges]:
    """Return which chunks are stored of each upload."""
    stored = {upload.id: Ranges.whole(upload.through) for upload in uploads}
    open_ids = [u.id for u in uploads if u.state == "aborted" or u.through < plan_of(u).count]
    if open_ids:
        beyond = (
            select(Chunk.upload_id, Chunk.index)
            .join(Upload, col(Upload.id) == col(Chunk.upload_id))
            .where(access.among(Chunk.upload_id, open_ids), Chunk.index >= Upload.through)
            .order_by(col(Chunk.upload_id), col(Chunk.index))
        )
        for upload_id, index in await unit.session.exec(beyond):
            stored[upload_id].add(index)
    return stored


async def abort(work: UnitsOfWork, *, upload_ids: Collection[UUID]) -> None:
    """Give up uploads in chunks, and delete the files of those that have become one. Idempotent.

    The file of a transfer that is over stays where it was attached to a message meanwhile.
    """
    async with work.begin() as unit:
        found = await access.uploads_held(unit, upload_ids)
        uploads = [upload for upload in found if access.in_chunks(upload)]
        await give_up(unit, *(upload for upload in uploads if upload.state in UNFINISHED))
        finished = {upload.id: upload for upload in uploads if upload.state == "finished"}
        if finished:
            there = await access.files_held(unit, finished)
            pairs = [(file, finished[file.id]) for file in there]
            await files.let_go(unit, pairs, held_by_transfers=False)


async def end_with_file(unit: UnitOfWork, upload: Upload) -> None:
    """End one that has finished, its row held by the caller, as if its owner deleted the file.

    Raises UploadGone where they have done that already.
    """
    file = await unit.get(File, upload.id, lock=True)
    if file is None or file.deleted_at is not None or file.let_go_at is not None:
        raise UploadGone
    await files.let_go(unit, [(file, upload)])
    if upload.state == "finished":  # somebody holds the file; the upload is over all the same
        advance(upload, "abort")
        upload.expires_at = unit.now


async def give_up(unit: UnitOfWork, *uploads: Upload, act: Act = "abort") -> None:
    """End uploads that have not finished, their rows held by the caller.

    `act`: `abort`, `expire` or `fail`. Whoever is writing to one can record nothing any more.
    """
    if not uploads:
        return
    ids = [upload.id for upload in uploads]
    await unit.session.exec(
        delete(Chunk)
        .where(access.among(Chunk.upload_id, ids))
        .execution_options(synchronize_session=False)
    )
    await forget_segments(unit, ids)
    kept_bytes = {upload.id: bytes_kept(upload) for upload in uploads}
    await quota.release(unit, *uploads)
    await forget(unit, *(_unneeded(upload, kept_bytes[upload.id]) for upload in uploads))
    for upload in uploads:
        advance(upload, act)
        if upload.door == "form":
            await unit.session.delete(upload)
        else:
            upload.through, upload.stored_bytes = 0, 0
            upload.writer = upload.leased_until = None


def _unneeded(upload: Upload, size_bytes: int) -> Unneeded:
    """Return what is kept of an upload that is being given up."""
    if upload.door == "form":
        return Unneeded(blob=upload.store_key, size_bytes=size_bytes)
    blob = file_key(upload.id)
    if upload.direct_id is not None:
        return Unneeded(direct=(blob, upload.direct_id), blob=blob, size_bytes=size_bytes)
    whole = upload.state == "verifying"  # it may be assembled already, or any moment now
    return Unneeded(chunks=upload.store_key, blob=blob if whole else None, size_bytes=size_bytes)


def bytes_kept(upload: Upload) -> int:
    """Return about how much of an upload that has not finished lies in the store.

    What a form has brought is known at its end only, and what clients have sent straight to the
    store not even then: of these it is what was reserved.
    """
    unseen = upload.door == "form" or upload.direct_id is not None
    return upload.reserved_bytes if unseen else upload.stored_bytes


async def give_up_expired(work: UnitsOfWork) -> None:
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
                await give_up(unit, upload, act="expire")


def expired(upload: Upload, now: datetime) -> bool:
    """Whether an upload has not finished in its time; the sweep has given it up, or will soon."""
    late = upload.expires_at is not None and upload.expires_at < now
    return late and upload.state in UNFINISHED
