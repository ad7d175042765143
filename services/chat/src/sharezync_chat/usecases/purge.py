"""Taking away what a deleted channel leaves behind, a little at a time.

A channel may hold millions of messages; deleting them within the request would take minutes and
hold everything up. So the channel ends at once for everyone, and its messages go afterwards.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import structlog

from sharezync_chat.usecases import traces
from sharezync_shared.db.database import Database

log = structlog.get_logger()

_BATCH = 1000
_BETWEEN_BATCHES_SECONDS = 0.05  # room for the others: nobody waits for this
_LOOK_EVERY_SECONDS = 60


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


@asynccontextmanager
async def purging(database: Database) -> AsyncGenerator[None]:
    """Purge in the background, inside the block."""
    task = asyncio.create_task(_purge_forever(database), name="chat-purge")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _purge_forever(database: Database) -> None:
    while True:
        some = False
        try:
            some = await purge_some(database) > 0
        except Exception as error:  # noqa: BLE001 - the rim: whatever failed is tried again
            log.warning("purge_failed", error=repr(error))
        await asyncio.sleep(_BETWEEN_BATCHES_SECONDS if some else _LOOK_EVERY_SECONDS)
