"""Who is kept out of a channel: for good by a ban, or, after a removal, from old invites only."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import func, select

from sharezync_chat import access
from sharezync_chat.errors import Banned, TooManyBans
from sharezync_chat.models import Ban, ChannelId, Member
from sharezync_chat.schemas import BanRead
from sharezync_chat.usecases import membership_changes, people, reads
from sharezync_chat.usecases.actor import ActingUser
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Forbidden, Invalid
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork

MAX_BANS: Final = 10_000
"""Of one channel: years of a large one's trolls, and no table that a script fills."""

_PAGE: Final = """
    SELECT b.user_id, u.username, u.display_name, b.banned_at, b.banned_by,
           by.username AS by_username, by.display_name AS by_display_name
      FROM chat.bans AS b JOIN chat.users AS u ON u.id = b.user_id
      JOIN chat.users AS by ON by.id = b.banned_by
     WHERE b.channel_id = $1 AND ($2::uuid IS NULL OR b.user_id > $2)
     ORDER BY b.user_id LIMIT $3
"""


async def ban(actor: ActingUser, channel_id: ChannelId, user_id: UserId) -> Published[BanRead]:
    """Remove somebody from a channel and keep them out, whether they were in it or not.

    Owners may ban anyone but themselves, admins only those who are neither.
    Safe to repeat. Raises NotFound, NotMember, Forbidden, ConversationFixed, UserNotFound,
    TooManyBans and Invalid.
    """
    by = actor.user_id
    await people.USERS.require(actor.work, actor.services.auth, [user_id])
    if by == user_id:
        raise Invalid("You can't ban yourself")
    async with actor.work.begin() as unit:
        channel, caller = await access.channel_to_manage(unit, by, channel_id, user_id)
        member = await unit.get(Member, (channel_id, user_id))
        if caller.role != "owner" and member is not None and member.role != "member":
            raise Forbidden("Admins can only ban plain members")
        user = await people.to_admit(unit, user_id)
        found = await unit.get(Ban, (channel_id, user_id))
        if found is not None:
            banner = await people.named(unit, UserId(found.banned_by))
            return Published(BanRead(user=user, banned_by=banner, banned_at=found.banned_at))
        count = await unit.session.exec(select(func.count()).where(Ban.channel_id == channel_id))
        if count.one() >= MAX_BANS:
            raise TooManyBans(
                f"At most {MAX_BANS} users can be banned from a channel", limit=MAX_BANS
            )
        at = None
        if member is not None:
            at = await membership_changes.depart(unit, channel, member, user, "removed")
        unit.add(Ban(channel_id=channel_id, user_id=user_id, banned_by=by, banned_at=unit.now))
        banner = await people.named(unit, by)
        return Published(BanRead(user=user, banned_by=banner, banned_at=unit.now), at)


async def lift(actor: ActingUser, channel_id: ChannelId, user_id: UserId) -> None:
    """Let somebody come again: by joining, a new invite, or being added.

    Safe to repeat, and for who isn't banned. Raises NotFound, NotMember, Forbidden and
    ConversationFixed.
    """
    async with actor.work.begin() as unit:
        await access.channel_to_manage(unit, actor.user_id, channel_id)
        found = await unit.get(Ban, (channel_id, user_id))
        if found is not None:
            await unit.session.delete(found)


async def page(
    actor: ActingUser, channel_id: ChannelId, *, after: UUID | None, limit: int
) -> Sequence[BanRead]:
    """List who is banned, by id, those after `after`, to an owner or admin."""
    async with actor.work.begin() as unit:  # access locks the channel: this can't be a `read`
        await access.channel_to_manage(unit, actor.user_id, channel_id)
        rows = await (await unit.raw()).fetch(_PAGE, channel_id, after, limit)
    return [
        BanRead(
            user=reads.user(row, "user_id"),
            banned_by=reads.user(row, "banned_by", "by_"),
            banned_at=row["banned_at"],
        )
        for row in rows
    ]


async def insist_on_none(unit: UnitOfWork, channel_id: UUID, user_id: UUID) -> None:
    """Raise Banned for who is kept out of a channel, which is held."""
    if await unit.get(Ban, (channel_id, user_id)) is not None:
        raise Banned


async def removed_since(unit: UnitOfWork, channel_id: UUID, user_id: UUID, since: datetime) -> bool:
    """Return whether somebody was last removed from a channel, which is held, after `since`."""
    return bool(
        await (await unit.raw()).fetchval(
            "SELECT removed_at >= $3 FROM chat.removals WHERE channel_id = $1 AND user_id = $2",
            channel_id,
            user_id,
            since,
        )
    )


async def readmit(unit: UnitOfWork, channel_id: UUID, user_id: UUID) -> None:
    """Forget that somebody was removed: who has the right to has them back."""
    await (await unit.raw()).execute(
        "DELETE FROM chat.removals WHERE channel_id = $1 AND user_id = $2", channel_id, user_id
    )


async def forget(unit: UnitOfWork, user_id: UserId) -> None:
    """Drop what is noted of a user who is gone. Safe to repeat."""
    connection = await unit.raw()
    for table in ("bans", "removals"):
        await connection.execute(f"DELETE FROM chat.{table} WHERE user_id = $1", user_id)  # noqa: S608 - one of these two
