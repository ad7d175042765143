"""The outbox: what must be published, written in the transaction that makes it true.

Two kinds of rows. A *fact* is an envelope for other services. A *frames* row only names the places
in the stream log that a commit filled: should the process die before it sent those frames, the
relay reads them from the log again, and live sockets miss nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final, Self
from uuid import UUID

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    DateTime,
    Delete,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    Table,
    Text,
    Uuid,
    any_,
    delete,
    literal,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from sharezync_shared.db.bulk_insert import Compound
from sharezync_shared.events.bus import Envelope
from sharezync_shared.events.contracts import Event
from sharezync_shared.ids import uuid7
from sharezync_shared.streams.frames import Frame
from sharezync_shared.streams.log import Connection, StreamPosition
from sharezync_shared.tracing.context import TRACEPARENT, TRACESTATE, TraceContext

FACT: Final = "fact"
FRAMES: Final = "frames"

MAX_FACT_BYTES: Final = 1024 * 1024
"""A fact carries ids, not contents. Brokers refuse far larger messages by closing the channel, and
a row that can never be published must not come into being."""


def outbox_table(metadata: MetaData) -> Table:
    """Add the table `outbox` to a service's `MetaData`. Rows live from commit to confirmation."""
    table = Table(
        "outbox",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("type", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("headers", JSONB(none_as_null=True), nullable=True),
        Column("occurred_at", DateTime(timezone=True), nullable=False),
        Column("attempts", Integer, nullable=False, server_default="0"),
    )
    Index("ix_outbox_occurred_at", table.c.occurred_at)
    return table


class OutboxRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of an outbox. `headers` holds a fact's source and trace context."""

    id: UUID
    kind: str
    type: str
    subject: str
    body: bytes
    headers: Mapping[str, str] | None
    occurred_at: datetime
    attempts: int = 0

    @classmethod
    def of_fact(cls, event: Event, at: datetime, *, trace: TraceContext | None = None) -> Self:
        """Return the row of a fact that becomes true at `at`, by what `trace` is of.

        Raises ValueError for a fact of more than 1 MiB.
        """
        envelope = event.envelope(time=at)
        if len(envelope.data) > MAX_FACT_BYTES:
            raise ValueError(f"{envelope.type} of {len(envelope.data)} bytes is no fact")
        headers = {"source": envelope.source}
        if trace is not None and trace.traceparent:
            headers[TRACEPARENT] = trace.traceparent
            if trace.tracestate:
                headers[TRACESTATE] = trace.tracestate
        return cls(
            id=envelope.id,
            kind=FACT,
            type=envelope.type,
            subject=envelope.subject,
            body=envelope.data,
            headers=headers,
            occurred_at=at,
        )

    @classmethod
    def of_frames(cls, frames: Sequence[Frame], at: datetime) -> Self:
        """Return the row that names where `frames`, just appended, lie in the stream log."""
        places = [StreamPosition(frame.stream, frame.epoch, frame.seq) for frame in frames]
        return cls(
            id=uuid7(),
            kind=FRAMES,
            type=FRAMES,
            subject="",
            body=msgspec.msgpack.encode(places),
            headers=None,
            occurred_at=at,
        )

    @classmethod
    def of_record(cls, record: RowMapping) -> Self:
        """Return the row as it was read from the table."""
        return cls(**{name: record[name] for name in cls.__struct_fields__})

    def envelope(self) -> Envelope:
        """Return the fact; only for rows of that kind."""
        headers = self.headers or {}
        return Envelope(
            id=self.id,
            source=headers.get("source", ""),
            type=self.type,
            subject=self.subject,
            time=self.occurred_at,
            data=self.body,
            traceparent=headers.get(TRACEPARENT),
            tracestate=headers.get(TRACESTATE, ""),
        )

    def positions(self) -> list[StreamPosition]:
        """Return where the frames lie; only for rows of that kind.

        Raises msgspec.DecodeError for a body that `of_frames` did not write.
        """
        return msgspec.msgpack.decode(self.body, type=list[StreamPosition])


async def insert_rows(connection: Connection, schema: str, rows: Sequence[OutboxRow]) -> None:
    """Insert rows into the outbox of `schema`, in the caller's transaction and one statement."""
    await connection.execute(_INSERT.format(schema=schema, only_if=""), *_columns(rows))


def add_insert(
    statement: Compound, schema: str, rows: Sequence[OutboxRow], *, only_if: str
) -> None:
    """Have `statement` insert rows, where its part named `only_if` has a row."""
    insert = _INSERT.format(schema=schema, only_if=f", {only_if}")
    statement.add(f"outbox AS ({insert})", *_columns(rows))


# The schema is a name of ours. Headers travel as text: whether a connection has a codec for jsonb
# depends on who opened it.
_INSERT: Final = """
    INSERT INTO "{schema}".outbox (id, kind, type, subject, body, headers, occurred_at)
    SELECT r.id, r.kind, r.type, r.subject, r.body, r.headers::jsonb, r.occurred_at
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::text[],
                  $7::timestamptz[]) AS r(id, kind, type, subject, body, headers, occurred_at)
           {only_if}
"""


def _columns(rows: Sequence[OutboxRow]) -> list[list[object]]:
    return [
        [row.id for row in rows],
        [row.kind for row in rows],
        [row.type for row in rows],
        [row.subject for row in rows],
        [row.body for row in rows],
        [msgspec.json.encode(row.headers).decode() if row.headers else None for row in rows],
        [row.occurred_at for row in rows],
    ]


def one_of(table: Table, row_ids: Collection[UUID]) -> ColumnElement[bool]:
    """Return the condition that a row is one of `row_ids`, as one array parameter."""
    return table.c.id == any_(literal(list(row_ids), ARRAY(Uuid)))


def delete_rows(table: Table, row_ids: Collection[UUID]) -> Delete:
    """Return the statement that forgets rows which were confirmed."""
    return delete(table).where(one_of(table, row_ids))
