"""Access to rows on behalf of a user. What a user may not see does not exist: 404."""

from uuid import UUID

from sqlmodel import col, select

from sharezync_auth.models import Device, Session, User
from sharezync_shared.ids import UserId
from sharezync_shared.problems import NotFound, Unauthenticated
from sharezync_shared.work import UnitOfWork


async def own_account(unit: UnitOfWork, user_id: UserId, *, lock: bool = False) -> User:
    """Return the caller's account, with `lock` until the commit; a token may outlive it."""
    user = await unit.get(User, user_id, lock=lock)
    if user is None:
        raise Unauthenticated("The account no longer exists")
    return user


async def profile_to_see(unit: UnitOfWork, user_id: UserId) -> User:
    """Return anybody's account, for what everyone may see of it."""
    user = await unit.get(User, user_id)
    if user is None:
        raise NotFound
    return user


async def session_to_end(unit: UnitOfWork, user_id: UserId, session_id: UUID) -> Session:
    """Return a session of the caller's own that has not ended, held until the commit."""
    statement = (
        select(Session)
        .where(Session.id == session_id, Session.user_id == user_id)
        .where(col(Session.revoked_at).is_(None))
        .with_for_update()
    )
    session = (await unit.session.exec(statement)).one_or_none()
    if session is None:
        raise NotFound
    return session


async def device_to_change(unit: UnitOfWork, user_id: UserId, device_id: UUID) -> Device:
    """Return a device of the caller's own, held until the commit."""
    device = await unit.get(Device, device_id, lock=True)
    if device is None or device.user_id != user_id:
        raise NotFound
    return device
