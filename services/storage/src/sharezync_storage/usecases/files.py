"""Files: made of what was uploaded, listed, looked at, described, let go, deleted."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from sqlmodel import col, select

from sharezync_shared.contracts.auth import AuthClient
from sharezync_shared.events.contracts import FileDeleted, FileStored
from sharezync_shared.ids import UserId
from sharezync_shared.problems import NotFound
from sharezync_shared.work import UnitOfWork, UnitsOfWork
from sharezync_storage import access
from sharezync_storage.keys import file_key
from sharezync_storage.models import Chunk, File, FileId, Upload
from sharezync_storage.states import advance
from sharezync_storage.usecases import holding, quota
from sharezync_storage.usecases.sweeping import Unneeded, forget

_THERE: Final = (col(File.deleted_at).is_(None), col(File.let_go_at).is_(None))

FileAndUpload = tuple[File, Upload | None]
"""A file, and the upload that it came by, where that is still on record."""


async def stand(unit: UnitOfWork, *uploads: Upload) -> list[File]:
    """Make the files that uploads have become, as their rows say, and publish them."""
    await quota.settle(unit, *uploads)
    files = []
    for upload in uploads:
        advance(upload, "finish")
        upload.stored_bytes, upload.expires_at = upload.size_bytes or 0, None
        upload.writer = upload.leased_until = None
        file = File(
            id=upload.id,
            owner_id=upload.owner_id,
            name=upload.name,
            size_bytes=upload.stored_bytes,
            mime=upload.mime,
            sha256=upload.sha256,
            root=upload.root,
            store_key=file_key(upload.id),
            created_at=unit.now,
        )
        unit.add(file)
        unit.emit(
            FileStored(
                file_id=file.id,
                owner_id=file.owner_id,
                size_bytes=file.size_bytes,
                media_type=file.mime,
                sha256=file.sha256.hex() if file.sha256 else None,
            )
        )
        files.append(file)
    return files


async def page(
    work: UnitsOfWork, *, owner_id: UserId, after: FileId | None, limit: int
) -> Sequence[File]:
    """List a user's files, newest first, from behind the file `after`."""
    statement = select(File).where(File.owner_id == owner_id, *_THERE)
    if after is not None:
        statement = statement.where(col(File.id) < after)
    async with work.read() as unit:
        found = await unit.session.exec(statement.order_by(col(File.id).desc()).limit(limit))
        return found.all()


async def get_readable(
    work: UnitsOfWork, auth: AuthClient, *, user_id: UserId, file_id: FileId
) -> File:
    """Return a file that a user may read: their own, or anybody's avatar.

    Raises NotFound; Unavailable for others' images where auth can't be asked.
    """
    async with work.read() as unit:
        try:
            return await access.own_file(unit, user_id, file_id)
        except NotFound:
            file = await access.possible_avatar(unit, file_id)
    if not await auth.has_avatar(UserId(file.owner_id), file.id):
        raise NotFound
    return file


async def get_vouched_for(work: UnitsOfWork, *, file_id: FileId) -> File:
    """Return anybody's file, for a reader with a valid signature. Raises NotFound."""
    async with work.read() as unit:
        return await access.file_vouched_for(unit, file_id)


async def describe(
    work: UnitsOfWork, *, file_ids: Sequence[UUID], owner_id: UserId | None = None
) -> list[File]:
    """Return those of these files that are there, in no order; not those that were let go.

    With `owner_id` only this user's.

    Who asks may make something of them, such as a message: for an hour they are held, until what
    has become of it is heard.
    """
    async with work.begin() as unit:
        statement = select(File).where(col(File.id).in_(file_ids), *_THERE).order_by(col(File.id))
        if owner_id is not None:
            statement = statement.where(File.owner_id == owner_id)
        files = list(await unit.session.exec(statement.with_for_update(read=True)))
        await holding.ask(unit, [file.id for file in files])
        return files


async def delete(
    work: UnitsOfWork, *, owner_id: UserId, file_id: FileId, everywhere: bool = False
) -> None:
    """Delete a user's own file. Raises NotFound.

    It is theirs no more at once, and gone with its bytes as soon as nothing else holds it; with
    `everywhere` at once, whoever holds it, and even where they had let it go before. Services hear
    of it when it is gone.
    """
    async with work.begin() as unit:
        # First the upload, as everywhere: whoever takes both in another order would wait for us.
        upload = await unit.get(Upload, file_id, lock=True)
        if everywhere:
            file = await access.file_vouched_for(unit, file_id, lock=True)
            if file.owner_id != owner_id:
                raise NotFound
            await remove(unit, [(file, upload)])
        else:
            file = await access.own_file(unit, owner_id, file_id, lock=True)
            await let_go(unit, [(file, upload)])


async def let_go(
    unit: UnitOfWork, files: Sequence[FileAndUpload], *, held_by_transfers: bool = True
) -> None:
    """Take files from their owners, all rows held by the caller, and remove those nobody holds.

    While somebody does, a file counts in its owner's room. Whom the owner let read it may not any
    more. `held_by_transfers` False: what only transfers hold is removed, too.
    """
    ids = [file.id for file, _ in files]
    held = await holding.held_among(unit, ids, by_transfers=held_by_transfers)
    await remove(unit, [each for each in files if each[0].id not in held])
    kept = [file for file, _ in files if file.id in held]
    for file in kept:
        file.let_go_at = unit.now
        unit.add(file)


async def remove(unit: UnitOfWork, files: Sequence[FileAndUpload]) -> None:
    """Delete files for everyone, all rows held by the caller; their uploads are over for good."""
    if not files:
        return
    gone = [file for file, _ in files]
    uploads = [upload for _, upload in files if upload is not None]
    await holding.drop(unit, [file.id for file in gone])
    await quota.free(unit, gone)
    await forget(unit, *(kept_of(file) for file in gone))
    for file in gone:
        file.deleted_at = unit.now
        file.unheld_at = None
        unit.add(file)
        unit.emit(FileDeleted(file_id=file.id, owner_id=file.owner_id))
    for upload in uploads:
        advance(upload, "abort")
        upload.expires_at = unit.now
    await access.delete_among(unit, Chunk.upload_id, [upload.id for upload in uploads])


def kept_of(file: File) -> Unneeded:
    """Return what the store keeps of a file."""
    return Unneeded("blob", file.store_key, size_bytes=file.size_bytes)
