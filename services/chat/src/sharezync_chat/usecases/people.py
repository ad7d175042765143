"""The users that chat knows: its copy of auth's, how others see them, and who knows whom.

Somebody knows those in whose company they agreed to be (`reach.py`), and is shown their devices and
presence: it need not be mutual. A block doesn't count here: it hides them from who is blocked.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from sqlmodel import select

from sharezync_chat.models import SCHEMA, Member, User, channel_stream
from sharezync_chat.reach import KNOWS
from sharezync_chat.schemas import UserRead
from sharezync_chat.usecases import reads
from sharezync_shared.ids import UserId
from sharezync_shared.streams.log import Entry
from sharezync_shared.users_projection import (
    DELETED_DISPLAY_NAME,
    DELETED_USERNAME,
    UserNotFound,
    UsersProjection,
)
from sharezync_shared.work import UnitOfWork, UnitsOfWork, to_json

_ACQUAINTED: Final = "SELECT o.id FROM (SELECT DISTINCT unnest($2::uuid[]) AS id) AS o WHERE "
_KNOWN: Final = {
    "user": _ACQUAINTED + KNOWS.format(other="o.id", me="$1"),
    "others": _ACQUAINTED + KNOWS.format(other="$1", me="o.id"),
}


async def _publish_names(unit: UnitOfWork, user_id: UserId) -> None:
    """Publish what a user is called now to everyone who shares a channel with them."""
    connection = await unit.raw()
    mine = await unit.session.exec(select(Member.channel_id).where(Member.user_id == user_id))
    await unit.lock_streams(*(channel_stream(channel_id) for channel_id in mine.all()))
    # Read again: who left while we waited is not in there any more.
    here = await reads.members(connection, "WHERE m.user_id = $1 ORDER BY m.channel_id", user_id)
    await unit.publish_events(
        [
            Entry(channel_stream(member.channel_id), "member.updated", to_json(member))
            for member in here
        ]
    )


USERS: Final = UsersProjection(SCHEMA, settings=True, on_renamed=_publish_names)


async def to_admit(unit: UnitOfWork, user_id: UserId) -> UserRead:
    """Return a user who is about to become a member, and keep them from being deleted meanwhile.

    Raises UserNotFound.
    """
    (row,) = await USERS.keep(unit, [user_id])
    return reads.user(row, "id")


async def named(unit: UnitOfWork, user_id: UUID) -> UserRead:
    """Return somebody whom chat knows, as others see them. Raises UserNotFound."""
    user = await unit.get(User, user_id)
    if user is None:
        raise UserNotFound
    return shown(user)


def shown(user: User) -> UserRead:
    """Return a user as others see them."""
    return UserRead(id=user.id, username=user.username, display_name=user.display_name)


async def erase(unit: UnitOfWork, user_id: UserId, at: datetime) -> UserRead:
    """Forget a user for ever and return what stands in their place, held. Repeatable."""
    await USERS.erase(unit, user_id, at)
    return UserRead(id=user_id, username=DELETED_USERNAME, display_name=DELETED_DISPLAY_NAME)


async def acquainted(
    work: UnitsOfWork,
    user_id: UserId,
    other_ids: Collection[UserId],
    looking: Literal["user", "others"] = "user",
) -> list[UserId]:
    """Return those of `other_ids` whom the user may see, or who may see the user. In no order."""
    async with (await work.database.pool()).acquire() as connection:
        rows = await connection.fetch(_KNOWN[looking], user_id, list(other_ids))
        return [UserId(row["id"]) for row in rows]
