"""Steps of joining and leaving, which several use cases share.

All of them run while the streams of the channel, and of the inboxes they publish to, are locked.
"""

from typing import Final, Literal
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select

from sharezync_chat.models import Channel, Member, Role, channel_stream, inbox_stream
from sharezync_chat.schemas import (
    ChannelDeletedRead,
    MemberJoinedRead,
    MemberLeftRead,
    MemberRead,
    OwnMemberUpdated,
    UserRead,
)
from sharezync_chat.usecases import people, reads
from sharezync_shared.events import contracts as facts
from sharezync_shared.ids import UserId
from sharezync_shared.streams.frames import Control
from sharezync_shared.streams.log import StreamPosition
from sharezync_shared.work import UnitOfWork

Reason = Literal["left", "removed", "account_deleted"]

_NOTE_REMOVAL: Final = """
    INSERT INTO chat.removals (channel_id, user_id, removed_at) VALUES ($1, $2, $3)
    ON CONFLICT (channel_id, user_id) DO UPDATE SET removed_at = $3
"""


async def enter(
    unit: UnitOfWork, channel: Channel, user_id: UserId, role: Role, *, agreed: bool
) -> StreamPosition:
    """Add a user to an existing channel, and publish it. Raises UserNotFound.

    `agreed`: they joined by themselves, and weren't added by somebody else.
    """
    user = await people.to_admit(unit, user_id)
    member = MemberRead(channel_id=channel.id, user=user, role=role, joined_at=unit.now)
    channel.member_count += 1
    at = await unit.publish_event(
        channel.stream,
        "member.joined",
        MemberJoinedRead(**dict(member), member_count=channel.member_count),
        control=Control(join=[str(user_id)]),
    )
    add_member(unit, channel, member, since_seq=at.seq, agreed=agreed)
    await publish_joined_to_inbox(unit, channel, member, at)
    return at


def add_member(
    unit: UnitOfWork, channel: Channel, member: MemberRead, *, since_seq: int, agreed: bool
) -> None:
    """Add the row of a member, to whom everything up to now counts as read."""
    unit.add(
        Member(
            channel_id=channel.id,
            user_id=member.user.id,
            role=member.role,
            joined_at=member.joined_at,
            last_read_seq=since_seq,
            last_read_number=channel.message_count,
            acted_at=unit.now if agreed else None,
        )
    )
    unit.emit(facts.MemberJoined(channel_id=channel.id, user_id=member.user.id))


async def publish_joined_to_inbox(
    unit: UnitOfWork, channel: Channel, member: MemberRead, at: StreamPosition
) -> None:
    """Publish a new membership to the member's own devices, as it was at `at` in the channel."""
    membership = await reads.membership(await unit.raw(), channel.id, member.user.id)
    joined = MemberJoinedRead(
        **dict(member),
        member_count=channel.member_count,
        membership=membership,
        position=(at.stream, at.epoch, at.seq),
    )
    await unit.publish_event(
        inbox_stream(member.user.id),
        "member.joined",
        joined,
        control=Control(added={at.stream: (at.epoch, at.seq)}),
    )


async def depart(
    unit: UnitOfWork, channel: Channel, member: Member, user: UserRead, reason: Reason
) -> StreamPosition:
    """End a membership; its event is the last of the channel that the former member receives.

    A deleted user gets nothing in their inbox. The invites that the member made end too; a member
    who was removed can't come back by an invite made before. A channel without an owner passes to
    its longest-standing admin, or else member; one without any member is deleted, and the position
    returned is that of its end.
    """
    channel.member_count -= 1
    await unit.session.delete(member)
    await end_invites_of(unit, channel.id, member.user_id)
    if reason == "removed":
        await (await unit.raw()).execute(_NOTE_REMOVAL, channel.id, member.user_id, unit.now)
    left = MemberLeftRead(
        channel_id=channel.id, user=user, reason=reason, member_count=channel.member_count
    )
    at = await unit.publish_event(
        channel.stream, "member.left", left, control=Control(leave=[str(user.id)])
    )
    if reason != "account_deleted":
        await unit.publish_event(inbox_stream(user.id), "member.left", left)
    unit.emit(facts.MemberLeft(channel_id=channel.id, user_id=user.id))
    if channel.member_count == 0:
        return await end(unit, channel)
    await update_owner(unit, channel)
    return at


