"""Who shares a channel with whom."""

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


async def exists(work: Work, user_id: UserId, other_id: UserId) -> bool:
    """Return whether both are members of one channel or conversation at this moment."""
    async with (await work.database.pool()).acquire() as connection:
        return bool(await connection.fetchval(_SHARED, user_id, other_id))
