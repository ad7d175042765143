"""Who knows whom: who once accepted what the other had sent, or shares a channel."""

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

import structlog

from sharezync_shared.db.work import Unit, Work
from sharezync_shared.ids import UserId
from sharezync_shared.problems import Unavailable
from sharezync_transfer.usecases.peers import Peers

log = structlog.get_logger()

AMONG: Final = """
SELECT o.id FROM unnest($2::uuid[]) AS o(id), transfer.acquaintances AS a
WHERE a.one_id = least($1::uuid, o.id) AND a.other_id = greatest($1::uuid, o.id)
"""
_ADD: Final = """
INSERT INTO transfer.acquaintances (one_id, other_id)
SELECT least($1::uuid, o.id), greatest($1::uuid, o.id) FROM unnest($2::uuid[]) AS o(id)
WHERE o.id <> $1 ORDER BY 1, 2 ON CONFLICT DO NOTHING
"""


async def exists(work: Work, user_id: UserId, other_id: UserId) -> bool:
    """Return whether one of them once accepted what the other had sent.

    The same both ways: who accepts shows it. Recipients of one transfer don't meet in it.
    """
    return bool(await _met_here(work, user_id, [other_id]))


async def among(work: Work, peers: Peers, user_id: UserId, others: Iterable[UserId]) -> set[UUID]:
    """Return those of the others whom somebody knows, from here or from a channel; oneself too.

    Call it before a transaction. Where chat can't be asked people count as strangers: an offer to
    them is still an offer.
    """
    asked = {UUID(str(each)) for each in others}
    known = {user_id} & asked | await _met_here(work, user_id, asked - {user_id})
    if unknown := asked - known:
        try:
            known |= await peers.share_a_channel(user_id, [UserId(each) for each in unknown])
        except Unavailable:
            log.warning("acquaintances_unknown", people=len(unknown))
    return known


async def note(unit: Unit, user_id: UUID, others: Collection[UUID]) -> None:
    """Note that between somebody and the others something was accepted. Repeatable."""
    await (await unit.raw()).execute(_ADD, user_id, list(others))


async def _met_here(work: Work, user_id: UUID, others: Collection[UUID]) -> set[UUID]:
    if not others:
        return set()
    async with (await work.database.pool()).acquire() as connection:
        rows = await connection.fetch(AMONG, user_id, list(others))
        return {row["id"] for row in rows}
