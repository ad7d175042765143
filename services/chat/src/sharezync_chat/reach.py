"""Who can be reached by whom: written to directly, added to channels, drawn into conversations.

Whether somebody is known to somebody else comes from what they did themselves: they are in a
channel together, and the one who is looked at made it, joined, accepted or wrote there when the
other was in it already. Being added by others is nothing one did; and what one did says nothing
about those who came later, by themselves, by an invite that was passed on, or because a third
person added them.

Who is blocked is answered as a stranger is whom the other's setting keeps away.
"""

from collections.abc import Collection
from typing import Final
from uuid import UUID

from sharezync_chat.errors import UserIsBlocked, UserUnreachable
from sharezync_chat.models import Channel
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Problem
from sharezync_shared.work import UnitOfWork

KNOWS: Final = """
    EXISTS (SELECT FROM chat.members AS theirs
              JOIN chat.members AS mine ON mine.channel_id = theirs.channel_id
             WHERE theirs.user_id = {other} AND mine.user_id = {me}
               AND theirs.acted_at >= mine.joined_at)
"""
"""Whether `other` knows `me`: what `me` may see of them."""

HAS_BLOCKED: Final = """
    EXISTS (SELECT FROM chat.blocks AS block
             WHERE block.user_id = {one} AND block.blocked_id = {other} AND block.active)
"""

_LETS_ADD: Final = f"""
    NOT {HAS_BLOCKED.format(one="other.id", other="$1")} AND
    CASE other.who_may_add WHEN 'everybody' THEN true
                           WHEN 'known' THEN {KNOWS.format(other="other.id", me="$1::uuid")}
                           ELSE false END
"""
_MAY_ADD: Final = f"""
    SELECT other.id, {HAS_BLOCKED.format(one="$1", other="other.id")} AS blocked,
           {_LETS_ADD} AS reachable
      FROM chat.users AS other WHERE other.id = ANY($2::uuid[]) AND other.id <> $1
     ORDER BY other.id
"""  # noqa: S608 - text of ours

PEER: Final = f"""
    SELECT peer.user_id AS peer_id,
           {HAS_BLOCKED.format(one="{me}", other="peer.user_id")} AS peer_blocked,
           NOT {HAS_BLOCKED.format(one="peer.user_id", other="{me}")} AND
           (peer.acted_at IS NOT NULL OR
            CASE other.who_may_add WHEN 'everybody' THEN true
                                   WHEN 'known' THEN {KNOWS.format(other="other.id", me="{me}")}
                                   ELSE false END) AS peer_reachable
      FROM chat.members AS peer JOIN chat.users AS other ON other.id = peer.user_id
     WHERE {{direct}} AND peer.channel_id = {{channel}} AND peer.user_id <> {{me}}
     LIMIT 1
"""  # noqa: S608 - text of ours
"""The other one of a direct conversation, and whether `me` can write to them there. Who has done
something in it goes on with it, whatever they say of others since. `direct` is the condition that
it is one; of other channels no row is looked at."""


async def insist_on_adding(unit: UnitOfWork, user_id: UserId, others: Collection[UUID]) -> None:
    """Raise where somebody may not add one of the others, or open a conversation with them.

    Raises UserBlocked for whom they have blocked themselves, else UserUnreachable.
    """
    found = await (await unit.raw()).fetch(_MAY_ADD, user_id, list(others))
    if blocked := [str(row["id"]) for row in found if row["blocked"]]:
        raise UserIsBlocked(user_ids=blocked)
    if unreachable := [str(row["id"]) for row in found if not row["reachable"]]:
        raise UserUnreachable(user_ids=unreachable)


async def insist_on_saying(unit: UnitOfWork, user_id: UserId, channel: Channel) -> None:
    """Raise where somebody can't say anything to the other one of a direct conversation.

    In all other channels everybody can. Raises UserBlocked and UserUnreachable.
    """
    if channel.kind != "direct":
        return
    statement = PEER.format(me="$1::uuid", channel="$2", direct="true")
    row = await (await unit.raw()).fetchrow(statement, user_id, channel.id)
    refusal = None if row is None else refusal_of(row["peer_blocked"], row["peer_reachable"])
    if refusal is not None:
        raise refusal


def refusal_of(blocked: bool | None, reachable: bool | None) -> Problem | None:  # noqa: FBT001 - columns of PEER
    """Return why nothing can be said to the other one; None: it can, or there is no other one."""
    if blocked:
        return UserIsBlocked()
    return UserUnreachable() if reachable is False else None
