"""Accounts: registered, looked at, changed, deleted."""

from collections.abc import Collection
from typing import Any, Final
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from sharezync_auth import access
from sharezync_auth.errors import (
    AvatarNotAnImage,
    AvatarNotYours,
    EmailTaken,
    NameTaken,
    WrongPassword,
)
from sharezync_auth.models import DeletedUser, Device, Session, User, account_stream
from sharezync_auth.names import clean_username, email_key
from sharezync_auth.passwords import Passwords
from sharezync_auth.schemas import OwnUser, PublicUser, UserDeletedRead
from sharezync_auth.usecases import blocks, sessions, skeletons, throttling
from sharezync_auth.usecases.context import AuthContext
from sharezync_shared.addresses import bucket_of
from sharezync_shared.contracts.auth import UserNames
from sharezync_shared.contracts.services import Services
from sharezync_shared.costly import CostlyReads
from sharezync_shared.events import contracts as facts
from sharezync_shared.ids import UserId
from sharezync_shared.names.usernames import data_version, skeleton_of
from sharezync_shared.problems import Conflict, Invalid
from sharezync_shared.streams.frames import Control
from sharezync_shared.text import key_of
from sharezync_shared.tokens.claims import Identity
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
    address: str,
) -> OwnUser:
    """Make an account. Raises NameTaken or EmailTaken, also when two register at once; Unavailable
    where too many passwords wait, of this network address or at all.
    """
    password_hash = await passwords.hash(password, caller=bucket_of(address))
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
            unit.log("user_registered", user_id=str(user.id))
            unit.emit(
                facts.UserRegistered(
                    user_id=user.id, username=user.username, display_name=user.display_name
                )
            )
    except IntegrityError as error:
        raise _taken(error) from error
    return OwnUser.model_validate(user)


async def update(
    context: AuthContext, caller: Identity, changes: dict[str, Any], current_password: str | None
) -> OwnUser:
    """Change one's own profile: `username`, `email`, `display_name`, `bio`, `avatar_file_id`; or
    `who_may_add`.

    Nothing in a token depends on a name, so tokens live on. A name that was made under older rules
    stays as long as it isn't changed. Another e-mail address takes the password, and an avatar is
    a file of one's own. Nothing is changed where this raises: WrongPassword, TooManyTries,
    AvatarNotYours, AvatarNotAnImage, NameTaken, EmailTaken, Invalid for a new name that isn't
    accepted or a password that is missing, Unavailable.
    """
    user_id, checked = caller.user_id, None
    if await _moves(context.work, user_id, changes):
        checked = await context.throttle.confirm(caller, current_password)
        if checked is None:
            raise _password_missing("current_password")
    if (avatar := changes.get("avatar_file_id")) is not None:
        await _check_avatar(context.services, user_id, avatar)
    try:
        async with context.work.begin() as unit:
            user = await _account_to_change(unit, user_id, checked)
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
                    raise _password_missing("current_password")
                user.email_key = address
            user.updated_at = unit.now
            unit.add(user)
            await unit.publish_event(
                account_stream(user_id), "user.updated", OwnUser.model_validate(user)
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
    return OwnUser.model_validate(user)


async def _account_to_change(unit: UnitOfWork, user_id: UserId, checked: str | None) -> User:
    """Return one's own account, held until the commit.

    `checked` is the stored hash that matched the password, None where none is needed. Raises
    WrongPassword where another one holds by now.
    """
    user = await access.own_account(unit, user_id, lock=True)
    if checked not in {None, user.password_hash}:
        raise WrongPassword  # changed while we looked
    return user


async def _check_avatar(services: Services, user_id: UserId, file_id: UUID) -> None:
    """See that a file is one of the user's own, and whole. Call it outside of any transaction.

    Everybody may read it from then on, so it has to be an image (AvatarNotAnImage).
    Raises AvatarNotYours for somebody else's and for one that nobody has alike; Unavailable where
    storage can't be asked. A file that was asked for stays for an hour, whatever its owner lets go
    of meanwhile: so the profile names it before the news that it is gone can come. Only who deletes
    it everywhere in this very moment is left with the id of a file that is no more.
    """
    found = await services.storage.files([file_id], user_id)
    own = [file for file in found if (file.id, file.owner_id) == (file_id, user_id)]
    if not own:
        raise AvatarNotYours
    if not own[0].mime.startswith("image/"):
        raise AvatarNotAnImage


async def _moves(work: UnitsOfWork, user_id: UserId, changes: dict[str, Any]) -> bool:
    """Whether an account is to have another e-mail address, not another spelling of its own."""
    if "email" not in changes:
        return False
    async with work.read() as unit:
        user = await access.own_account(unit, user_id)
    return email_key(changes["email"]) != user.email_key


def _password_missing(field: str) -> Invalid:
    return Invalid(errors=[{"field": f"body.{field}", "message": "The password is required"}])


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
    context: AuthContext, caller: Identity, *, current_password: str, new_password: str
) -> None:
    """Change one's own password; every other login ends.

    Raises WrongPassword; TooManyTries or Unavailable where nobody looked at it.
    """
    checked = await context.throttle.confirm(caller, current_password)
    new_hash = await context.passwords.hash(new_password, caller=f"user:{caller.user_id}")
    async with context.work.begin() as unit:
        user = await _account_to_change(unit, caller.user_id, checked)
        user.password_hash, user.updated_at = new_hash, unit.now
        unit.add(user)
        living = await sessions.living_of(unit, caller.user_id)
        others = [each for each in living if each.id != caller.session_id]
        await sessions.end(unit, others, "password_changed")


