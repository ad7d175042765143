"""The names of users: kept here, told by auth, asked for where nobody told us yet."""

from collections.abc import Collection
from datetime import datetime

from sqlmodel import col, select

from sharezync_chat.errors import UserNotFound
from sharezync_chat.models import Member, User, channel_stream
from sharezync_chat.schemas import UserRead
from sharezync_chat.usecases import reads
from sharezync_shared.contracts.services import Services
from sharezync_shared.db.work import UnitOfWork, UnitsOfWork, to_json
from sharezync_shared.ids import UserId
from sharezync_shared.streams.log import Entry
from sharezync_shared.text import key_of

DELETED_USERNAME = "deleted"
DELETED_DISPLAY_NAME = "Deleted user"


async def require(work: UnitsOfWork, services: Services, user_ids: Collection[UserId]) -> None:
    """See to it that chat knows these users; asks auth for those it never heard of.

    Call it before a transaction. Raises UserNotFound for who does not exist or no longer does, and
    Unavailable where auth would have to be asked and does not answer.
    """
    missing = await _unknown(work, user_ids)
    if not missing:
        return
    asked_at = work.now()
    for user in await services.auth.names(missing):
        async with work.begin() as unit:
            await learn(
                unit,
                UserId(user.id),
                username=user.username,
                display_name=user.display_name,
                who_may_add=user.who_may_add,
                at=asked_at,
            )
    if await _unknown(work, missing):
        raise UserNotFound


async def _unknown(work: UnitsOfWork, user_ids: Collection[UserId]) -> set[UserId]:
    async with work.read() as unit:
        found = await unit.session.exec(select(User).where(col(User.id).in_(set(user_ids))))
        known = list(found.all())
    if any(user.deleted for user in known):
        raise UserNotFound
    return set(user_ids) - {UserId(user.id) for user in known}


async def learn(
    unit: UnitOfWork,
    user_id: UserId,
    *,
    username: str,
    display_name: str,
    at: datetime,
    who_may_add: str | None = None,
) -> None:
    """Take over the names that auth gave at `at`; everyone who shares a channel hears of it.

    `who_may_add` None: nothing was said of it, and it stays. Older news than what is known, and
    news of a deleted user, change nothing. Safe to repeat.
    """
    user = await _hold_user(unit, user_id)
    if user is None:
        connection = await unit.raw()
        await connection.execute(
            # Another process may learn of them at this very moment: whoever is later, in time of
            # auth, comes through the branch below at the latest with the next event.
            "INSERT INTO chat.users "
            "(id, username, username_key, display_name, names_at, deleted, who_may_add) "
            "VALUES ($1, $2, $3, $4, $5, false, $6) ON CONFLICT (id) DO NOTHING",
            user_id,
            username,
            key_of(username),
            display_name,
            at,
            who_may_add or "everybody",
        )
        return
    if user.deleted or user.names_at >= at:
        return
    changed = (user.username, user.display_name) != (username, display_name)
    user.username, user.display_name, user.names_at = username, display_name, at
    user.username_key = key_of(username)
    user.who_may_add = who_may_add or user.who_may_add
    if changed:
        await _tell_names(unit, user_id)


async def _hold_user(unit: UnitOfWork, user_id: UserId) -> User | None:
    found = await unit.session.exec(select(User).where(User.id == user_id).with_for_update())
    return found.first()


async def _tell_names(unit: UnitOfWork, user_id: UserId) -> None:
    connection = await unit.raw()
    mine = await unit.session.exec(select(Member.channel_id).where(Member.user_id == user_id))
    await unit.lock_streams(*(channel_stream(channel_id) for channel_id in mine.all()))
    # Read again: who left while we waited is not told about there any more.
    here = await reads.members(connection, "WHERE m.user_id = $1 ORDER BY m.channel_id", user_id)
    await unit.tell_all(
        [
            Entry(channel_stream(member.channel_id), "member.updated", to_json(member))
            for member in here
        ]
    )


async def to_admit(unit: UnitOfWork, user_id: UserId) -> UserRead:
    """Return a user who is about to become a member, and keep them from being deleted meanwhile.

    Raises UserNotFound.
    """
    found = await unit.session.exec(
        select(User).where(User.id == user_id).with_for_update(read=True)
    )
    user = found.first()
    if user is None or user.deleted:
        raise UserNotFound
    return shown(user)


async def named(unit: UnitOfWork, user_id: UserId) -> UserRead:
    """Return somebody whom chat knows, as others see them. Raises UserNotFound."""
    user = await unit.get(User, user_id)
    if user is None:
        raise UserNotFound
    return shown(user)


def shown(user: User) -> UserRead:
    """Return a user as others see them."""
    return UserRead(id=user.id, username=user.username, display_name=user.display_name)


async def erase(unit: UnitOfWork, user_id: UserId, at: datetime) -> UserRead:
    """Forget a user's names for ever and return what stands in their place, held. Repeatable."""
    user = await _hold_user(unit, user_id)
    if user is None:
        user = User(
            id=user_id,
            username=DELETED_USERNAME,
            username_key=DELETED_USERNAME,
            display_name=DELETED_DISPLAY_NAME,
            names_at=at,
            deleted=True,
        )
        unit.add(user)
    user.username, user.display_name = DELETED_USERNAME, DELETED_DISPLAY_NAME
    user.username_key = DELETED_USERNAME
    user.names_at, user.deleted = at, True
    user.who_may_add = "everybody"
    await unit.session.flush()
    return shown(user)
