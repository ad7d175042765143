"""Taking away what a deleted channel leaves behind, a little at a time.

A channel may hold millions of messages; deleting them within the request would take minutes and
hold everything up. So the channel ends at once for everyone, and its messages go afterwards.
"""

from datetime import timedelta
from typing import Final

from sharezync_chat.usecases import traces
from sharezync_shared.db.database import Database

_BATCH: Final = 1000
_BETWEEN_BATCHES: Final = timedelta(milliseconds=50)  # room for the others: nobody waits for this
LOOK_EVERY_SECONDS: Final = 60.0


async def purge_some(database: Database) -> int:
    """Delete one batch of messages of deleted channels, and the channels that have none left.

    With a channel goes what logs say of it but for its end: nobody can come back to it, and who is
    erased later must not be named where nobody looks. Returns how many messages went; 0: nothing is
    left to do. Several replicas may do it at once.
    """
    async with (await database.pool()).acquire() as connection, connection.transaction():
        status: str = await connection.execute(
            "DELETE FROM chat.messages WHERE id = ANY(ARRAY("
            "SELECT m.id FROM chat.channels AS c JOIN chat.messages AS m ON m.channel_id = c.id "
            "WHERE c.deleted_at IS NOT NULL LIMIT $1))",
            _BATCH,
        )
        await connection.execute(
            "DELETE FROM chat.mentions WHERE channel_id IN (SELECT c.id FROM chat.channels AS c "
            "WHERE c.deleted_at IS NOT NULL)"
        )
        rows = await connection.fetch(
            "DELETE FROM chat.channels AS c WHERE c.deleted_at IS NOT NULL "
            "AND NOT EXISTS (SELECT FROM chat.messages AS m WHERE m.channel_id = c.id) "
            "RETURNING c.id"
        )
        for row in rows:
            await traces.forget_channel(connection, row["id"])
    return int(status.rpartition(" ")[2])


async def purge(database: Database) -> timedelta | None:
    """Purge some; return when to go on, None where nothing is left."""
    return _BETWEEN_BATCHES if await purge_some(database) else None
