"""The statements of the hot path: one look, one write, however many messages a batch has."""

from collections.abc import Sequence
from typing import Final

import asyncpg

from sharezync_chat.models import SCHEMA, MessageRow, channel_stream, metadata
from sharezync_chat.reach import PEER
from sharezync_chat.usecases.batch import AttachmentRow, MentionRow, MessageBatch, MessageDraft
from sharezync_shared.db.bulk_insert import BulkInsert, Compound, Row
from sharezync_shared.events.outbox import OutboxRow, add_insert
from sharezync_shared.streams.frames import Frame
from sharezync_shared.streams.log import IF_APPENDED, Connection, StreamLog

_PEER: Final = PEER.format(me="d.author_id", channel="c.id", direct="c.kind = 'direct'")
_LOOK: Final = f"""
    SELECT c.id AS channel_id, c.kind, c.archived, c.message_count, h.last_seq, m.role, u.username,
           u.display_name, f.id AS first_id, f.channel_id AS first_channel_id,
           r.id AS reply_id, p.peer_blocked, p.peer_reachable, i.last_seq AS inbox_seq,
           m.joined_at, m.muted, m.hidden_up_to
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::text[])
           WITH ORDINALITY AS d(channel_id, author_id, client_message_id, reply_to, stream, n)
      LEFT JOIN chat.stream_heads AS h ON h.stream = d.stream
      LEFT JOIN chat.channels AS c ON c.id = d.channel_id AND c.deleted_at IS NULL
      LEFT JOIN chat.members AS m ON m.channel_id = c.id AND m.user_id = d.author_id
      LEFT JOIN chat.stream_heads AS i
        ON i.stream = CASE WHEN m.acted_at IS NULL THEN 'inbox:' || m.user_id END
      LEFT JOIN chat.users AS u ON u.id = d.author_id
      LEFT JOIN chat.messages AS f
        ON f.author_id = d.author_id AND f.client_message_id = d.client_message_id
      LEFT JOIN chat.messages AS r ON r.id = d.reply_to AND r.channel_id = c.id
      LEFT JOIN LATERAL ({_PEER}) AS p ON true
     ORDER BY d.n
"""  # noqa: S608 - text of ours

_MESSAGES: Final = BulkInsert(metadata.tables["chat.messages"], MessageRow, only_if="appending")
_MENTIONS: Final = BulkInsert(metadata.tables["chat.mentions"], MentionRow, only_if="appending")
_ATTACHMENTS: Final = BulkInsert(
    metadata.tables["chat.attachments"], AttachmentRow, only_if="appending"
)

_COUNTS: Final = """
    counted AS (
        UPDATE chat.channels AS c SET message_count = n.message_count
          FROM unnest($1::uuid[], $2::bigint[]) AS n(id, message_count), appending
         WHERE c.id = n.id
    )
"""

_READ: Final = """
    has_read AS (
        UPDATE chat.members AS m
           SET last_read_seq = n.seq, last_read_number = n.number,
               -- Whoever hid the conversation in between has not agreed to it since.
               acted_at = CASE WHEN n.agrees OR m.acted_at IS NOT NULL THEN $6::timestamptz END
          FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::boolean[])
               AS n(channel_id, user_id, seq, number, agrees), appending
         WHERE m.channel_id = n.channel_id AND m.user_id = n.user_id
    )
"""


async def look(connection: Connection, drafts: Sequence[MessageDraft]) -> list[asyncpg.Record]:
    """Return what decides about each draft, in their order, and where its stream stands.

    With `inbox_seq`, where the author's inbox stands, the author has not agreed to be there yet.

    All of it is of one moment.
    """
    return await connection.fetch(
        _LOOK,
        [draft.channel_id for draft in drafts],
        [draft.author_id for draft in drafts],
        [draft.client_message_id for draft in drafts],
        [draft.reply_to for draft in drafts],
        [channel_stream(draft.channel_id) for draft in drafts],
    )


async def write(
    connection: Connection,
    streams: StreamLog,
    batch: MessageBatch,
    frames: Sequence[Frame],
    rows: Sequence[OutboxRow],
) -> bool:
    """Write all of a batch in one statement, if its streams are where it found them.

    Returns whether they were; else nothing is written.
    """
    columns = batch.columns
    statement = Compound()
    streams.add_append(statement, frames, batch.now, batch.heads)
    _add(statement, "messages", _MESSAGES, columns.messages)
    statement.add(_COUNTS, list(columns.message_counts), list(columns.message_counts.values()))
    statement.add(
        _READ,
        [channel_id for channel_id, _ in columns.has_read],
        [user_id for _, user_id in columns.has_read],
        [seq for seq, _ in columns.has_read.values()],
        [number for _, number in columns.has_read.values()],
        [place in columns.agreeing for place in columns.has_read],
        batch.now,
    )
    if columns.mentions:
        _add(statement, "called", _MENTIONS, columns.mentions)
    if columns.attachments:
        _add(statement, "attached", _ATTACHMENTS, columns.attachments)
    add_insert(statement, SCHEMA, rows, only_if="appending")
    written: bool = await connection.fetchval(statement.text(IF_APPENDED), *statement.arguments)
    return written


def _add(statement: Compound, name: str, insert: BulkInsert[Row], rows: Sequence[Row]) -> None:
    statement.add(f"{name} AS ({insert.statement})", *insert.arguments(rows))
