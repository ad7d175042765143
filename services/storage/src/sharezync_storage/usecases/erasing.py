"""A user's account is gone: so is all that storage holds of them."""

from sqlalchemy import delete
from sqlmodel import col, select

from sharezync_shared.db.work import Unit
from sharezync_shared.events.contracts.storage import FileDeleted
from sharezync_shared.ids import UserId
from sharezync_storage.models import UNFINISHED, File, Upload, Usage
from sharezync_storage.usecases.sweeping import forget
from sharezync_storage.usecases.uploads import give_up


async def erase_user(unit: Unit, user_id: UserId) -> None:
    """Erase a user's files, uploads and usage; services hear of each file that goes.

    The bytes go after the commit, by the sweep. Safe to repeat: what is gone is not found again,
    and what a token that outlived the account brought in meanwhile goes too.
    """
    uploads = select(Upload).where(Upload.owner_id == user_id).order_by(col(Upload.id))
    for upload in await unit.session.exec(uploads.with_for_update()):
        if upload.state in UNFINISHED:
            await give_up(unit, upload)
    files = select(File).where(File.owner_id == user_id).order_by(col(File.id))
    for file in await unit.session.exec(files.with_for_update()):
        if file.deleted_at is None:
            forget(unit, blob=file.store_key)
            unit.emit(FileDeleted(file_id=file.id, owner_id=user_id))
    for table, owner in ((Upload, Upload.owner_id), (File, File.owner_id), (Usage, Usage.user_id)):
        await unit.session.exec(
            delete(table).where(col(owner) == user_id).execution_options(synchronize_session=False)
        )