async def end_invites_of(unit: UnitOfWork, channel_id: UUID, user_id: UUID) -> None:
    """Revoke the invites that a member made. Members who joined by one stay."""
    await (await unit.raw()).execute(
        "UPDATE chat.invites SET revoked_at = $3 "
        "WHERE channel_id = $1 AND created_by = $2 AND revoked_at IS NULL",
        channel_id,
        user_id,
        unit.now,
    )


async def agree(
    unit: UnitOfWork, channel_id: UUID, user_id: UUID, *, unhide: bool = False
) -> StreamPosition | None:
    """Record that a member agrees, by what they do, to be in a channel, which is locked.

    The first time it is published to their own devices and to gateways, since others may see them
    from then on; so is that a hidden conversation is to be shown again. Returns the position of the
    event, if there is one.
    """
    member = await unit.get(Member, (channel_id, user_id))
    if member is None:
        return None
    news = member.acted_at is None or (unhide and member.hidden_up_to is not None)
    member.acted_at = unit.now
    if unhide:
        member.hidden_up_to = None
    return await publish_own(unit, member, Control(recheck=[str(user_id)])) if news else None


async def publish_own(
    unit: UnitOfWork, member: Member, control: Control | None = None
) -> StreamPosition:
    """Publish to a member's own devices what others need not know of the membership."""
    read = await reads.member(await unit.raw(), member.channel_id, member.user_id)
    own = OwnMemberUpdated(
        **dict(read),
        muted=member.muted,
        hidden_up_to=member.hidden_up_to,
        accepted=member.acted_at is not None,
    )
    return await unit.publish_event(
        inbox_stream(member.user_id), "member.updated", own, control=control
    )


async def end(unit: UnitOfWork, channel: Channel) -> StreamPosition:
    """Delete a channel for everyone in it; `purge` deletes its messages afterwards."""
    channel.deleted_at = unit.now
    channel.conversation_key = None
    connection = await unit.raw()
    await connection.execute("DELETE FROM chat.members WHERE channel_id = $1", channel.id)
    unit.emit(facts.ChannelDeleted(channel_id=channel.id))
    return await unit.publish_event(
        channel.stream,
        "channel.deleted",
        ChannelDeletedRead(id=channel.id),
        control=Control(end=True),
    )


async def leave_everything(unit: UnitOfWork, user_id: UserId, user: UserRead) -> None:
    """End every membership of a deleted user; `user` is what is shown in their place.

    Locks the channels itself.
    """
    mine = await unit.session.exec(select(Member.channel_id).where(Member.user_id == user_id))
    await unit.lock_streams(*(channel_stream(channel_id) for channel_id in mine.all()))
    found = await unit.session.exec(
        select(Channel, Member)
        .join(Member, col(Member.channel_id) == Channel.id)
        .where(Member.user_id == user_id)
        .order_by(col(Channel.id))
    )
    for channel, member in found.all():
        await depart(unit, channel, member, user, "account_deleted")


async def update_owner(unit: UnitOfWork, channel: Channel) -> None:
    """Set `owner_id` to the longest-standing owner, where it names no owner.

    Where there is none, the longest-standing admin, or else member, becomes one.
    """
    if channel.is_conversation:
        return
    here = select(Member).where(Member.channel_id == channel.id)
    longest = (col(Member.joined_at), col(Member.user_id))
    found = await unit.session.exec(here.where(Member.role == "owner").order_by(*longest))
    owners = list(found.all())
    if not owners:
        # "admin" sorts before "member".
        found = await unit.session.exec(here.order_by(col(Member.role), *longest).limit(1))
        owners = [found.one()]
        owners[0].role = "owner"
        member = await reads.member(await unit.raw(), channel.id, owners[0].user_id)
        await unit.publish_event(channel.stream, "member.updated", member)
    if channel.owner_id in {owner.user_id for owner in owners}:
        return
    channel.owner_id = owners[0].user_id
    channel.updated_at = unit.now
    read = await reads.channel(await unit.raw(), channel.id)
    await unit.publish_event(channel.stream, "channel.updated", read)


async def other_owners(unit: UnitOfWork, member: Member) -> int:
    """Return how many owners the channel has beside this member."""
    count = await unit.session.scalar(
        select(func.count()).where(
            col(Member.channel_id) == member.channel_id,
            col(Member.role) == "owner",
            col(Member.user_id) != member.user_id,
        )
    )
    return count or 0
