"""Accounts: registered, looked at, changed, deleted."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from sharezync_auth import access
from sharezync_auth.errors import EmailTaken, NameTaken
from sharezync_auth.models import DeletedUser, Device, Session, User, account_stream
from sharezync_auth.names import clean_username, email_key
from sharezync_auth.passwords import Passwords
from sharezync_auth.schemas import OwnUser, PublicUser, UserDeletedRead
from sharezync_auth.usecases import avatars, blocks, sessions, skeletons, throttling
from sharezync_auth.usecases.confirming import check_password, confirmed_account
from sharezync_auth.usecases.throttling import LoginThrottle
from sharezync_shared.contracts.services import Services
from sharezync_shared.costly import CostlyReads
from sharezync_shared.events.contracts import auth as facts
from sharezync_shared.ids import SessionId, UserId
from sharezync_shared.names.lookalikes import data_version, skeleton_of
from sharezync_shared.problems import Conflict, Invalid
from sharezync_shared.streams.frames import Control
from sharezync_shared.text import key_of
from sharezync_shared.work import UnitOfWork, UnitsOfWork

_AFTER_ALL: Final = "\U0010ffff"
"""Greater than any character of a name: not even a letter."""


async def register(
    work: UnitsOfWork,
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
                email_key=email_key(email),
                password_hash=password_hash,
                display_name=display_name or username,
                created_at=unit.now,
                updated_at=unit.now,
            )
            await _look_like_nobody(unit, user)
            unit.add(user)
            unit.emit(
                facts.UserRegistered(
                    user_id=user.id, username=user.username, display_name=user.display_name
                )
            )
    except IntegrityError as error:
        raise _taken(error) from error
    return OwnUser.from_user(user)


async def update(
    work: UnitsOfWork,
    guard: LoginThrottle,
    services: Services,
    *,
    user_id: UserId,
    current_session: SessionId,
    current_password: str | None,
    changes: dict[str, Any],
) -> OwnUser:
    """Change one's own profile: `username`, `email`, `display_name`, `bio`, `avatar_file_id`; or
    `who_may_add`.

    Nothing in a token depends on a name, so tokens live on. A name that was made under older rules
    stays as long as it isn't changed. Another e-mail address takes the password, and an avatar is
    a file of one's own. Nothing is changed where this raises: WrongPassword, TooManyTries,
    AvatarNotYours, NameTaken, EmailTaken, Invalid for a new name that isn't accepted or a password
    that is missing, Unavailable.
    """
    checked = None
    if await _moves(work, user_id, changes):
        if current_password is None:
            raise _password_missing()
        checked = await check_password(
            work,
            guard,
            user_id=user_id,
            current_session=current_session,
            password=current_password,
        )
    if (avatar := changes.get("avatar_file_id")) is not None:
        await avatars.check_avatar(services, user_id=user_id, file_id=avatar)
    try:
        async with work.begin() as unit:
            if checked is None:
                user = await access.own_account(unit, user_id, lock=True)
            else:
                user = await confirmed_account(unit, user_id, checked)
            before = user.username
            for name, value in changes.items():
                setattr(user, name, value)
            if user.username != before:
                user.username = _accepted(user.username)
                key = key_of(user.username)
                respelt, user.username_key = key == user.username_key, key
                await _look_like_nobody(unit, user, respelt=respelt)
            if (address := email_key(user.email)) != user.email_key:
                if checked is None:  # theirs when we looked, and another by now
                    raise _password_missing()
                user.email_key = address
            user.updated_at = unit.now
            unit.add(user)
            await unit.publish_event(
                account_stream(user_id), "user.updated", OwnUser.from_user(user)
            )
            unit.emit(
                facts.UserUpdated(
                    user_id=user.id,
                    username=user.username,
                    display_name=user.display_name,
                    who_may_add=user.who_may_add,
                )
            )
    except IntegrityError as error:
        raise _taken(error) from error
    return OwnUser.from_user(user)


async def _moves(work: UnitsOfWork, user_id: UserId, changes: dict[str, Any]) -> bool:
    """Whether an account is to have another e-mail address, not another spelling of its own."""
    if "email" not in changes:
        return False
    async with work.read() as unit:
        user = await access.own_account(unit, user_id)
    return email_key(changes["email"]) != user.email_key


def _password_missing() -> Invalid:
    message = "Another e-mail address takes the present password"
    return Invalid(errors=[{"field": "body.current_password", "message": message}])


def _accepted(username: str) -> str:
    try:
        return clean_username(username)
    except ValueError as error:
        raise Invalid(errors=[{"field": "body.username", "message": str(error)}]) from error


async def _look_like_nobody(unit: UnitOfWork, user: User, *, respelt: bool = False) -> None:
    """Give `user` the skeleton of their new name. Raises NameTaken; the index does at the flush.

    `respelt`: the new name has the key of the old one. Who shares a skeleton with somebody since
    before that was watched may change no more than that: it could look even more alike.
    """
    skeleton = skeleton_of(user.username)
    if skeleton == user.username_skeleton and (respelt or not user.skeleton_shared):
        return  # another spelling of what one has
    if await skeletons.is_shared(unit, skeleton, but=user.id):
        raise NameTaken
    user.username_skeleton, user.skeleton_version = skeleton, data_version()
    user.skeleton_shared = False


async def change_password(
    work: UnitsOfWork,
    guard: LoginThrottle,
    *,
    user_id: UserId,
    current_session: SessionId,
    current_password: str,
    new_password: str,
) -> None:
    """Change one's own password; every other login ends.

    Raises WrongPassword; TooManyTries or Unavailable where nobody looked at it.
    """
    checked = await check_password(
        work,
        guard,
        user_id=user_id,
        current_session=current_session,
        password=current_password,
    )
    new_hash = await guard.passwords.hash(new_password)
    async with work.begin() as unit:
        user = await confirmed_account(unit, user_id, checked)
        user.password_hash, user.updated_at = new_hash, unit.now
        unit.add(user)
        others = [s for s in await sessions.living_of(unit, user_id) if s.id != current_session]
        await sessions.end(unit, others, "password_changed")


async def erase(
    work: UnitsOfWork,
    guard: LoginThrottle,
    *,
    user_id: UserId,
    current_session: SessionId,
    password: str,
) -> None:
    """Delete one's own account, with its logins and devices; every service erases its share.

    Raises WrongPassword; TooManyTries or Unavailable where nobody looked at it.

    What stays is the bare id, for gateways that ask what they missed, and for the same reason the
    last events of the stream: they say who and which logins ended, and are pruned like all others.
    """
    checked = await check_password(
        work, guard, user_id=user_id, current_session=current_session, password=password
    )
    async with work.begin() as unit:
        user = await confirmed_account(unit, user_id, checked)
        living = await sessions.living_of(unit, user_id)
        connection = await unit.raw()
        stream = account_stream(user_id)
        blockers = await blocks.blockers_of(unit, user_id)
        await unit.lock_streams(stream, *map(account_stream, blockers))
        # Old profiles stand in there. The head stays, so that no `seq` comes twice.
        await connection.execute("DELETE FROM auth.stream_log WHERE stream = $1", stream)
        await sessions.end(unit, living, "account_deleted")
        await blocks.forget(unit, user_id)
        await unit.publish_event(
            stream,
            "user.deleted",
            UserDeletedRead(user_id=user_id),
            control=Control(revoke_user=str(user_id), end=True),
        )
        unit.emit(facts.UserDeleted(user_id=user.id))
        await unit.session.flush()
        unit.add(DeletedUser(user_id=user.id, deleted_at=unit.now))
        # Ended logins go too: whose they were is nobody's business any more.
        await unit.session.exec(delete(Session).where(col(Session.user_id) == user_id))
        await _delete_devices(unit, user_id)
        await throttling.forget(connection, user_id)
        await unit.session.delete(user)


async def _delete_devices(unit: UnitOfWork, user_id: UserId) -> None:
    # In the order of ids, as whoever holds many does (nodes.py).
    locked = await unit.session.exec(
        select(Device.id)
        .where(Device.user_id == user_id)
        .order_by(col(Device.id))
        .with_for_update()
    )
    await unit.session.exec(delete(Device).where(col(Device.id).in_(locked.all())))


async def own(work: UnitsOfWork, *, user_id: UserId) -> OwnUser:
    """Return one's own profile."""
    async with work.read() as unit:
        return OwnUser.from_user(await access.own_account(unit, user_id))


