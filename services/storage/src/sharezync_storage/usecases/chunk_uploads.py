"""Uploads in chunks, for transfers: begun, looked at, given up. Their chunks: `chunks.py`."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from sqlmodel import col, select

from sharezync_shared.cooperative import cooperatively
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.media_types import clean_media_type
from sharezync_shared.names.filenames import clean_name
from sharezync_shared.problems import Invalid, NotFound
from sharezync_shared.ranges import Ranges
from sharezync_shared.work import UnitOfWork, UnitsOfWork
from sharezync_storage import access
from sharezync_storage.keys import upload_key
from sharezync_storage.models import Chunk, Upload, UploadId
from sharezync_storage.settings import MAX_CHUNKS
from sharezync_storage.states import UNFINISHED
from sharezync_storage.stores import ChunkPlan, UploadStore
from sharezync_storage.usecases import files, quota
from sharezync_storage.usecases.quota import StorageLimits
from sharezync_storage.usecases.uploads import give_up, plan_of

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
