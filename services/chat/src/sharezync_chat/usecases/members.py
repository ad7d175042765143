"""Who is in a channel, and as what."""

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import select

from sharezync_chat import access, reach
from sharezync_chat.errors import ChannelArchived, LastOwner
from sharezync_chat.models import Channel, ChannelId, Member, Role
from sharezync_chat.schemas import ChannelRead, MemberRead, MembershipRead
from sharezync_chat.usecases import bans, membership_changes, people, reads
from sharezync_chat.usecases.actor import ActingUser
from sharezync_chat.usecases.limits import check_entry
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Forbidden, NotFound
from sharezync_shared.streams.frames import Control
from sharezync_shared.streams.log import StreamPosition
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork

# ------------------------------------------------------------------------------ on one's own behalf


async def join(actor: ActingUser, channel_id: ChannelId) -> Published[MembershipRead]:
    """Join a public channel. See `people.USERS`.

    Who is in a channel or conversation already, put there by others, accepts it, and gets how
    they stand. Raises Banned, and as `limits.check_entry`.
    """
    user_id = actor.user_id
    async with actor.work.begin() as unit:
        await access.lock(unit, channel_id, user_id)
        channel = await access.channel_to_see(unit, user_id, channel_id)
        if (member := await _find(unit, channel, user_id)) is not None:
            return await stay(unit, member)
        await bans.insist_on_none(unit, channel.id, user_id)
        return await come_in(unit, actor, channel)


async def come_in(
    unit: UnitOfWork, actor: ActingUser, channel: Channel
) -> Published[MembershipRead]:
    """Make the actor a member, of their own accord; the channel is held, and their inbox.

    Raises ChannelArchived, and as `limits.check_entry`.
    """
    user_id = actor.user_id
    if channel.archived:
        raise ChannelArchived
    await check_entry(unit, actor.limits, channel, user_id, by=user_id)
    at = await membership_changes.enter(unit, channel, user_id, "member", agreed=True)
    read = await reads.membership(await unit.raw(), channel.id, user_id)
    return Published(read, at, created=True)


async def stay(unit: UnitOfWork, member: Member) -> Published[MembershipRead]:
    """Note that somebody agrees to where they are, and show them what they had hidden.

    The channel is held, and their inbox.
    """
    await membership_changes.agree(unit, member.channel_id, member.user_id, unhide=True)
    read = await reads.membership(await unit.raw(), member.channel_id, member.user_id)
    return Published(read)


async def leave(actor: ActingUser, channel_id: ChannelId) -> Published[None]:
    """Leave a channel or a group; nothing after this event reaches who left.

    Raises LastOwner for the only owner: make somebody else owner, or delete the channel; who was
    made its owner by others and never did anything there passes it on by leaving. A group
    without the one who left is no longer *the* conversation of its people, and without anyone it
    ends. A direct conversation is hidden, which the other one can't see; the next message brings
    it back.
    """
    user_id = actor.user_id
    async with actor.work.begin() as unit:
        await access.lock(unit, channel_id, user_id)
        channel, member = await access.channel_to_read(unit, user_id, channel_id)
        if channel.kind == "direct":
            return Published(None, await _hide(unit, channel, member))
        stays_owner = member.role == "owner" and member.acted_at is not None
        if stays_owner and not await membership_changes.other_owners(unit, member):
            raise LastOwner
        channel.conversation_key = None
        user = (await reads.member(await unit.raw(), channel.id, user_id)).user
        return Published(None, await membership_changes.depart(unit, channel, member, user, "left"))


async def _hide(unit: UnitOfWork, channel: Channel, member: Member) -> StreamPosition | None:
    """Hide a direct conversation; what one agreed to by being in it is over."""
    if member.hidden_up_to == channel.message_count and member.acted_at is None:
        return None
    member.hidden_up_to, member.acted_at = channel.message_count, None
    here = await unit.session.exec(select(Member.user_id).where(Member.channel_id == channel.id))
    control = Control(recheck=sorted(str(user_id) for user_id in here))
    return await membership_changes.publish_own(unit, member, control)


async def mute(
    actor: ActingUser, channel_id: ChannelId, user_id: UserId, *, muted: bool
) -> Published[MemberRead]:
    """Mute or unmute a channel, for oneself only; one's own devices are sent it."""
    if actor.user_id != user_id:
        raise Forbidden("You can only mute a channel for yourself")
    async with actor.work.begin() as unit:
        await access.lock(unit, channel_id, user_id)
        channel, member = await access.channel_to_read(unit, user_id, channel_id)
        changed, member.muted = member.muted != muted, muted
        read = await reads.member(await unit.raw(), channel.id, user_id)
        return Published(
            read, await membership_changes.publish_own(unit, member) if changed else None
        )


# -------------------------------------------------------------------------------- on others' behalf


