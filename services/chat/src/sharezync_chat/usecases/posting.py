"""The hot path: messages of many authors in many channels, one transaction.

`GroupCommit` collects the drafts that arrive while a batch is being written. A batch holds the
heads of all its channels, then looks at who may say what, all in one statement, then writes. So a
removal that was committed first is seen, and one that comes later waits: its event stands after
the messages. Plain statements on asyncpg throughout; see performance.md for why.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import asyncpg

from sharezync_chat.models import SCHEMA, channel_stream
from sharezync_chat.usecases import mentions, reads
from sharezync_chat.usecases.batch import Batch, Draft, Posted, columns_of
from sharezync_chat.usecases.indexing import Indexer
from sharezync_shared.db.database import Database
from sharezync_shared.db.group_commit import GroupCommit
from sharezync_shared.events.outbox import OutboxRow, insert_rows
from sharezync_shared.events.relay import Relay
from sharezync_shared.streams.log import Connection, StreamLog

_LOOK: Final = """
    SELECT c.id AS channel_id, c.kind, c.archived, c.message_count, m.role, u.username,
           u.display_name, f.id AS first_id, f.channel_id AS first_channel_id,
           r.id AS reply_id
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[])
           WITH ORDINALITY AS d(channel_id, author_id, client_message_id, reply_to, n)
      LEFT JOIN chat.channels AS c ON c.id = d.channel_id AND c.deleted_at IS NULL
      LEFT JOIN chat.members AS m ON m.channel_id = c.id AND m.user_id = d.author_id
      LEFT JOIN chat.users AS u ON u.id = d.author_id
      LEFT JOIN chat.messages AS f
        ON f.author_id = d.author_id AND f.client_message_id = d.client_message_id
      LEFT JOIN chat.messages AS r ON r.id = d.reply_to AND r.channel_id = c.id
     ORDER BY d.n
"""

_STORE: Final = """
    WITH counted AS (
        UPDATE chat.channels AS c SET message_count = n.message_count
          FROM unnest($13::uuid[], $14::bigint[]) AS n(id, message_count) WHERE c.id = n.id
    ), has_read AS (
        UPDATE chat.members AS m SET last_read_seq = n.seq, last_read_number = n.number
          FROM unnest($15::uuid[], $16::uuid[], $17::bigint[], $18::bigint[])
               AS n(channel_id, user_id, seq, number)
         WHERE m.channel_id = n.channel_id AND m.user_id = n.user_id
    )
    INSERT INTO chat.messages (id, channel_id, author_id, text, reply_to, seq, number,
                               client_message_id, mentions, mentions_channel, epoch, created_at)
    SELECT n.id, n.channel_id, n.author_id, n.text, n.reply_to, n.seq, n.number,
           n.client_message_id, n.mentions::uuid[], n.mentions_channel, $11, $12
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::bigint[],
                  $7::bigint[], $8::text[], $9::text[], $10::boolean[])
           AS n(id, channel_id, author_id, text, reply_to, seq, number, client_message_id,
                mentions, mentions_channel)
"""

_CALL: Final = """
    INSERT INTO chat.mentions (channel_id, target_id, number)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[])
"""

_ATTACH: Final = """
    INSERT INTO chat.attachments (message_id, position, file_id, name, size_bytes, mime)
    SELECT * FROM unnest($1::uuid[], $2::int[], $3::uuid[], $4::text[], $5::bigint[], $6::text[])
"""


class Posting:
    """Writes messages for all requests of this process, a batch at a time."""

    def __init__(
        self, database: Database, streams: StreamLog, relay: Relay, indexer: Indexer
    ) -> None:
        self._database = database
        self._indexer = indexer
        self._streams = streams
        self._relay = relay
        self._group: GroupCommit[Draft, Posted] = GroupCommit(self._flush)

    async def post(self, draft: Draft) -> Posted:
        """Post one message; returns when it is committed. Drafts are taken in the order of calls.

        Raises whatever `Batch.take` refuses it with. A cancelled caller doesn't stop the write.
        """
        return await self._group.submit(draft)

    async def drain(self) -> None:
        """Wait until everything that was taken is written or refused."""
        await self._group.drain()

    async def _flush(self, drafts: Sequence[Draft]) -> list[Posted | BaseException]:
        try:
            return await self._write(drafts)
        except asyncpg.UniqueViolationError:
            # The same key was used at this moment through another process, in another channel:
            # looking again finds that message.
            return await self._write(drafts)

    async def _write(self, drafts: Sequence[Draft]) -> list[Posted | BaseException]:
        pool = await self._database.pool()
        async with pool.acquire() as connection, connection.transaction():
            heads = await self._streams.lock(
                connection, {channel_stream(draft.channel_id) for draft in drafts}, create=False
            )
            batch = Batch(heads, self._streams.epoch, datetime.now(UTC))
            called = await mentions.resolve(
                connection, [(draft.channel_id, draft.calls.keys) for draft in drafts]
            )
            found = await _look(connection, drafts)
            for place, (draft, row) in enumerate(zip(drafts, found, strict=True)):
                batch.take(draft, row, called.get(place, ()))
            if batch.repeated:
                tail = "WHERE m.id = ANY($1::uuid[])"
                first = await reads.messages(
                    connection, tail, list(batch.repeated), viewer=reads.AUTHOR
                )
                batch.recall(first)
            frames = await self._streams.append(connection, batch.entries, batch.now, heads=heads)
            rows: list[OutboxRow] = []
            if frames:
                await _store(connection, batch)
                rows = [*batch.facts(), OutboxRow.of_frames(frames, batch.now)]
                await insert_rows(connection, SCHEMA, rows)
        if rows:
            self._relay.announce(rows, frames)
            self._indexer.posted(batch.columns.message_counts)
        return batch.outcomes()


async def _look(connection: Connection, drafts: Sequence[Draft]) -> list[asyncpg.Record]:
    """Return what decides about each draft, in their order."""
    return await connection.fetch(
        _LOOK,
        [draft.channel_id for draft in drafts],
        [draft.author_id for draft in drafts],
        [draft.client_message_id for draft in drafts],
        [draft.reply_to for draft in drafts],
    )


async def _store(connection: Connection, batch: Batch) -> None:
    columns = batch.columns
    await connection.execute(
        _STORE,
        *columns_of(columns.messages, 10),
        batch.epoch,
        batch.now,
        list(columns.message_counts),
        list(columns.message_counts.values()),
        [channel_id for channel_id, _ in columns.has_read],
        [user_id for _, user_id in columns.has_read],
        [seq for seq, _ in columns.has_read.values()],
        [number for _, number in columns.has_read.values()],
    )
    if columns.mentions:
        await connection.execute(_CALL, *columns_of(columns.mentions, 3))
    if columns.attachments:
        await connection.execute(_ATTACH, *columns_of(columns.attachments, 6))
