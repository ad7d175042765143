"""The words of messages, made ready for search, behind the hot path.

A message is written without them. Each process that posts then indexes the channels it wrote to,
and looks once a minute for what a process that ended left undone. `search_heads` says how far each
channel is; its row is held while a batch is made, so that two processes don't do the same twice.
"""

from collections.abc import AsyncGenerator, Iterable
from typing import Final
from uuid import UUID

from sharezync_chat.models import Message
from sharezync_shared.batch_queue import BatchQueue
from sharezync_shared.db.database import Database
from sharezync_shared.outage_log import OutageLog
from sharezync_shared.work import UnitOfWork

_BATCH: Final = 500
_GATHER_SECONDS: Final = 0.2  # what comes within it is indexed at once
LOOK_EVERY_SECONDS: Final = 60.0

# `simple`: words as they are, without the stems and stop words of one language among many.
_WORDS: Final = "to_tsvector('simple', {})"

_BEHIND: Final = """
    SELECT c.id FROM chat.channels AS c LEFT JOIN chat.search_heads AS h ON h.channel_id = c.id
     WHERE c.message_count > coalesce(h.indexed_number, 0) AND c.deleted_at IS NULL
"""

_INDEX: Final = f"""
    WITH batch AS (
        SELECT id, channel_id, number, text FROM chat.messages
         WHERE channel_id = $1 AND number > $2 AND number <= $2 + $3
    ), indexed AS (
        INSERT INTO chat.search_texts (message_id, channel_id, words)
        SELECT id, channel_id, {_WORDS.format("text")} FROM batch WHERE text <> ''
        ON CONFLICT (message_id) DO UPDATE SET words = excluded.words
    )
    UPDATE chat.search_heads SET indexed_number = (SELECT max(number) FROM batch)
     WHERE channel_id = $1 AND EXISTS (SELECT FROM batch)
 RETURNING indexed_number
"""  # noqa: S608 - text of ours


_REWORD: Final = f"""
    UPDATE chat.search_texts SET words = {_WORDS.format("$2::text")} WHERE message_id = $1
"""  # noqa: S608 - text of ours


class Indexer:
    """Indexes what this process posted, soon after; and now and then whatever is left."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._log = OutageLog("indexing_failed")
        self._behind: BatchQueue[UUID] = BatchQueue.of_keys(
            self._index_each, name="chat-indexing", gather_seconds=_GATHER_SECONDS
        )

    def posted(self, channel_ids: Iterable[UUID]) -> None:
        """Note that these channels have new messages. Costs nothing and never fails."""
        self._behind.put(list(channel_ids))

    async def catch_up(self) -> None:
        """Index everything that is posted by now, in all channels."""
        async for _ in self.catching_up():
            pass

    async def catching_up(self) -> AsyncGenerator[tuple[int, int]]:
        """Do as `catch_up`; yield after each channel how many of how many are done."""
        async with (await self._database.pool()).acquire() as connection:
            behind = [row["id"] for row in await connection.fetch(_BEHIND)]
        for done, channel_id in enumerate(behind, start=1):
            await self._index(channel_id)
            yield done, len(behind)

    async def reindex_all(self) -> None:
        """Have everything indexed anew; what is indexed is found until then."""
        async with (await self._database.pool()).acquire() as connection:
            await connection.execute("UPDATE chat.search_heads SET indexed_number = 0")

    async def aclose(self) -> None:
        """Index no more; the next look finds what is left."""
        await self._behind.aclose()

    async def _index_each(self, channel_ids: list[UUID]) -> None:
        for channel_id in channel_ids:
            try:
                await self._index(channel_id)
            except Exception as error:  # noqa: BLE001 - the next look finds it
                self._log.failed(error, channel_id=str(channel_id))

    async def _index(self, channel_id: UUID) -> None:
        while await self._index_batch(channel_id):
            pass

    async def _index_batch(self, channel_id: UUID) -> bool:
        """Index the next messages of a channel; return whether there may be more."""
        async with (
            (await self._database.pool()).acquire() as connection,
            connection.transaction(),
        ):
            await connection.execute(
                "INSERT INTO chat.search_heads (channel_id, indexed_number) "
                "SELECT id, 0 FROM chat.channels WHERE id = $1 ON CONFLICT DO NOTHING",
                channel_id,
            )
            done = await connection.fetchval(
                "SELECT indexed_number FROM chat.search_heads WHERE channel_id = $1 FOR UPDATE",
                channel_id,
            )
            if done is None:  # the channel is gone
                return False
            now = await connection.fetchval(_INDEX, channel_id, done, _BATCH)
            return now is not None and now - done >= _BATCH


async def reword(unit: UnitOfWork, message: Message) -> None:
    """Index a message anew whose text has changed; one without text is not found any more.

    One that was not indexed yet is left to the indexer. The head is held, so that a batch which
    has read the old text is through before.
    """
    connection = await unit.raw()
    await connection.execute(
        "SELECT FROM chat.search_heads WHERE channel_id = $1 FOR UPDATE", message.channel_id
    )
    if message.text:
        await connection.execute(_REWORD, message.id, message.text)
    else:
        await connection.execute("DELETE FROM chat.search_texts WHERE message_id = $1", message.id)
