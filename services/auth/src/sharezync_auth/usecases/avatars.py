"""Avatars: files of one's own. Who else may read one is for storage to say."""

from uuid import UUID

from sqlmodel import select

from sharezync_auth.errors import AvatarNotYours
from sharezync_auth.models import User, account_stream
from sharezync_auth.schemas import OwnUser
from sharezync_shared.contracts.services import Services
from sharezync_shared.ids import UserId
from sharezync_shared.work import UnitOfWork


async def check_avatar(services: Services, *, user_id: UserId, file_id: UUID) -> None:
    """See that a file is one of the user's own, and whole. Call it outside of any transaction.

    Raises AvatarNotYours for somebody else's and for one that nobody has alike; Unavailable where
    storage can't be asked. A file that was asked for stays for an hour, whatever its owner lets go
    of meanwhile: so the profile names it before the news that it is gone can come. Only who deletes
    it everywhere in this very moment is left with the id of a file that is no more.
    """
    found = await services.storage.files([file_id], user_id)
    if not any((file.id, file.owner_id) == (file_id, user_id) for file in found):
        raise AvatarNotYours


async def forget_avatar(unit: UnitOfWork, *, user_id: UserId, file_id: UUID) -> None:
    """Take a file that is gone off its owner's profile, if it is their avatar. Idempotent."""
    statement = select(User).where(User.id == user_id, User.avatar_file_id == file_id)
    user = (await unit.session.exec(statement.with_for_update())).one_or_none()
    if user is None:
        return
    user.avatar_file_id, user.updated_at = None, unit.now
    unit.add(user)
    await unit.publish_event(account_stream(user_id), "user.updated", OwnUser.from_user(user))
