"""Who beside the owner may read a file. Given and taken back by services that know why."""

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from sharezync_shared.db.work import UnitsOfWork
from sharezync_shared.ids import UserId
from sharezync_storage import access
from sharezync_storage.models import FileId, Grant


async def give(work: UnitsOfWork, *, file_id: FileId, user_id: UserId) -> None:
    """Let a user look at a file and read it, until that is taken back. Idempotent.

    Not more than that: they can't delete, list or link it. Raises NotFound.
    """
    async with work.begin() as unit:
        await access.file_vouched_for(unit, file_id, lock=True)  # it must not go meanwhile
        await unit.session.exec(
            insert(Grant)
            .values(file_id=file_id, user_id=user_id, created_at=unit.now)
            .on_conflict_do_nothing()
        )


async def take_back(work: UnitsOfWork, *, file_id: FileId, user_id: UserId) -> None:
    """End that. Idempotent; a signed URL that they have by then holds for its minutes."""
    async with work.begin() as unit:
        await unit.session.exec(
            delete(Grant)
            .where(col(Grant.file_id) == file_id, col(Grant.user_id) == user_id)
            .execution_options(synchronize_session=False)
        )
