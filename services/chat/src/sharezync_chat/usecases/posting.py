"""The hot path: messages of many authors in many channels, one transaction.

`GroupCommit` collects the drafts that arrive while a batch is being written. A batch takes two
trips to the database. The first looks at who may say what and at the heads of the streams, in one
moment; the second writes everything if the heads are where they were, holding them. Whatever
changes the rights in a channel says so in its stream, so they were the same all the time: a
removal that was committed first is seen, and one that comes later stands after the messages.

Where another process was faster nothing is written, and the batch is made again with the heads
held from before the look. The lock must be a statement of its own: a statement sees what was
committed when it began, however long it then waits for a row.

Plain statements on asyncpg throughout; see performance.md for why.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from typing import Final, NamedTuple

import asyncpg

from sharezync_chat.models import SCHEMA, channel_stream, inbox_stream
from sharezync_chat.usecases import mentions, posting_rows, reads
from sharezync_chat.usecases.batch import MessageBatch, MessageDraft, PostedMessage
from sharezync_chat.usecases.indexing import Indexer
from sharezync_shared.db.database import Database
from sharezync_shared.db.group_commit import GroupCommit
from sharezync_shared.events.outbox import OutboxRow
from sharezync_shared.events.relay import Relay
from sharezync_shared.sizes import MAX_COMMIT_CHARACTERS
from sharezync_shared.streams.frames import Frame
from sharezync_shared.streams.log import Connection, StreamLog
from sharezync_shared.tracing.spans import SpanKind

_WARY_BATCHES: Final = 16
"""Batches that hold the heads from the beginning after somebody else was faster: where several
processes write to one channel all the time, each lost race is two trips for nothing."""


_ATTRIBUTES: Final = {
    "db.system.name": "postgresql",
    "db.namespace": SCHEMA,
    "db.operation.name": "transaction",
}


class _Written(NamedTuple):
    """A batch that is committed, and what is published of it."""

    batch: MessageBatch
    rows: Sequence[OutboxRow] = ()
    frames: Sequence[Frame] = ()


class MessageWriter:
    """Writes messages for all requests of this process, a batch at a time."""

    def __init__(
        self, database: Database, streams: StreamLog, relay: Relay, indexer: Indexer
    ) -> None:
        self._database = database
        self._indexer = indexer
        self._streams = streams
        self._relay = relay
        self._group: GroupCommit[MessageDraft, PostedMessage] = GroupCommit(
            self._flush, weigh=_characters_of, max_weight=MAX_COMMIT_CHARACTERS
        )
        self._connection: asyncpg.Connection | None = None
        self._wary = 0

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Post while the block runs; at its end everything that was taken is written or refused."""
        try:
            yield
        finally:
            await self.drain()
            if self._connection is not None and not self._connection.is_closed():
                await self._connection.close()

    async def post(self, draft: MessageDraft) -> PostedMessage:
        """Post one message; returns when it is committed. Drafts are taken in the order of calls.

        Raises whatever `MessageBatch.add_draft` refuses it with. A cancelled caller doesn't stop
        the write.
        """
        return await self._group.submit(draft)

    async def drain(self) -> None:
        """Wait until everything that was taken is written or refused."""
        await self._group.drain()

    async def _flush(self, drafts: Sequence[MessageDraft]) -> list[PostedMessage | BaseException]:
        if self._connection is None or self._connection.is_closed():
            # Not of the pool: one batch is under way at a time, and needs no more.
            self._connection = await self._database.connect()
        connection = self._connection
        try:
            with _spans(drafts):
                batch, rows, frames = await self._write(connection, drafts)
        except asyncpg.PostgresError:
            raise  # PostgreSQL refused; the connection is none the worse for it
        except BaseException:
            connection.terminate()  # whatever state it is in
            raise
        if rows:
            self._relay.announce(rows, frames)
            self._indexer.posted(batch.columns.message_counts)
        return batch.outcomes()

    async def _write(self, connection: Connection, drafts: Sequence[MessageDraft]) -> _Written:
        try:
            return await self._write_quickly(connection, drafts)
        except asyncpg.UniqueViolationError:
            # The same key was used at this moment through another process, in another channel:
            # looking again finds that message.
            return await self._write_held(connection, drafts)

    async def _write_quickly(
        self, connection: Connection, drafts: Sequence[MessageDraft]
    ) -> _Written:
        if self._wary:
            self._wary -= 1
        elif (written := await self._attempt(connection, drafts)) is not None:
            return written
        else:
            self._wary = _WARY_BATCHES
        return await self._write_held(connection, drafts)

    async def _write_held(self, connection: Connection, drafts: Sequence[MessageDraft]) -> _Written:
        streams = {channel_stream(draft.channel_id) for draft in drafts}
        streams |= {inbox_stream(draft.author_id) for draft in drafts}
        async with connection.transaction():
            await self._streams.lock(connection, streams, create=False)
            written = await self._attempt(connection, drafts)
        if written is None:
            raise RuntimeError("A stream that is held has moved")
        return written

    async def _attempt(
        self, connection: Connection, drafts: Sequence[MessageDraft]
    ) -> _Written | None:
        """Look and write; None where a stream moved in between, and nothing was written.

        What is looked at later than the heads may be younger than they are, and never older.
        """
        found = await posting_rows.look(connection, drafts)
        batch = MessageBatch(_heads(drafts, found), self._streams.epoch, datetime.now(UTC))
        called = await mentions.resolve(
            connection, [(draft.channel_id, draft.calls) for draft in drafts]
        )
        for place, (draft, row) in enumerate(zip(drafts, found, strict=True)):
            batch.add_draft(draft, row, called.get(place, ()))
        if batch.repeated:
            tail = "WHERE m.id = ANY($1::uuid[])"
            first = await reads.messages(
                connection, tail, list(batch.repeated), viewer=reads.AUTHOR
            )
            batch.recall(first)
        if not batch.entries:
            return _Written(batch)
        frames = self._streams.frames(batch.entries, batch.now, batch.heads)
        rows = [*batch.facts(), OutboxRow.of_frames(frames, batch.now)]
        if not await posting_rows.write(connection, self._streams, batch, frames, rows):
            return None
        return _Written(batch, rows, frames)


def _spans(drafts: Sequence[MessageDraft]) -> ExitStack:
    """Return the spans of the transaction of a batch: one for each traced message in it."""
    spans = ExitStack()
    for draft in drafts:
        if draft.trace is not None and draft.trace.recorder is not None:
            told = draft.trace.recorder.start(
                draft.trace, f"transaction {SCHEMA}", SpanKind.CLIENT, _ATTRIBUTES
            )
            spans.callback(told.end)
    return spans


def _characters_of(draft: MessageDraft) -> int:
    return len(draft.text)


def _heads(drafts: Sequence[MessageDraft], found: Sequence[asyncpg.Record]) -> dict[str, int]:
    """Return the last `seq` of each stream that there is and that may get something."""
    heads = {}
    for draft, row in zip(drafts, found, strict=True):
        heads[channel_stream(draft.channel_id)] = row["last_seq"]
        heads[inbox_stream(draft.author_id)] = row["inbox_seq"]
    return {stream: seq for stream, seq in heads.items() if seq is not None}
