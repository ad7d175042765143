"""How far uploads are that come from start to end, from their rows."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import delete
from sqlmodel import col, select

from sharezync_shared.db.work import UnitOfWork
from sharezync_storage import access, models
from sharezync_storage.models import Upload
from sharezync_storage.stores.port import Extent, StoredSegment


async def extent_of(unit: UnitOfWork, upload: Upload) -> Extent:
    """Return what counts of an upload, and where the store has it."""
    rows = select(models.Segment).where(models.Segment.upload_id == upload.id)
    segments = await unit.session.exec(rows.order_by(col(models.Segment.number)))
    return Extent(
        upload.stored_bytes,
        tuple(StoredSegment(row.number, row.size_bytes, row.suffix) for row in segments),
    )


async def forget_segments(unit: UnitOfWork, upload_ids: Collection[UUID]) -> None:
    """Delete the rows of these uploads' segments: nobody needs them any more."""
    await unit.session.exec(
        delete(models.Segment)
        .where(access.among(models.Segment.upload_id, upload_ids))
        .execution_options(synchronize_session=False)
    )
