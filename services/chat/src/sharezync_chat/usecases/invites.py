"""Invites: codes that let anybody who has one join a channel."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import col, func, select

from sharezync_chat import access
from sharezync_chat.errors import ChannelArchived, InviteGone, TooManyInvites
from sharezync_chat.models import Channel, ChannelId, Invite, Member, User
from sharezync_chat.schemas import InviteCreated, InviteRead, MembershipRead, UserRead
from sharezync_chat.settings import ChatSettings
from sharezync_chat.usecases import bans, members, people
from sharezync_chat.usecases.actor import ActingUser
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.problems import NotFound
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitOfWork

_PREFIX: Final = "szi_"  # so that scanners for leaked secrets can know one
_CODE_BYTES: Final = 16
ENDED_KEPT: Final = 100
"""Of one channel: older ones are answered as if they had never existed."""

_FORGET_ENDED: Final = """
    DELETE FROM chat.invites WHERE id IN (
        SELECT id FROM chat.invites
         WHERE channel_id = $1
           AND (revoked_at IS NOT NULL OR expires_at <= $2 OR uses >= max_uses)
         ORDER BY id DESC OFFSET $3)
"""


async def create(
    actor: ActingUser, channel_id: ChannelId, *, expires_in_seconds: int, max_uses: int | None
) -> Published[InviteCreated]:
    """Make an invite, as an owner or admin of the channel. Its code is shown this once.

    It ends, before its time, when they lose the right to make one.

    Raises NotFound, NotMember, Forbidden, ConversationFixed, ChannelArchived and TooManyInvites.
    """
    code, user_id = _PREFIX + secrets.token_urlsafe(_CODE_BYTES), actor.user_id
    async with actor.work.begin() as unit:
        channel, _ = await access.channel_to_manage(unit, user_id, channel_id, user_id)
        if channel.archived:
            raise ChannelArchived
        await _check_room(unit, actor.limits, channel_id, user_id)
        invite = Invite(
            id=uuid7(),
            channel_id=channel_id,
            code_digest=_digest(code),
            created_by=user_id,
            created_at=unit.now,
            expires_at=unit.now + timedelta(seconds=expires_in_seconds),
            max_uses=max_uses,
        )
        unit.add(invite)
        read = _read(invite, await people.named(unit, user_id))
        return Published(InviteCreated(**dict(read), code=code), created=True)


async def page(
    actor: ActingUser, channel_id: ChannelId, *, before: UUID | None, limit: int
) -> Sequence[InviteRead]:
    """List the invites that still hold, the latest first, to an owner or admin."""
    async with actor.work.begin() as unit:  # access locks the channel: this can't be a `read`
        await access.channel_to_manage(unit, actor.user_id, channel_id)
        statement = (
            select(Invite, User)
            .join(User, col(User.id) == Invite.created_by)
            .where(Invite.channel_id == channel_id, *_valid(unit))
            .order_by(col(Invite.id).desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(Invite.id < before)
        found = await unit.session.exec(statement)
        return [_read(invite, people.shown(maker)) for invite, maker in found.all()]


async def revoke(actor: ActingUser, channel_id: ChannelId, invite_id: UUID) -> None:
    """End an invite before its time. Who came in by it stays. Raises NotFound and as `create`."""
    async with actor.work.begin() as unit:
        await access.channel_to_manage(unit, actor.user_id, channel_id)
        invite = await unit.get(Invite, invite_id, lock=True)
        if invite is None or invite.channel_id != channel_id or invite.revoked_at is not None:
            raise NotFound
        invite.revoked_at = unit.now


async def accept(actor: ActingUser, code: str) -> Published[MembershipRead]:
    """Come into a channel by a code. See `people.USERS`.

    Who is in it already accepts that, is shown how they stand, and nothing is used up. Of two who
    race for the last use one comes in. Raises NotFound for a code that never was; Banned; and
    InviteGone, also for who was removed from the channel since it was made.
    Raises as `limits.check_entry`, too.
    """
    user_id = actor.user_id
    async with actor.work.begin() as unit:
        digest = Invite.code_digest == _digest(code)
        channel_id = await unit.session.scalar(select(Invite.channel_id).where(digest))
        if channel_id is None:
            raise NotFound
        await access.lock(unit, ChannelId(channel_id), user_id)
        channel = await unit.get(Channel, channel_id)
        if channel is None or channel.deleted_at is not None:
            raise InviteGone
        if (member := await unit.get(Member, (channel_id, user_id))) is not None:
            return await members.stay(unit, member)
        found = await unit.session.exec(
            select(Invite).where(digest, *_valid(unit)).with_for_update()
        )
        invite = found.one_or_none()
        if invite is None:
            raise InviteGone
        await bans.insist_on_none(unit, channel_id, user_id)
        if await bans.removed_since(unit, channel_id, user_id, invite.created_at):
            raise InviteGone
        published = await members.come_in(unit, actor, channel)
        invite.uses += 1
        return published


def _valid(unit: UnitOfWork) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Invite.revoked_at).is_(None),
        col(Invite.expires_at) > unit.now,
        col(Invite.max_uses).is_(None) | (col(Invite.uses) < col(Invite.max_uses)),
    )


async def _check_room(
    unit: UnitOfWork, limits: ChatSettings, channel_id: ChannelId, user_id: UserId
) -> None:
    """Raise TooManyInvites for a channel or a person with enough; the channel and the person's
    inbox are held. Forgets those that ended long ago.
    """
    bounds = {
        "channel": (col(Invite.channel_id) == channel_id, limits.invites_per_channel),
        "user": (col(Invite.created_by) == user_id, limits.invites_per_user),
    }
    for of, (whose, limit) in bounds.items():
        counted = select(func.count()).where(whose, *_valid(unit))
        if (await unit.session.exec(counted)).one() >= limit:
            raise TooManyInvites(of=of, limit=limit)
    connection = await unit.raw()
    await connection.execute(_FORGET_ENDED, channel_id, unit.now, ENDED_KEPT)


def _read(invite: Invite, maker: UserRead) -> InviteRead:
    return InviteRead.model_validate({**invite.model_dump(), "created_by": maker})


def _digest(code: str) -> bytes:
    return hashlib.sha256(code.encode()).digest()
