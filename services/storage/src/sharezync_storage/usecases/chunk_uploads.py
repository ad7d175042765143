"""Uploads in chunks, for transfers: begun, looked at, given up. Their chunks: `chunks.py`."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID

from sqlmodel import select

from sharezync_shared.contracts.storage import FileComing, UploadCreated
from sharezync_shared.cooperative import cooperatively
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.media_types import clean_media_type
from sharezync_shared.names.filenames import clean_name
from sharezync_shared.problems import Invalid
from sharezync_shared.ranges import Ranges
from sharezync_shared.work import UnitsOfWork
from sharezync_storage import access
from sharezync_storage.keys import upload_key
from sharezync_storage.models import File, Upload, UploadId
from sharezync_storage.settings import MAX_CHUNKS
from sharezync_storage.states import UNFINISHED
from sharezync_storage.stores.port import ChunkPlan
from sharezync_storage.usecases import files, quota
from sharezync_storage.usecases.context import StorageContext
from sharezync_storage.usecases.uploads import give_up, stored_chunks

_BEGIN: Final = """
INSERT INTO storage.uploads
    (id, store_key, name, mime, size_bytes, reserved_bytes, sha256, owner_id, chunk_size_bytes,
     created_at, expires_at, door, state, stored_bytes, through, epoch)
SELECT g.id, g.store_key, g.name, g.mime, g.size_bytes, g.size_bytes, g.sha256, $7, $8, $9, $10,
       'chunks', 'created', 0, 0, 0
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bytea[])
    AS g(id, store_key, name, mime, size_bytes, sha256)
"""


async def begin(
    context: StorageContext,
    *,
    owner_id: UserId,
    coming: Sequence[FileComing],
    chunk_size_bytes: int,
) -> list[UploadCreated]:
    """Begin an upload for each of these files, or none, with room for all of them reserved.

    Not idempotent: who lost the answer begins others, and the first expire. Raises FileTooLarge,
    QuotaExceeded, TooManyFiles, TooManyUploads, StoreFull, StoreUnavailable, and Invalid for one
    of more than 100,000 chunks.
    """
    for file in coming:
        quota.check_size(context.settings, file.size_bytes)
        if file.size_bytes > MAX_CHUNKS * chunk_size_bytes:
            raise Invalid(f"An upload may have at most {MAX_CHUNKS} chunks: use larger ones")
    ids = [UploadId(uuid7()) for _ in coming]
    # All in one folder: a store on disk then makes their names durable at once.
    keys = [upload_key(upload_id, beside=ids[0]) for upload_id in ids]
    plans = [
        ChunkPlan(key, file.size_bytes, chunk_size_bytes)
        for key, file in zip(keys, coming, strict=True)
    ]
    names = [clean_name(file.name) async for file in cooperatively(coming)]
    async with context.work.begin() as unit:
        reserved_bytes = sum(file.size_bytes for file in coming)
        await quota.take(unit, context.settings, owner_id, reserved_bytes)
        await quota.admit(unit, context.settings, owner_id, len(coming))
        await (await unit.raw()).execute(
            _BEGIN,
            ids,
            keys,
            names,
            [clean_media_type(file.mime) for file in coming],
            [file.size_bytes for file in coming],
            [bytes.fromhex(file.sha256) if file.sha256 else None for file in coming],
            owner_id,
            chunk_size_bytes,
            unit.now,
            unit.now + context.settings.upload_lifetime,
        )
    try:
        await context.store.begin_chunks(*plans)
    except BaseException:
        await asyncio.shield(abort(context.work, upload_ids=ids))
        raise
    return [
        UploadCreated(upload_id, plan.count) for upload_id, plan in zip(ids, plans, strict=True)
    ]


async def status_of_each(
    work: UnitsOfWork, *, upload_ids: Collection[UUID]
) -> list[tuple[Upload, Ranges]]:
    """Return those of these uploads that come in chunks, in no order, and which are stored."""
    async with work.read() as unit:
        found = await unit.session.exec(select(Upload).where(access.among(Upload.id, upload_ids)))
        uploads = [upload for upload in found if access.in_chunks(upload)]
        stored = await stored_chunks(unit, uploads)
    return [(upload, stored[upload.id]) for upload in uploads]


async def abort(work: UnitsOfWork, *, upload_ids: Collection[UUID]) -> None:
    """Give up uploads in chunks, and delete the files of those that have become one. Idempotent.

    The file of a transfer that is over stays where it was attached to a message meanwhile.
    """
    async with work.begin() as unit:
        found = await access.held(unit, Upload, upload_ids)
        uploads = [upload for upload in found if access.in_chunks(upload)]
        await give_up(unit, *(upload for upload in uploads if upload.state in UNFINISHED))
        finished = {upload.id: upload for upload in uploads if upload.state == "finished"}
        if finished:
            there = await access.held(unit, File, finished)
            pairs = [(file, finished[file.id]) for file in there]
            await files.let_go(unit, pairs, held_by_transfers=False)
