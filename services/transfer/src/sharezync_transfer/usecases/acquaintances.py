"""Who knows whom: who once accepted what the other sent, or agreed to be in a channel with them."""

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

import structlog

from sharezync_shared.calls.client import ServiceUnavailable
from sharezync_shared.contracts.services import Services
from sharezync_shared.ids import UserId
from sharezync_shared.work import UnitOfWork, UnitsOfWork

log = structlog.get_logger()

AMONG: Final = """
SELECT o.id FROM unnest($2::uuid[]) AS o(id), transfer.acquaintances AS a
WHERE a.one_id = least($1::uuid, o.id) AND a.other_id = greatest($1::uuid, o.id)
    AND CASE WHEN o.id = a.one_id THEN a.one_accepted ELSE a.other_accepted END
"""
"""Those of the others who accepted what $1 had sent."""
_ADD: Final = """
INSERT INTO transfer.acquaintances AS a (one_id, other_id, one_accepted, other_accepted)
SELECT least($1::uuid, o.id), greatest($1::uuid, o.id), o.id < $1, o.id > $1
FROM unnest($2::uuid[]) AS o(id) WHERE o.id <> $1 ORDER BY 1, 2
ON CONFLICT (one_id, other_id) DO UPDATE
SET one_accepted = a.one_accepted OR excluded.one_accepted,
    other_accepted = a.other_accepted OR excluded.other_accepted
WHERE NOT (a.one_accepted AND a.other_accepted)
"""


async def exists(work: UnitsOfWork, user_id: UserId, other_id: UserId) -> bool:
    """Return whether `other_id` once accepted what `user_id` had sent; not the other way round."""
    return bool(await _met_here(work, user_id, [other_id]))


async def among(
    work: UnitsOfWork, services: Services, user_id: UserId, others: Iterable[UserId]
) -> set[UUID]:
    """Return those of the others who know somebody, from here or from a channel; oneself too.

    Call it before a transaction. Where chat can't be asked people count as strangers.
    """
    asked = {UUID(str(each)) for each in others}
    known = {user_id} & asked | await _met_here(work, user_id, asked - {user_id})
    if unknown := asked - known:
        try:
            known |= await services.chat.acquaintances(user_id, [UserId(each) for each in unknown])
        except ServiceUnavailable:
            log.debug("acquaintances_unknown", people=len(unknown))
    return known


async def note(unit: UnitOfWork, sender_id: UUID, accepting: Collection[UUID]) -> None:
    """Note that these people accepted something that somebody sent. Repeatable."""
    await (await unit.raw()).execute(_ADD, sender_id, list(accepting))


async def _met_here(work: UnitsOfWork, user_id: UUID, others: Collection[UUID]) -> set[UUID]:
    if not others:
        return set()
    async with (await work.database.pool()).acquire() as connection:
        rows = await connection.fetch(AMONG, user_id, list(others))
        return {row["id"] for row in rows}