async def add(
    actor: ActingUser, channel_id: ChannelId, user_id: UserId, role: Role
) -> Published[MemberRead]:
    """Put somebody into a channel; only owners make owners and admins.

    Who is in it already stays what they are. Raises Banned, UserBlocked and UserUnreachable, and as
    `limits.check_entry`.
    """
    by = actor.user_id
    await people.USERS.require(actor.work, actor.services.auth, [user_id])
    async with actor.work.begin() as unit:
        channel, caller = await access.channel_to_manage(unit, by, channel_id, by, user_id)
        if role != "member" and caller.role != "owner":
            raise Forbidden("Only owners of the channel can add owners and admins")
        if await _find(unit, channel, user_id) is not None:
            return Published(await reads.member(await unit.raw(), channel.id, user_id))
        if channel.archived:
            raise ChannelArchived
        await bans.insist_on_none(unit, channel.id, user_id)
        await reach.insist_on_adding(unit, by, [user_id])
        await check_entry(unit, actor.limits, channel, user_id, by=by)
        await bans.readmit(unit, channel.id, user_id)
        at = await membership_changes.enter(unit, channel, user_id, role, agreed=False)
        # Whoever adds somebody agrees to their company.
        await membership_changes.agree(unit, channel.id, by)
        read = await reads.member(await unit.raw(), channel.id, user_id)
        return Published(read, at, created=True)


async def change_role(
    actor: ActingUser, channel_id: ChannelId, user_id: UserId, role: Role
) -> Published[MemberRead]:
    """Make a member owner, admin or plain member. Raises LastOwner where none would be left."""
    async with actor.work.begin() as unit:
        channel, _ = await access.channel_to_own(unit, actor.user_id, channel_id)
        member = await _get(unit, channel, user_id)
        if member.role == role:
            return Published(await reads.member(await unit.raw(), channel.id, user_id))
        if member.role == "owner" and not await membership_changes.other_owners(unit, member):
            raise LastOwner
        member.role = role
        if role == "member":
            await membership_changes.end_invites_of(unit, channel.id, user_id)
        read = await reads.member(await unit.raw(), channel.id, user_id)
        at = await unit.publish_event(channel.stream, "member.updated", read)
        await membership_changes.update_owner(unit, channel)
        return Published(read, at)


async def pass_on(
    actor: ActingUser, channel_id: ChannelId, user_id: UserId
) -> Published[ChannelRead]:
    """Make another member the owner of the channel; who passes it on stays as an admin.

    Passing it to oneself changes nothing. Raises NotFound, Forbidden and ConversationFixed.
    """
    async with actor.work.begin() as unit:
        channel, caller = await access.channel_to_own(unit, actor.user_id, channel_id)
        heir = await _get(unit, channel, user_id)
        if user_id == actor.user_id:
            return Published(await reads.channel(await unit.raw(), channel.id))
        heir.role, caller.role = "owner", "admin"
        connection = await unit.raw()
        for each in (heir, caller):
            read = await reads.member(connection, channel.id, each.user_id)
            await unit.publish_event(channel.stream, "member.updated", read)
        channel.owner_id, channel.updated_at = user_id, unit.now
        shown = await reads.channel(await unit.raw(), channel.id)
        return Published(shown, await unit.publish_event(channel.stream, "channel.updated", shown))


async def remove(actor: ActingUser, channel_id: ChannelId, user_id: UserId) -> Published[None]:
    """Remove somebody from a channel, or leave it; nothing after this event reaches them.

    Owners may remove anyone, admins only plain members.
    """
    if actor.user_id == user_id:
        return await leave(actor, channel_id)
    async with actor.work.begin() as unit:
        channel, caller = await access.channel_to_manage(unit, actor.user_id, channel_id, user_id)
        member = await _get(unit, channel, user_id)
        if caller.role != "owner" and member.role != "member":
            raise Forbidden("Admins can only remove plain members")
        user = (await reads.member(await unit.raw(), channel.id, user_id)).user
        return Published(
            None, await membership_changes.depart(unit, channel, member, user, "removed")
        )


async def page(
    actor: ActingUser, channel_id: ChannelId, *, after: UUID | None, limit: int
) -> Sequence[MemberRead]:
    """List members in the order of their ids, those after `after`, to a member."""
    async with actor.work.read() as unit:
        channel, _ = await access.channel_to_read(unit, actor.user_id, channel_id)
        return await reads.members(
            await unit.raw(),
            "WHERE m.channel_id = $1 AND ($2::uuid IS NULL OR m.user_id > $2) "
            "ORDER BY m.user_id LIMIT $3",
            channel.id,
            after,
            limit,
        )


async def _find(unit: UnitOfWork, channel: Channel, user_id: UserId) -> Member | None:
    return await unit.get(Member, (channel.id, user_id))


async def _get(unit: UnitOfWork, channel: Channel, user_id: UserId) -> Member:
    member = await _find(unit, channel, user_id)
    if member is None:
        raise NotFound("The user isn't a member of the channel")
    return member
