"""How much of each thing one account, channel or message may have at once.

Whatever makes somebody a member of something, or is made in their name, holds the stream of their
inbox; what belongs to a channel or a message, that of the channel. So nobody else counts the same
things at the same time, and what is counted is what was committed (docs/decisions/0027).
"""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sharezync_chat.errors import (
    TooManyChannels,
    TooManyConversations,
    TooManyMembers,
    TooManyMemberships,
)
from sharezync_chat.models import CONVERSATIONS, Channel
from sharezync_chat.settings import ChatSettings
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Conflict
from sharezync_shared.work import UnitOfWork

_OTHERS_SHARE: Final = 0.75
"""Others put somebody into no more once they are in so much of their limit, agreed to or not. What
one hid gives its room back."""

_MAKERS_SHARE: Final = 0.25
"""How much of somebody's memberships one other's channels and conversations may fill by the acts of
others: nobody alone can keep everybody else from adding or writing to them."""

_CHANNELS_MADE: Final = """
    SELECT count(*) FROM chat.channels
     WHERE created_by = $1 AND deleted_at IS NULL AND kind <> ALL($2::text[])
"""
_SHOWN: Final = "coalesce({member}.hidden_up_to < c.message_count, true)"
# One that nobody has answered counts until somebody does: who hides it has written to a stranger
# all the same.
_CONVERSATIONS_OPENED: Final = f"""
    SELECT count(*) FROM chat.channels AS c
      LEFT JOIN chat.members AS me ON me.channel_id = c.id AND me.user_id = $1
     WHERE c.created_by = $1 AND c.deleted_at IS NULL AND c.kind = ANY($2::text[])
       AND (me.user_id IS NOT NULL AND {_SHOWN.format(member="me")}
            OR (SELECT bool_and(o.acted_at IS NULL) FROM chat.members AS o
                 WHERE o.channel_id = c.id AND o.user_id <> $1))
"""  # noqa: S608 - text of ours
_OF_EACH: Final = f"""
    SELECT w.user_id, count(m.acted_at) AS agreed,
           count(m.user_id) FILTER (WHERE {_SHOWN.format(member="m")}) AS shown,
           count(m.user_id) FILTER (WHERE c.created_by = $2) AS of_maker
      FROM unnest($1::uuid[]) AS w(user_id)
      LEFT JOIN chat.members AS m ON m.user_id = w.user_id
      LEFT JOIN chat.channels AS c ON c.id = m.channel_id
     GROUP BY w.user_id ORDER BY w.user_id
"""  # noqa: S608 - text of ours


async def check_made(unit: UnitOfWork, limits: ChatSettings, channel: Channel) -> None:
    """Raise TooManyChannels or TooManyConversations where its maker may not make this one too.

    Hold the maker's inbox.
    """
    refusal: type[Conflict] = TooManyChannels
    statement, limit = _CHANNELS_MADE, limits.channels_per_user
    if channel.is_conversation:
        refusal = TooManyConversations
        statement, limit = _CONVERSATIONS_OPENED, limits.conversations_per_user
    connection = await unit.raw()
    count = await connection.fetchval(statement, channel.created_by, list(CONVERSATIONS))
    if count >= limit:
        raise refusal(limit=limit)


async def check_memberships(
    unit: UnitOfWork,
    limits: ChatSettings,
    user_ids: Collection[UserId],
    channel: Channel,
    *,
    by: UserId,
) -> None:
    """Raise TooManyMemberships where one of these users may not be in this channel too.

    `by` is who has them in. Of their own accord they may be in so much that they agreed to: what
    strangers opened with them takes none of that room. Others have a share of it, and of that the
    channel's maker. Hold their inboxes.
    """
    connection = await unit.raw()
    counted = await connection.fetch(_OF_EACH, list(user_ids), channel.created_by)
    for user_id, agreed, shown, of_maker in counted:
        count, limit = agreed, limits.memberships_per_user
        if user_id != by:
            count, limit = shown, max(1, int(limit * _OTHERS_SHARE))
        if count >= limit:
            raise TooManyMemberships(limit=limit, user_id=str(user_id))
        share = max(1, int(limits.memberships_per_user * _MAKERS_SHARE))
        if user_id != by and of_maker >= share:
            raise TooManyMemberships(
                "Users can't be added to more channels of the same creator",
                of="maker", limit=share, user_id=str(user_id),
            )  # fmt: skip


async def check_entry(
    unit: UnitOfWork, limits: ChatSettings, channel: Channel, user_id: UserId, *, by: UUID
) -> None:
    """Raise TooManyMembers or TooManyMemberships where a user may not come into a channel.

    Hold the channel and the user's inbox.
    """
    if channel.member_count >= limits.members_per_channel:
        raise TooManyMembers(limit=limits.members_per_channel)
    await check_memberships(unit, limits, [user_id], channel, by=UserId(by))
