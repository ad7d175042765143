"""Accounts: registered, looked at, changed, deleted."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from sharezync_auth import access
from sharezync_auth.models import DeletedUser, Device, Session, User, account_stream
from sharezync_auth.names import key_of
from sharezync_auth.passwords import Passwords
from sharezync_auth.usecases import sessions
from sharezync_auth.wire import OwnUser, PublicUser
from sharezync_shared.db.work import Work
from sharezync_shared.events.contracts import auth as facts
from sharezync_shared.ids import SessionId, UserId
from sharezync_shared.problems import Conflict, Forbidden
from sharezync_shared.streams.frames import Control


class NameTaken(Conflict):
    slug, title = "username-taken", "Somebody has this username"


class EmailTaken(Conflict):
    slug, title = "email-taken", "Somebody has this e-mail address"


class WrongPassword(Forbidden):
    slug, title = "wrong-password", "That is not the present password"


async def register(
    work: Work,
    passwords: Passwords,
    *,
    username: str,
    email: str,
    password: str,
    display_name: str | None,
) -> OwnUser:
    """Make an account. Raises NameTaken or EmailTaken, also when two register at once."""
    password_hash = await passwords.hash(password)
    try:
        async with work.begin() as unit:
            user = User(
                username=username,
                username_key=key_of(username),
                email=email,
                email_key=key_of(email),
                password_hash=password_hash,
                display_name=display_name or username,
                created_at=unit.now,
                updated_at=unit.now,
            )
            unit.add(user)
            unit.emit(
                facts.UserRegistered(
                    user_id=user.id, username=user.username, display_name=user.display_name
                )
            )
    except IntegrityError as error:
        raise _taken(error) from error
    return OwnUser.of(user)


async def update(work: Work, *, user_id: UserId, changes: dict[str, Any]) -> OwnUser:
    """Change one's own profile: `username`, `email`, `display_name`, `bio`, `avatar_file_id`.

    Nothing in a token depends on a name, so tokens live on. Raises NameTaken or EmailTaken.
    """
    try:
        async with work.begin() as unit:
            user = await access.own_account(unit, user_id, lock=True)
            for name, value in changes.items():
                setattr(user, name, value)
            user.username_key, user.email_key = key_of(user.username), key_of(user.email)
            user.updated_at = unit.now
            unit.add(user)
            await unit.tell(account_stream(user_id), "user.updated", OwnUser.of(user))
            unit.emit(
                facts.UserUpdated(
                    user_id=user.id, username=user.username, display_name=user.display_name
                )
            )
    except IntegrityError as error:
        raise _taken(error) from error
    return OwnUser.of(user)


async def change_password(
    work: Work,
    passwords: Passwords,
    *,
    user_id: UserId,
    current_session: SessionId,
    current_password: str,
    new_password: str,
) -> None:
    """Change one's own password; every other login ends. Raises WrongPassword."""
    async with work.read() as unit:
        stored = (await access.own_account(unit, user_id)).password_hash
    right, _ = await passwords.verify(current_password, stored)
    if not right:
        raise WrongPassword
    new_hash = await passwords.hash(new_password)
    async with work.begin() as unit:
        user = await access.own_account(unit, user_id, lock=True)
        if user.password_hash != stored:
            raise WrongPassword  # changed while we looked
        user.password_hash, user.updated_at = new_hash, unit.now
        unit.add(user)
        others = [s for s in await sessions.living_of(unit, user_id) if s.id != current_session]
        await sessions.end(unit, others, "password_changed")


async def erase(work: Work, *, user_id: UserId) -> None:
    """Delete one's own account, with its logins and devices; every service erases its share."""
    async with work.begin() as unit:
        user = await access.own_account(unit, user_id, lock=True)
        await sessions.end(unit, await sessions.living_of(unit, user_id), "account_deleted")
        await unit.tell(
            account_stream(user_id),
            "user.deleted",
            {"user_id": str(user_id)},
            control=Control(revoke_user=str(user_id), end=True),
        )
        unit.emit(facts.UserDeleted(user_id=user.id))
        await unit.session.flush()
        # Ended sessions go too: whose they were is nobody's business any more. What stays is the
        # bare id, for gateways that ask what they missed.
        unit.add(DeletedUser(user_id=user.id, deleted_at=unit.now))
        await unit.session.exec(delete(Session).where(col(Session.user_id) == user_id))
        await unit.session.exec(delete(Device).where(col(Device.user_id) == user_id))
        await unit.session.delete(user)


async def own(work: Work, *, user_id: UserId) -> OwnUser:
    """Return one's own profile."""
    async with work.read() as unit:
        return OwnUser.of(await access.own_account(unit, user_id))


async def public(work: Work, *, user_id: UserId) -> PublicUser:
    """Return what everyone may see of somebody. Raises NotFound."""
    async with work.read() as unit:
        return PublicUser.of(await access.profile_to_see(unit, user_id))


async def search(
    work: Work, *, prefix: str, after: str | None, limit: int
) -> tuple[list[PublicUser], str | None]:
    """Return users whose username begins with `prefix`, by name, and where the next page begins.

    `after` is the key of the last user of the page before.
    """
    key = key_of(prefix)
    statement = (
        select(User)
        .where(col(User.username_key).startswith(key, autoescape=True))
        .order_by(col(User.username_key))
        .limit(limit + 1)
    )
    if after is not None:
        statement = statement.where(col(User.username_key) > after)
    async with work.read() as unit:
        rows = (await unit.session.exec(statement)).all()
    more = rows[limit - 1].username_key if len(rows) > limit else None
    return [PublicUser.of(row) for row in rows[:limit]], more


async def names(work: Work, *, user_ids: Collection[UUID]) -> list[PublicUser]:
    """Return those of these users who exist, for other services."""
    async with work.read() as unit:
        found = await unit.session.exec(select(User).where(col(User.id).in_(user_ids)))
        return [PublicUser.of(row) for row in found.all()]


def _taken(error: IntegrityError) -> Conflict:
    text = str(error.orig)
    if "username_key" in text:
        return NameTaken()
    if "email_key" in text:
        return EmailTaken()
    raise error
