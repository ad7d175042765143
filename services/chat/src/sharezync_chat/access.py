"""Who may do what: rows are read on behalf of a user only here.

| | sees | reads, posts, reacts | pins | changes, manages members, invites | deletes |
|---|---|---|---|---|---|
| public channel | everyone | members | owners and admins | owners and admins | owners |
| private channel | members | members | owners and admins | owners and admins | owners |
| direct | its two | its two, if neither has blocked the other | the same | nobody | nobody |
| group | members | members | members | members, names only | nobody |

What one may not see is 404, what one sees but may not do 403. The doors to a change (`…_to_change`
and the like) first take hold of the channel's stream: between this look at somebody's rights and
the commit no event can enter, so a removal is never overtaken.
"""

from typing import NamedTuple

from sqlmodel import col, select

from sharezync_chat.errors import ChannelArchived, ConversationFixed, MessageGone, NotMember
from sharezync_chat.models import (
    Channel,
    ChannelId,
    Member,
    Message,
    MessageId,
    channel_stream,
    inbox_stream,
)
from sharezync_chat.reach import insist_on_saying
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Forbidden, NotFound
from sharezync_shared.work import UnitOfWork


class Membership(NamedTuple):
    """A channel and the caller's place in it."""

    channel: Channel
    member: Member


# ----------------------------------------------------------------------------------------- looking


async def channel_to_see(unit: UnitOfWork, user_id: UserId, channel_id: ChannelId) -> Channel:
    """Return a channel that is public, or that the user is in. Raises NotFound."""
    channel, _ = await _channel_and_member(unit, user_id, channel_id)
    return channel


async def channel_to_read(unit: UnitOfWork, user_id: UserId, channel_id: ChannelId) -> Membership:
    """Return the channel for one of its members. Raises NotFound and NotMember."""
    channel, member = await _channel_and_member(unit, user_id, channel_id)
    if member is None:
        raise NotMember
    return Membership(channel, member)


async def message_to_read(unit: UnitOfWork, user_id: UserId, message_id: MessageId) -> Message:
    """Return a message, or what is left of it, to a member of its channel. Raises NotFound."""
    return (await _message_of_member(unit, user_id, message_id))[0]


# ---------------------------------------------------------------------------------------- changing


async def lock(unit: UnitOfWork, channel_id: ChannelId, *also_inboxes_of: UserId) -> None:
    """Hold the channel's stream, and these users' inboxes, until the commit.

    Raises NotFound for a channel that never was: a made-up id must leave no trace.
    """
    if not await unit.session.scalar(select(Channel.id).where(Channel.id == channel_id)):
        raise NotFound
    await unit.lock_streams(
        channel_stream(channel_id), *(inbox_stream(user_id) for user_id in also_inboxes_of)
    )


async def channel_to_manage(
    unit: UnitOfWork, user_id: UserId, channel_id: ChannelId, *also_inboxes_of: UserId
) -> Membership:
    """Return a channel to an owner or admin of it, held with the inboxes of those concerned."""
    await lock(unit, channel_id, *also_inboxes_of)
    membership = await channel_to_read(unit, user_id, channel_id)
    if membership.channel.is_conversation:
        raise ConversationFixed
    if not membership.member.is_moderator:
        raise Forbidden("Requires the role owner or admin in the channel")
    return membership


async def channel_to_own(unit: UnitOfWork, user_id: UserId, channel_id: ChannelId) -> Membership:
    """Return a channel to an owner of it, held."""
    membership = await channel_to_manage(unit, user_id, channel_id)
    if membership.member.role != "owner":
        raise Forbidden("Requires the role owner in the channel")
    return membership


async def channel_to_change(unit: UnitOfWork, user_id: UserId, channel_id: ChannelId) -> Channel:
    """Return a channel whose names the user may change, held: a group's members may, too."""
    await lock(unit, channel_id)
    channel, member = await channel_to_read(unit, user_id, channel_id)
    if channel.kind == "direct":
        raise ConversationFixed
    if not (member.is_moderator or channel.kind == "group"):
        raise Forbidden("Requires the role owner or admin in the channel")
    return channel


