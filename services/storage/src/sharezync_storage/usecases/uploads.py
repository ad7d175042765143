"""What all uploads have in common, by whatever source they come: begun once, given up, expired."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.media_types import clean_media_type
from sharezync_shared.names.filenames import clean_name
from sharezync_shared.problems import Conflict
from sharezync_shared.ranges import Ranges
from sharezync_shared.work import UnitOfWork, UnitsOfWork
from sharezync_storage import access
from sharezync_storage.errors import UploadGone
from sharezync_storage.keys import file_key, upload_key
from sharezync_storage.models import Chunk, File, Segment, Upload
from sharezync_storage.settings import StorageSettings
from sharezync_storage.states import ENDED, UNFINISHED, Act, Source, advance
from sharezync_storage.stores.port import ChunkPlan, Extent, StoredSegment
from sharezync_storage.usecases import files, quota
from sharezync_storage.usecases.sweeping import Unneeded, forget

PARTS_LIFETIME: Final = timedelta(hours=1)
"""How long parts can be used again once something was made of them."""
_REMEMBER: Final = timedelta(days=7)
"""How long the outcome of an upload that ended without a file is kept."""

_NEEDED: Final = """
SELECT EXISTS (SELECT FROM storage.uploads WHERE state = 'verifying' AND $1 = ANY(source_ids))
"""
_FORGET_ENDED: Final = """
DELETE FROM storage.uploads WHERE expires_at < $1 AND state = ANY($2::text[])
"""
_EXPIRED: Final = """
SELECT id FROM storage.uploads WHERE expires_at < $1 AND state = ANY($2::text[])
ORDER BY expires_at LIMIT 20
"""


async def begin_one(
    unit: UnitOfWork,
    settings: StorageSettings,
    source: Source,
    *,
    owner_id: UserId,
    name: str,
    mime: str | None,
    reserve_bytes: int | None = None,
    **columns: Any,  # noqa: ANN401 - what else the source knows: columns of `Upload`
) -> Upload:
    """Begin an upload and return its row.

    Room for `reserve_bytes` is reserved; without, for the `size_bytes` as far as they are known.

    Raises FileTooLarge, QuotaExceeded, TooManyFiles, TooManyUploads.
    """
    if reserve_bytes is None:
        reserve_bytes = columns.get("size_bytes") or 0
    quota.check_size(settings, reserve_bytes)
    upload_id = uuid7()
    upload = Upload(
        id=upload_id,
        owner_id=owner_id,
        source=source,
        state="created",
        name=clean_name(name),
        mime=clean_media_type(mime),
        store_key=file_key(upload_id) if source in {"form", "direct"} else upload_key(upload_id),
        created_at=unit.now,
        expires_at=unit.now + settings.upload_lifetime,
        **columns,
    )
    await quota.reserve(unit, settings, upload, reserve_bytes)
    await quota.admit(unit, settings, owner_id)
    unit.add(upload)
    return upload


async def once(
    work: UnitsOfWork,
    *,
    owner_id: UserId,
    key: str | None,
    same: Callable[[Upload], bool],
    begin: Callable[[], Awaitable[Upload]],
) -> tuple[Upload, bool]:
    """Return what `begin` begins, which records the key; or what began with this key before.

    With it comes whether it is new. `same` tells whether an upload is what is asked for now; it
    may have ended since. Raises Conflict where the key began something else, and what `begin`
    raises: then the key is free, unless `begin` left a row that has it.
    """
    before = await _begun(work, owner_id, key)
    if before is None:
        try:
            return await begin(), True
        except IntegrityError:
            before = await _begun(work, owner_id, key)  # in this very moment, by another request
            if before is None:
                raise
    if not same(before):
        raise Conflict("This Idempotency-Key was used for another upload")
    return before, False


async def _begun(work: UnitsOfWork, owner_id: UserId, key: str | None) -> Upload | None:
    if key is None:
        return None
    statement = select(Upload).where(Upload.owner_id == owner_id, Upload.idempotency_key == key)
    async with work.read() as unit:
        return (await unit.session.exec(statement)).one_or_none()


def plan_of(upload: Upload) -> ChunkPlan:
    """Return how an upload is cut; only for one that comes in chunks."""
    if upload.size_bytes is None or upload.chunk_size_bytes is None:
        raise ValueError(f"upload {upload.id} does not come in chunks")
    return ChunkPlan(upload.store_key, upload.size_bytes, upload.chunk_size_bytes)


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


async def extent_of(unit: UnitOfWork, upload: Upload) -> Extent:
    """Return what counts of an upload, and where the store has it."""
    rows = select(Segment).where(Segment.upload_id == upload.id)
    segments = await unit.session.exec(rows.order_by(col(Segment.number)))
    return Extent(
        upload.stored_bytes,
        tuple(StoredSegment(row.number, row.size_bytes, row.suffix) for row in segments),
    )


async def is_needed(unit: UnitOfWork, upload_id: UUID) -> bool:
    """Whether something is being made of this upload at this moment."""
    return bool(await (await unit.raw()).fetchval(_NEEDED, upload_id))


async def end_with_file(unit: UnitOfWork, upload: Upload) -> None:
    """End one that has finished, its row locked by the caller, as if its owner deleted the file.

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
    """End uploads that have not finished, their rows locked by the caller.

    `act`: `abort`, `expire` or `fail`. Whoever is writing to one can record nothing any more.
    """
    if not uploads:
        return
    ids = [upload.id for upload in uploads]
    await access.delete_among(unit, Chunk.upload_id, ids)
    await access.delete_among(unit, Segment.upload_id, ids)
    unneeded = [each for upload in uploads for each in _unneeded(upload, bytes_kept(upload))]
    await quota.release(unit, *uploads)
    await forget(unit, *unneeded)
    for upload in uploads:
        advance(upload, act)
        if upload.source == "form":
            await unit.session.delete(upload)
        else:
            upload.through, upload.stored_bytes = 0, 0
            upload.writer = upload.leased_until = None


