"""The only ways to rows on behalf of somebody. What one may not see does not exist: 404."""

from collections.abc import Collection
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, any_, delete, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import col, select

from sharezync_shared.ids import UserId
from sharezync_shared.problems import NotFound
from sharezync_shared.work import UnitOfWork
from sharezync_storage.models import File, FileId, Link, LinkId, Upload, UploadId
from sharezync_storage.states import Source

Row = TypeVar("Row", File, Upload)


async def own_file(
    unit: UnitOfWork, user_id: UserId, file_id: FileId, *, lock: bool = False
) -> File:
    """Return a file of the user's own; with `lock`, locked until the commit.

    One that they have deleted is none of theirs any more, even where others still hold it.
    """
    file = await file_vouched_for(unit, file_id, lock=lock)
    if file.owner_id != user_id or file.let_go_at is not None:
        raise NotFound
    return file


async def possible_avatar(unit: UnitOfWork, file_id: FileId) -> File:
    """Return somebody's file that everybody may read, if auth says that it is their avatar."""
    file = await file_vouched_for(unit, file_id)
    if file.let_go_at is not None or not file.mime.startswith("image/"):
        raise NotFound
    return file


async def file_vouched_for(unit: UnitOfWork, file_id: FileId, *, lock: bool = False) -> File:
    """Return a file for a reader that somebody else vouches for: a signature, or a service."""
    file = await unit.get(File, file_id, lock=lock)
    if file is None or file.deleted_at is not None:
        raise NotFound
    return file


async def own_link(unit: UnitOfWork, user_id: UserId, file_id: FileId, link_id: LinkId) -> Link:
    await own_file(unit, user_id, file_id)
    link = await unit.get(Link, link_id)
    if link is None or link.file_id != file_id:
        raise NotFound
    return link


async def link_followed(unit: UnitOfWork, token_digest: bytes) -> tuple[Link, File]:
    """Return a link, and the file behind it, for whoever has its token.

    Both may have come to their end: nobody without a token is shown what is left of them.
    """
    statement = (
        select(Link, File)
        .join(File, col(File.id) == col(Link.file_id))
        .where(Link.token_digest == token_digest)
    )
    found = (await unit.session.exec(statement)).one_or_none()
    if found is None:
        raise NotFound
    return found[0], found[1]


async def held(unit: UnitOfWork, model: type[Row], ids: Collection[UUID]) -> list[Row]:
    """Return those of these uploads or files that there are, locked until the commit, by id.

    Files that were deleted are among them.
    """
    statement = select(model).where(among(model.id, ids)).order_by(col(model.id)).with_for_update()
    return list(await unit.session.exec(statement))


async def delete_among(unit: UnitOfWork, column: UUID, ids: Collection[UUID]) -> None:
    table = col(column).class_  # type: ignore[attr-defined]  # what a column is of
    theirs = delete(table).where(among(column, ids))
    await unit.session.exec(theirs.execution_options(synchronize_session=False))


async def own_upload(
    unit: UnitOfWork,
    user_id: UserId,
    upload_id: UploadId | UUID,
    source: Source,
    *,
    lock: bool = False,
) -> Upload:
    """Return an upload of the user's own that comes from this source; see `own_file` for `lock`."""
    upload = await unit.get(Upload, upload_id, lock=lock)
    if upload is None or upload.source != source or upload.owner_id != user_id:
        raise NotFound
    return upload


def among(column: UUID, ids: Collection[UUID]) -> ColumnElement[bool]:
    """Return the condition that a column is one of `ids`: one parameter, however many they are."""
    return col(column) == any_(literal(list(ids), ARRAY(Uuid)))


def in_chunks(upload: Upload) -> bool:
    """Whether an upload's bytes are kept by the chunk engine.

    So are those that clients were to send straight to the store, where they can't reach it.
    """
    return upload.source == "chunks" or (
        upload.source == "direct" and upload.chunk_size_bytes is not None and not upload.direct_id
    )