async def message_to_edit(unit: UnitOfWork, user_id: UserId, message_id: MessageId) -> Message:
    """Return a message to its author or the owner of its channel, the channel held.

    Raises NotFound, Forbidden, MessageGone, ChannelArchived, UserBlocked and UserUnreachable.
    """
    message, channel, member = await _message_held(unit, user_id, message_id)
    if message.author_id != user_id and member.role != "owner":
        raise Forbidden("Only the author, and the owner of the channel, can edit a message")
    await _insist_on_acting(unit, user_id, channel, message)
    return message


async def message_to_delete(unit: UnitOfWork, user_id: UserId, message_id: MessageId) -> Message:
    """Return a message to its author or an owner or admin of its channel, the channel held.

    It may be deleted already. Raises NotFound and Forbidden.
    """
    message, _, member = await _message_held(unit, user_id, message_id)
    if message.author_id != user_id and not member.is_moderator:
        raise Forbidden(
            "Only the author, and owners and admins of the channel, can delete a message"
        )
    return message


async def message_to_react_to(unit: UnitOfWork, user_id: UserId, message_id: MessageId) -> Message:
    """Return a message to a member of its channel, which is held.

    Raises NotFound, MessageGone, ChannelArchived, UserBlocked and UserUnreachable.
    """
    message, channel, _ = await _message_held(unit, user_id, message_id)
    await _insist_on_acting(unit, user_id, channel, message)
    return message


async def message_to_pin(
    unit: UnitOfWork, user_id: UserId, channel_id: ChannelId, message_id: MessageId
) -> Message:
    """Return a message of this channel to who keeps order there, the channel held.

    In a conversation that is everyone in it. Raises NotFound, NotMember, Forbidden, MessageGone,
    ChannelArchived, UserBlocked and UserUnreachable.
    """
    await lock(unit, channel_id)
    channel, member = await channel_to_read(unit, user_id, channel_id)
    message = await unit.get(Message, message_id)
    if message is None or message.channel_id != channel_id:
        raise NotFound
    if not (member.is_moderator or channel.is_conversation):
        raise Forbidden("Requires the role owner or admin in the channel")
    await _insist_on_acting(unit, user_id, channel, message)
    return message


async def _insist_on_acting(
    unit: UnitOfWork, user_id: UserId, channel: Channel, message: Message
) -> None:
    """Raise where nothing can be done to a message that the others would see."""
    if message.deleted_at is not None:
        raise MessageGone
    if channel.archived:
        raise ChannelArchived
    await insist_on_saying(unit, user_id, channel)


# ---------------------------------------------------------------------------------------- the rows


async def _channel_and_member(
    unit: UnitOfWork, user_id: UserId, channel_id: ChannelId
) -> tuple[Channel, Member | None]:
    found = await unit.session.exec(
        select(Channel, Member)
        .outerjoin(
            Member, (col(Member.channel_id) == Channel.id) & (col(Member.user_id) == user_id)
        )
        .where(Channel.id == channel_id, col(Channel.deleted_at).is_(None))
    )
    row: tuple[Channel, Member | None] | None = found.first()
    if row is None or (row[1] is None and row[0].kind != "public"):
        raise NotFound
    return row[0], row[1]


async def _message_of_member(
    unit: UnitOfWork, user_id: UserId, message_id: MessageId
) -> tuple[Message, Channel, Member]:
    found = await unit.session.exec(
        select(Message, Channel, Member)
        .join(Channel, col(Channel.id) == Message.channel_id)
        .join(
            Member,
            (col(Member.channel_id) == Message.channel_id) & (col(Member.user_id) == user_id),
        )
        .where(Message.id == message_id, col(Channel.deleted_at).is_(None))
    )
    row: tuple[Message, Channel, Member] | None = found.first()
    if row is None:
        raise NotFound
    return row


async def _message_held(
    unit: UnitOfWork, user_id: UserId, message_id: MessageId
) -> tuple[Message, Channel, Member]:
    channel_id = await unit.session.scalar(
        select(Message.channel_id).where(Message.id == message_id)
    )
    if channel_id is None:
        raise NotFound
    await unit.lock_streams(channel_stream(channel_id))
    return await _message_of_member(unit, user_id, message_id)
