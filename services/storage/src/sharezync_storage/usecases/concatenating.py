"""Uploads that are made of others (tus 1.0.0, Concatenation)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import any_, func, literal
from sqlmodel import col, select

from sharezync_shared.db.work import UnitOfWork, UnitsOfWork
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.media_types import clean_media_type
from sharezync_shared.names.filenames import clean_name
from sharezync_shared.problems import Invalid, NotFound
from sharezync_storage.keys import upload_key
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.problems import PartsUnfinished, UploadGone
from sharezync_storage.states import ENDED
from sharezync_storage.usecases import quota
from sharezync_storage.usecases.lifecycle import advance
from sharezync_storage.usecases.quota import StorageLimits

PARTS_LIFETIME: Final = timedelta(hours=1)
"""How long parts can be used again once something was made of them."""


async def begin_final(
    work: UnitsOfWork,
    limits: StorageLimits,
    *,
    owner_id: UserId,
    source_ids: Sequence[UploadId],
    name: str,
    mime: str | None,
    tus_metadata: str | None,
    tus_concat: str,
    lifetime: timedelta,
    idempotency_key: str | None = None,
) -> Upload:
    """Begin an upload that consists of others; see `Appending.create_final`."""
    async with work.begin() as unit:
        parts = await _parts(unit, owner_id, source_ids)
        size_bytes = sum(parts[source_id].stored_bytes for source_id in source_ids)
        limits.check_size(size_bytes)
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
            tus_concat=tus_concat,
            source_ids=list(source_ids),
            idempotency_key=idempotency_key,
            created_at=unit.now,
            expires_at=unit.now + lifetime,
        )
        await quota.reserve(unit, limits, upload, size_bytes)
        await quota.admit(unit, limits, owner_id)
        advance(upload, "verify")
        unit.add(upload)
        for part in parts.values():
            if part.expires_at is not None:
                part.expires_at = min(part.expires_at, unit.now + PARTS_LIFETIME)
    return upload


async def is_needed(unit: UnitOfWork, upload_id: UUID) -> bool:
    """Whether something is being made of this upload at this moment."""
    needed = select(func.count()).where(
        col(Upload.state) == "verifying", literal(upload_id) == any_(col(Upload.source_ids))
    )
    return bool(await unit.session.scalar(needed))


async def _parts(
    unit: UnitOfWork, owner_id: UserId, source_ids: Sequence[UploadId]
) -> dict[UUID, Upload]:
    """Return the parts by their ids, held until it is on record that they are needed."""
    if not source_ids:
        raise Invalid("A final upload needs at least one partial upload")
    statement = (
        select(Upload)
        .where(
            col(Upload.id).in_(set(source_ids)),
            col(Upload.owner_id) == owner_id,
            col(Upload.door) == "tus",
        )
        .order_by(col(Upload.id))
        .with_for_update()
    )
    found = {upload.id: upload for upload in await unit.session.exec(statement)}
    for source_id in source_ids:
        part = found.get(source_id)
        if part is None:
            raise NotFound(f"The upload {source_id} doesn't exist")
        if part.state in ENDED or (part.expires_at is not None and part.expires_at < unit.now):
            raise UploadGone(f"The upload {source_id} was cancelled or has expired")
        if part.tus_concat is None or part.source_ids is not None:
            raise Invalid(f"The upload {source_id} isn't partial")
    unfinished = [one for one in found.values() if one.state != "held"]
    if unfinished:
        raise PartsUnfinished(unfinished=[f"/v1/uploads/{one.id}" for one in unfinished])
    return found