def _unneeded(upload: Upload, size_bytes: int) -> list[Unneeded]:
    if upload.source == "form":
        return [Unneeded("blob", upload.store_key, size_bytes=size_bytes)]
    blob = Unneeded("blob", file_key(upload.id))
    if upload.direct_id is not None:
        return [Unneeded("direct", blob.key, upload.direct_id, size_bytes), blob]
    chunks = Unneeded("chunks", upload.store_key, size_bytes=size_bytes)
    # It may be assembled already, or any moment now.
    return [chunks, blob] if upload.state == "verifying" else [chunks]


def bytes_kept(upload: Upload) -> int:
    """Return about how much of an upload that has not finished lies in the store.

    What a form has brought is known at its end only, and what clients have sent straight to the
    store not even then: of these it is what was reserved.
    """
    unseen = upload.source == "form" or upload.direct_id is not None
    return upload.reserved_bytes if unseen else upload.stored_bytes


async def give_up_expired(work: UnitsOfWork) -> None:
    """Give up some uploads whose time has come, and forget those that ended a week ago."""
    pool = await work.database.pool()
    now = work.now()
    await pool.execute(_FORGET_ENDED, now - _REMEMBER, list(ENDED))
    for (upload_id,) in await pool.fetch(_EXPIRED, now, list(UNFINISHED)):
        # One at a time: each takes the row of its owner too, in no order that others know.
        async with work.begin() as unit:
            upload = await unit.get(Upload, upload_id, lock=True)
            if upload is None or not expired(upload, unit.now):
                continue
            if upload.state == "held" and await is_needed(unit, upload.id):
                upload.expires_at = unit.now + PARTS_LIFETIME
            else:
                await give_up(unit, upload, act="expire")


def expired(upload: Upload, now: datetime) -> bool:
    """Whether an upload has not finished in its time; the sweep has given it up, or will soon."""
    late = upload.expires_at is not None and upload.expires_at < now
    return late and upload.state in UNFINISHED
