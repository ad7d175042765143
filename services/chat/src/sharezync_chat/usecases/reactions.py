"""Emoji at messages."""

from typing import Final

from sharezync_chat import access
from sharezync_chat.errors import TooManyReactions
from sharezync_chat.models import Message, MessageId
from sharezync_chat.schemas import ReactionChanged
from sharezync_chat.usecases import membership_changes, people
from sharezync_chat.usecases.actor import ActingUser
from sharezync_chat.usecases.emoji_forms import bare
from sharezync_shared.ids import UserId
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork

_IS: Final = f"{bare('emoji')} = {bare('$2')}"
"""Whether it is this emoji; rows from before there was one form of each have others."""
_ADD: Final = f"""
    INSERT INTO chat.reactions (message_id, emoji, user_id, created_at)
    SELECT $1, $2, $3, $4 WHERE NOT EXISTS (
        SELECT FROM chat.reactions WHERE message_id = $1 AND {_IS} AND user_id = $3)
    ON CONFLICT DO NOTHING RETURNING true
"""  # noqa: S608 - text of ours
_REMOVE: Final = f"""
    DELETE FROM chat.reactions WHERE message_id = $1 AND {_IS} AND user_id = $3 RETURNING true
"""  # noqa: S608 - as above
_COUNT: Final = f"""
    SELECT count(DISTINCT user_id) FROM chat.reactions WHERE message_id = $1 AND {_IS}
"""  # noqa: S608 - as above
_OTHERS: Final = f"""
    SELECT count(DISTINCT {bare("emoji")}) AS message,
           count(DISTINCT {bare("emoji")}) FILTER (WHERE user_id = $3) AS user
      FROM chat.reactions WHERE message_id = $1 AND NOT {_IS}
"""  # noqa: S608 - as above
"""How many emoji beside this one the message has, of all and of this user."""


async def add(actor: ActingUser, message_id: MessageId, emoji: str) -> Published[None]:
    """Add a reaction to a message, and publish it. Repeating it changes nothing.

    Raises NotFound, MessageGone, ChannelArchived, UserBlocked, UserUnreachable and
    TooManyReactions.
    """
    user_id, limits = actor.user_id, actor.limits
    async with actor.work.begin() as unit:
        message = await access.message_to_react_to(unit, user_id, message_id)
        connection = await unit.raw()
        added = await connection.fetchval(_ADD, message_id, emoji, user_id, unit.now)
        if not added:
            return Published(None)
        (counted,) = await connection.fetch(_OTHERS, message_id, emoji, user_id)
        bounds = {"message": limits.emoji_per_message, "user": limits.emoji_per_member}
        for of, limit in bounds.items():
            if counted[of] >= limit:
                raise TooManyReactions(of=of, limit=limit)
        await membership_changes.agree(unit, message.channel_id, user_id)
        return await _publish(unit, message, user_id, emoji, "message.reaction_added")


async def remove(actor: ActingUser, message_id: MessageId, emoji: str) -> Published[None]:
    """Take one's own emoji away again, in whichever form it is given and stored.

    Where there is none, nothing changes. Raises as `add`.
    """
    async with actor.work.begin() as unit:
        message = await access.message_to_react_to(unit, actor.user_id, message_id)
        connection = await unit.raw()
        removed = await connection.fetchval(_REMOVE, message_id, emoji, actor.user_id)
        if not removed:
            return Published(None)
        return await _publish(unit, message, actor.user_id, emoji, "message.reaction_removed")


async def _publish(
    unit: UnitOfWork, message: Message, user_id: UserId, emoji: str, event_type: str
) -> Published[None]:
    connection = await unit.raw()
    count = await connection.fetchval(_COUNT, message.id, emoji)
    changed = ReactionChanged(
        channel_id=message.channel_id,
        message_id=message.id,
        user=await people.named(unit, user_id),
        emoji=emoji,
        count=count,
    )
    return Published(None, await unit.publish_event(message.stream, event_type, changed))