async def erase(context: AuthContext, caller: Identity, password: str | None) -> None:
    """Delete one's own account, with its logins and devices; every service erases its share.

    Raises WrongPassword, or Invalid where it is missing; TooManyTries or Unavailable where nobody
    looked at it.

    What stays is the bare id, for gateways that ask what they missed, and for the same reason the
    last events of the stream: they say who and which logins ended, and are pruned like all others.
    """
    user_id = caller.user_id
    checked = await context.throttle.confirm(caller, password)
    if checked is None:
        raise _password_missing("password")
    async with context.work.begin() as unit:
        user = await _account_to_change(unit, user_id, checked)
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
        unit.log("user_deleted", user_id=str(user.id))
        await unit.session.flush()
        unit.add(DeletedUser(user_id=user.id, deleted_at=unit.now))
        # Ended logins go too: whose they were is nobody's business any more.
        await unit.session.exec(delete(Session).where(col(Session.user_id) == user_id))
        # In the order of ids, as whoever holds many does (nodes.py).
        devices = select(Device.id).where(Device.user_id == user_id).order_by(col(Device.id))
        locked = (await unit.session.exec(devices.with_for_update())).all()
        await unit.session.exec(delete(Device).where(col(Device.id).in_(locked)))
        await throttling.forget(connection, user_id)
        await unit.session.delete(user)


async def forget_avatar(unit: UnitOfWork, *, user_id: UserId, file_id: UUID) -> None:
    """Take a file that is gone off its owner's profile, if it is their avatar. Idempotent."""
    statement = select(User).where(User.id == user_id, User.avatar_file_id == file_id)
    user = (await unit.session.exec(statement.with_for_update())).one_or_none()
    if user is None:
        return
    user.avatar_file_id, user.updated_at = None, unit.now
    unit.add(user)
    await unit.publish_event(account_stream(user_id), "user.updated", OwnUser.model_validate(user))


async def own(work: UnitsOfWork, user_id: UserId) -> OwnUser:
    async with work.read() as unit:
        return OwnUser.model_validate(await access.own_account(unit, user_id))


async def public(work: UnitsOfWork, user_id: UserId) -> PublicUser:
    """Return what everyone may see of somebody. Raises NotFound."""
    async with work.read() as unit:
        return PublicUser.model_validate(await access.profile_to_see(unit, user_id))


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
    return [PublicUser.model_validate(row) for row in rows[:limit]], more


def page_of_directory(prefix_key: str, *, after: str | None, limit: int) -> SelectOfScalar[User]:
    """Return the query for users whose key begins so, by key, after the key `after`."""
    # A range rather than LIKE: it is a walk along the index also in a prepared plan, which knows
    # no prefix yet, and no character of it means anything but itself.
    key = col(User.username_key)
    statement = select(User).where(key >= prefix_key, key < prefix_key + _AFTER_ALL)
    if after is not None:
        statement = statement.where(key > after)
    return statement.order_by(key).limit(limit)


async def names(work: UnitsOfWork, user_ids: Collection[UUID]) -> list[UserNames]:
    async with work.read() as unit:
        found = await unit.session.exec(select(User).where(col(User.id).in_(user_ids)))
        return [
            UserNames(u.id, u.username, u.display_name, u.who_may_add, u.avatar_file_id)
            for u in found
        ]


def _taken(error: IntegrityError) -> Conflict:
    # By the name of what was broken: the message is for people, in the words of the server.
    broken = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
    if broken in {"uq_users_username_key", "uq_users_username_skeleton"}:
        return NameTaken()
    if broken == "uq_users_email_key":
        return EmailTaken()
    raise error
