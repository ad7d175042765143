"""A user's account is gone: so is all that storage holds of them."""

from typing import Final

from sqlmodel import col, select

from sharezync_shared.events.contracts import FileDeleted
from sharezync_shared.ids import UserId
from sharezync_shared.work import UnitOfWork
from sharezync_storage.models import File, Upload
from sharezync_storage.states import UNFINISHED
from sharezync_storage.usecases import holding, quota
from sharezync_storage.usecases.files import kept_of
from sharezync_storage.usecases.sweeping import forget
from sharezync_storage.usecases.uploads import give_up

_UPLOADS: Final = "DELETE FROM storage.uploads WHERE id = ANY($1::uuid[])"
_FILES: Final = "DELETE FROM storage.files WHERE id = ANY($1::uuid[])"
_ROOM: Final = """
DELETE FROM storage.usage WHERE user_id = $1 AND used_bytes = 0 AND reserved_bytes = 0
"""


async def erase_user(unit: UnitOfWork, user_id: UserId) -> None:
    """Erase a user's files, uploads and usage; each file that goes is published.

    The bytes go after the commit, by the sweep, whoever still held a file. Safe to repeat: what is
    gone is not found again, and what a token that outlived the account brought in meanwhile goes
    too.
    """
    uploads = await unit.session.exec(
        select(Upload).where(Upload.owner_id == user_id).order_by(col(Upload.id)).with_for_update()
    )
    files = await unit.session.exec(
        select(File).where(File.owner_id == user_id).order_by(col(File.id)).with_for_update()
    )
    # All rows first, and only then the row of their room: as everywhere, so that nobody waits for
    # us while we wait for them. And these rows alone: others may hold what comes in meanwhile.
    theirs, begun = list(files), list(uploads)
    await give_up(unit, *(upload for upload in begun if upload.state in UNFINISHED))
    there = [file for file in theirs if file.deleted_at is None]
    await quota.free(unit, there)
    await forget(unit, *(kept_of(file) for file in there))
    for file in there:
        unit.emit(FileDeleted(file_id=file.id, owner_id=user_id))
    await holding.drop(unit, [file.id for file in theirs])
    connection = await unit.raw()
    await connection.execute(_UPLOADS, [upload.id for upload in begun])
    await connection.execute(_FILES, [file.id for file in theirs])
    await connection.execute(_ROOM, user_id)
