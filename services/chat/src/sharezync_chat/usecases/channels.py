"""Channels: making, finding, changing and ending them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sharezync_chat import access
from sharezync_chat.errors import ConversationFixed
from sharezync_chat.models import Channel, ChannelId, Kind, Role
from sharezync_chat.schemas import ChannelCreated, ChannelRead, MemberRead
from sharezync_chat.settings import ChatSettings
from sharezync_chat.usecases import membership_changes, people, reads
from sharezync_chat.usecases.actor import ActingUser
from sharezync_chat.usecases.limits import check_made, check_memberships
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.streams.frames import Control
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork

_FIRST_SEQ = 1


async def create(
    actor: ActingUser, kind: Kind, name: str, *, description: str = "", topic: str = ""
) -> Published[ChannelRead]:
    """Make a public or private channel, its maker the owner. See `people.USERS`.

    Raises TooManyChannels and TooManyMemberships.
    """
    async with actor.work.begin() as unit:
        channel = Channel(
            id=uuid7(),
            kind=kind,
            name=name,
            description=description,
            topic=topic,
            owner_id=actor.user_id,
            created_by=actor.user_id,
            created_at=unit.now,
            updated_at=unit.now,
        )
        return await found(unit, actor.limits, channel, {actor.user_id: "owner"})


async def found(
    unit: UnitOfWork, limits: ChatSettings, channel: Channel, people_in: dict[UserId, Role]
) -> Published[ChannelRead]:
    """Create a channel with these members, its creator among them, and publish it.

    Raises UserNotFound, and as `limits.check_made` and `limits.check_memberships`.
    """
    await unit.lock_streams(channel.stream, *(f"inbox:{user_id}" for user_id in people_in))
    await check_made(unit, limits, channel)
    maker = next(user_id for user_id in people_in if user_id == channel.created_by)
    await check_memberships(unit, limits, people_in, channel, by=maker)
    channel.member_count = len(people_in)
    unit.add(channel)
    await unit.session.flush()
    members = [
        MemberRead(
            channel_id=channel.id,
            user=await people.to_admit(unit, user_id),
            role=people_in[user_id],
            joined_at=unit.now,
        )
        for user_id in sorted(people_in)
    ]
    for member in members:
        agreed = member.user.id == maker
        membership_changes.add_member(unit, channel, member, since_seq=_FIRST_SEQ, agreed=agreed)
    read = await reads.channel(await unit.raw(), channel.id)
    at = await unit.publish_event(
        channel.stream,
        "channel.created",
        ChannelCreated(**dict(read), members=members),
        control=Control(join=[str(member.user.id) for member in members]),
    )
    for member in members:
        await membership_changes.publish_joined_to_inbox(unit, channel, member, at)
    return Published(read, at, created=True)


async def change(
    actor: ActingUser, channel_id: ChannelId, changes: dict[str, Any]
) -> Published[ChannelRead]:
    """Change columns of a channel, by name. The change is published to the channel."""
    async with actor.work.begin() as unit:
        channel = await access.channel_to_change(unit, actor.user_id, channel_id)
        if channel.is_conversation and "archived" in changes:
            raise ConversationFixed
        changes = {
            field: value for field, value in changes.items() if getattr(channel, field) != value
        }
        if not changes:
            return Published(await reads.channel(await unit.raw(), channel.id))
        for field, value in changes.items():
            setattr(channel, field, value)
        channel.updated_at = unit.now
        read = await reads.channel(await unit.raw(), channel.id)
        return Published(read, await unit.publish_event(channel.stream, "channel.updated", read))


async def delete(actor: ActingUser, channel_id: ChannelId) -> Published[None]:
    """End a channel for everyone in it, its messages included."""
    async with actor.work.begin() as unit:
        channel, _ = await access.channel_to_own(unit, actor.user_id, channel_id)
        return Published(None, await membership_changes.end(unit, channel))


async def get(actor: ActingUser, channel_id: ChannelId) -> ChannelRead:
    """Return a channel that the user may see. Raises NotFound."""
    async with actor.work.read() as unit:
        channel = await access.channel_to_see(unit, actor.user_id, channel_id)
        return await reads.channel(await unit.raw(), channel.id)


async def page(
    actor: ActingUser, *, kind: Kind | None, archived: bool, before: UUID | None, limit: int
) -> Sequence[ChannelRead]:
    """List the channels that the user may see, newest first, those made before `before`."""
    async with actor.work.read() as unit:
        return await reads.channels(
            await unit.raw(),
            "WHERE c.deleted_at IS NULL AND c.archived = $2 "
            "AND ($3::text IS NULL OR c.kind = $3) AND ($4::uuid IS NULL OR c.id < $4) "
            "AND (c.kind = 'public' OR EXISTS (SELECT FROM chat.members AS m "
            "WHERE m.channel_id = c.id AND m.user_id = $1)) ORDER BY c.id DESC LIMIT $5",
            actor.user_id,
            archived,
            kind,
            before,
            limit,
        )
