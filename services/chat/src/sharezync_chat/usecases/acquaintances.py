"""Who knows whom from a channel, and so is shown their devices and presence.

Somebody knows those in whose company they agreed to be (`reach.py`): it need not be mutual. What a
block does to it is for those who ask: they hide it from who is blocked.
"""

from collections.abc import Collection
from typing import Final, Literal

from sharezync_chat.reach import KNOWS
from sharezync_shared.ids import UserId
from sharezync_shared.work import UnitsOfWork

_ACQUAINTED: Final = "SELECT o.id FROM (SELECT DISTINCT unnest($2::uuid[]) AS id) AS o WHERE "
_KNOWN: Final = {
    "user": _ACQUAINTED + KNOWS.format(other="o.id", me="$1"),
    "others": _ACQUAINTED + KNOWS.format(other="$1", me="o.id"),
}


async def acquainted(
    work: UnitsOfWork,
    user_id: UserId,
    other_ids: Collection[UserId],
    looking: Literal["user", "others"] = "user",
) -> list[UserId]:
    """Return those of `other_ids` whom the user may see, or who may see the user. In no order."""
    async with (await work.database.pool()).acquire() as connection:
        rows = await connection.fetch(_KNOWN[looking], user_id, list(other_ids))
        return [UserId(row["id"]) for row in rows]
