"""Who knows whom from a channel, and so is shown their devices and presence.

Somebody knows those in whose company they agreed to be (`reach.py`): it need not be mutual. What a
block does to it is for those who ask: they hide it from who is blocked.
"""

from collections.abc import Collection
from typing import Final

from sharezync_chat.reach import KNOWS
from sharezync_shared.ids import UserId
from sharezync_shared.work import UnitsOfWork

_VISIBLE: Final = f"""
    SELECT o.id FROM (SELECT DISTINCT unnest($2::uuid[]) AS id) AS o
     WHERE {KNOWS.format(other="o.id", me="$1")}
"""  # noqa: S608 - text of ours
_VIEWERS: Final = f"""
    SELECT o.id FROM (SELECT DISTINCT unnest($2::uuid[]) AS id) AS o
     WHERE {KNOWS.format(other="$1", me="o.id")}
"""  # noqa: S608 - text of ours


async def visible(
    work: UnitsOfWork, user_id: UserId, other_ids: Collection[UserId]
) -> list[UserId]:
    """Return those of `other_ids` who know `user_id`: whom `user_id` may see. In no order."""
    return await _fetch(work, _VISIBLE, user_id, other_ids)


async def viewers(
    work: UnitsOfWork, user_id: UserId, other_ids: Collection[UserId]
) -> list[UserId]:
    """Return those of `other_ids` whom `user_id` knows: who may see `user_id`. In no order."""
    return await _fetch(work, _VIEWERS, user_id, other_ids)


async def _fetch(
    work: UnitsOfWork, statement: str, user_id: UserId, other_ids: Collection[UserId]
) -> list[UserId]:
    async with (await work.database.pool()).acquire() as connection:
        rows = await connection.fetch(statement, user_id, list(other_ids))
        return [UserId(row["id"]) for row in rows]
