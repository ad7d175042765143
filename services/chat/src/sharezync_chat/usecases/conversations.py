"""Direct and group conversations: one for each set of people, found or made."""

import hashlib
from collections.abc import Collection

from sqlalchemy.exc import IntegrityError

from sharezync_chat import access, reach
from sharezync_chat.models import Channel, ChannelId
from sharezync_chat.schemas import ChannelRead
from sharezync_chat.usecases import channels, membership_changes, people, reads
from sharezync_chat.usecases.actor import ActingUser
from sharezync_shared.ids import UserId, uuid7
from sharezync_shared.problems import Invalid
from sharezync_shared.streams.published import Published
from sharezync_shared.work import UnitsOfWork

MOST_PEOPLE = 20
"""In one conversation; more of them want a channel, which can be joined and left."""


async def find_or_create(
    actor: ActingUser, others: Collection[UserId], name: str | None = None
) -> Published[ChannelRead]:
    """Return the conversation of exactly these people and the caller; make it where there is none.

    With one other it is `direct`, with more a `group`. `name` is for a group that is made now.
    However many ask at once, they get the same one. Who asks for one that is there accepts it, and
    one that they had hidden is shown again. Raises UserNotFound; UserBlocked and UserUnreachable
    where it would have to be made and one of the others can't be drawn into it.
    Where one must be made, TooManyConversations and TooManyMemberships, too.
    """
    everyone = sorted({actor.user_id, *others})
    if not 2 <= len(everyone) <= MOST_PEOPLE:
        raise Invalid(f"A conversation has 2 to {MOST_PEOPLE} members")
    await people.USERS.require(actor.work, actor.services.auth, everyone)
    key = _key(everyone)
    existing = await _find(actor.work, key)
    if existing is None:
        try:
            return await _create(actor, key, everyone, name)
        except IntegrityError:  # somebody made it just now
            existing = await _find(actor.work, key)
            if existing is None:
                raise
    async with actor.work.begin() as unit:
        await access.lock(unit, ChannelId(existing.id), actor.user_id)
        await membership_changes.agree(unit, existing.id, actor.user_id, unhide=True)
    return Published(existing)


async def _create(
    actor: ActingUser, key: str, everyone: list[UserId], name: str | None
) -> Published[ChannelRead]:
    direct = len(everyone) == 2
    async with actor.work.begin() as unit:
        await reach.insist_on_adding(unit, actor.user_id, everyone)
        channel = Channel(
            id=uuid7(),
            kind="direct" if direct else "group",
            name=None if direct else name,
            created_by=actor.user_id,
            conversation_key=key,
            created_at=unit.now,
            updated_at=unit.now,
        )
        return await channels.found(unit, actor.limits, channel, dict.fromkeys(everyone, "member"))


async def _find(work: UnitsOfWork, key: str) -> ChannelRead | None:
    async with work.read() as unit:
        found = await reads.channels(await unit.raw(), "WHERE c.conversation_key = $1", key)
        return found[0] if found else None


def _key(everyone: list[UserId]) -> str:
    """Return what all conversations of these people, given in order, have in common."""
    return hashlib.sha256(" ".join(str(user_id) for user_id in everyone).encode()).hexdigest()