async def public(work: UnitsOfWork, *, user_id: UserId) -> PublicUser:
    """Return what everyone may see of somebody. Raises NotFound."""
    async with work.read() as unit:
        return PublicUser.from_user(await access.profile_to_see(unit, user_id))


async def search(
    costly: CostlyReads, *, viewer_id: UserId, prefix: str, after: str | None, limit: int
) -> tuple[list[PublicUser], str | None]:
    """Return users whose username begins with `prefix`, by name, and where the next page begins.

    `after` is the key of the last user of the page before. Raises as `CostlyReads.read`.
    """
    async with costly.read(viewer_id) as unit:
        statement = page_of_directory(key_of(prefix.strip()), after=after, limit=limit + 1)
        rows = (await unit.session.exec(statement)).all()
    more = rows[limit - 1].username_key if len(rows) > limit else None
    return [PublicUser.from_user(row) for row in rows[:limit]], more


def page_of_directory(prefix_key: str, *, after: str | None, limit: int) -> SelectOfScalar[User]:
    """Return the query for users whose key begins so, by key, after the key `after`."""
    # A range rather than LIKE: it is a walk along the index also in a prepared plan, which knows
    # no prefix yet, and no character of it means anything but itself.
    key = col(User.username_key)
    statement = select(User).where(key >= prefix_key, key < prefix_key + _AFTER_ALL)
    if after is not None:
        statement = statement.where(key > after)
    return statement.order_by(key).limit(limit)


async def names(work: UnitsOfWork, *, user_ids: Collection[UUID]) -> list[OwnUser]:
    """Return those of these users who exist, for other services."""
    async with work.read() as unit:
        found = await unit.session.exec(select(User).where(col(User.id).in_(user_ids)))
        return [OwnUser.from_user(row) for row in found.all()]


def _taken(error: IntegrityError) -> Conflict:
    # By the name of what was broken: the message is for people, in the words of the server.
    broken = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
    if broken in {"uq_users_username_key", "uq_users_username_skeleton"}:
        return NameTaken()
    if broken == "uq_users_email_key":
        return EmailTaken()
    raise error
