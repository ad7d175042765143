"""Who shares a channel with whom."""

from collections.abc import Collection
from typing import Final

from sharezync_shared.db.work import Work
from sharezync_shared.ids import UserId

# Along the index of one's own memberships, and for each the row of the other by its key.
_SHARED: Final = """
SELECT EXISTS (
    SELECT FROM chat.members AS mine
    JOIN chat.members AS theirs ON theirs.channel_id = mine.channel_id
    WHERE mine.user_id = $1 AND theirs.user_id = $2
)
"""

# The rows of the others by the index of theirs; one's own channels are looked up once.
_AMONG: Final = """
SELECT DISTINCT user_id
FROM chat.members
WHERE user_id = ANY($2)
    AND channel_id IN (SELECT channel_id FROM chat.members WHERE user_id = $1)
"""


async def exists(work: Work, user_id: UserId, other_id: UserId) -> bool:
    """Return whether both are members of one channel or conversation at this moment."""
    async with (await work.database.pool()).acquire() as connection:
        return bool(await connection.fetchval(_SHARED, user_id, other_id))


async def among(work: Work, user_id: UserId, other_ids: Collection[UserId]) -> list[UserId]:
    """Return those of `other_ids` with whom `user_id` is in a channel or conversation now.

    In no order. Oneself is among them where one is in any.
    """
    async with (await work.database.pool()).acquire() as connection:
        rows = await connection.fetch(_AMONG, user_id, list(other_ids))
        return [UserId(row["user_id"]) for row in rows]
