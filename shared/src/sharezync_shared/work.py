"""The unit of work: rows, stream events and facts in one transaction, published after the commit.

    async with work.begin() as unit:
        channel = await access.channel_to_post_in(unit, author_id, channel_id)
        unit.add(message)
        await unit.publish_event(channel.stream, "message.created", wire)  # clients: stream log
        unit.emit(MessageSent(...))  # services: the outbox

Leaving the block commits; only then frames and facts go out, and the caller does not wait for the
broker. An exception rolls everything back and publishes nothing.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import asyncpg
import msgspec
import structlog
from pydantic import BaseModel
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from sharezync_shared.db.database import Database
from sharezync_shared.events.contracts import Event
from sharezync_shared.events.inbox import claim
from sharezync_shared.events.outbox import OutboxRow, insert_rows
from sharezync_shared.events.relay import Relay
from sharezync_shared.streams.frames import Control, Frame
from sharezync_shared.streams.log import Entry, StreamLog, StreamPosition, signal_text
from sharezync_shared.tracing.context import current_trace, current_traceparent
from sharezync_shared.tracing.spans import SpanKind, TraceSpan, span

log = structlog.get_logger()

Row = TypeVar("Row", bound=SQLModel)
Consumer = Callable[["UnitOfWork", Any], Awaitable[None]]
"""Reacts to one event inside a unit in which the event was claimed."""
Telling = BaseModel | msgspec.Struct | Mapping[str, Any]


def to_json(data: Telling) -> bytes:
    """Return `data` as the JSON that clients see."""
    if isinstance(data, BaseModel):
        return data.model_dump_json().encode()
    return msgspec.json.encode(data)


class UnitOfWork:
    """One transaction of one service. Made by `UnitsOfWork.begin`; not safe for several tasks."""

    def __init__(self, session: AsyncSession, work: "UnitsOfWork") -> None:
        self.session = session
        self.now = work.now()
        """One moment for the whole transaction."""
        self.caused_at = self.now
        """When it happened: in a consumer the time of the event, which may have come late or after
        a younger one; else now."""
        self._work = work
        self._raw: asyncpg.Connection | None = None
        self._heads: dict[str, int] = {}
        """Where the streams stand that this transaction holds."""
        self._frames: list[Frame] = []
        self._signals: list[Frame] = []
        self._facts: list[Event] = []
        self._log_lines: list[tuple[str, dict[str, Any]]] = []

    def add(self, row: SQLModel) -> None:
        """Insert `row` with the commit, or at the next flush."""
        self.session.add(row)

    async def get(self, model: type[Row], key: object, *, lock: bool = False) -> Row | None:
        """Return the row with this primary key, or None; with `lock`, held until the commit."""
        return await self.session.get(model, key, with_for_update=True if lock else None)

    async def raw(self) -> asyncpg.Connection:
        """Return the asyncpg connection of this very transaction, for statements that are hot.

        What the session holds back is flushed first, so that both see the same rows.
        """
        if self.session.new or self.session.dirty or self.session.deleted:
            await self.session.flush()
        if self._raw is None:
            connection = await self.session.connection()
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None  # noqa: S101 - a checked-out connection has its driver's
            if not raw.is_in_transaction():
                # SQLAlchemy begins with its first statement; a statement beside it would not be
                # part of the transaction.
                await connection.exec_driver_sql("SELECT")
            self._raw = raw
        return self._raw

    async def lock_streams(self, *streams: str) -> None:
        """Lock these streams until the commit: nothing can enter them in between.

        Read rights after this call wherever a change of rights must not be overtaken. Take all
        that a use case needs at once, or in name order.
        """
        self._heads |= await self._work.log.lock(await self.raw(), streams)

    async def publish_event(
        self, stream: str, event_type: str, data: Telling, *, control: Control | None = None
    ) -> StreamPosition:
        """Append an event to a stream; it is published after the commit. Returns its position."""
        entry = Entry(stream, event_type, to_json(data), control)
        return (await self.publish_events([entry]))[0]

    async def publish_events(self, entries: Sequence[Entry]) -> list[StreamPosition]:
        """Append several events, in order; streams are locked in name order."""
        streams = {entry.stream for entry in entries}
        if not streams <= self._heads.keys():
            await self.lock_streams(*streams)
        if traceparent := current_traceparent():
            entries = [replace(entry, traceparent=traceparent) for entry in entries]
        frames = await self._work.log.append(await self.raw(), entries, self.now, heads=self._heads)
        self._heads |= {frame.stream: frame.seq for frame in frames}
        self._frames += frames
        return [StreamPosition(frame.stream, frame.epoch, frame.seq) for frame in frames]

    def signal(self, stream: str, signal_type: str, data: Telling) -> None:
        """Send something that may be lost to everyone on a stream, after the commit."""
        text = signal_text(signal_type, stream, self.now, to_json(data))
        self._signals.append(Frame(stream, "", 0, text))

    def emit(self, event: Event) -> None:
        """Publish a fact to other services, at least once, after the commit."""
        self._facts.append(event)

    def log(self, event: str, **fields: Any) -> None:  # noqa: ANN401 - fields of a record are anything
        """Write a line to the log once all this is committed. Ids, never contents or secrets."""
        self._log_lines.append((event, fields))

    async def claim(self, consumer: str, event_id: UUID) -> bool:
        """Take an event for `consumer`; False where it was handled before."""
        return await claim(await self.raw(), self._work.database.schema, consumer, event_id)

    async def prepare_commit(self) -> list[OutboxRow]:
        """Write what must be published to the outbox, as the last act before the commit."""
        trace = current_trace.get()
        rows = [OutboxRow.of_fact(event, self.now, trace=trace) for event in self._facts]
        if self._frames:
            rows.append(OutboxRow.of_frames(self._frames, self.now))
        if rows:
            await insert_rows(await self.raw(), self._work.database.schema, rows)
        return rows

    def write_log(self) -> None:
        """Write what `log` was given; after the commit."""
        for event, fields in self._log_lines:
            log.info(event, **fields)

    @property
    def frames(self) -> list[Frame]:
        """The frames of the events published so far."""
        return self._frames

    @property
    def signals(self) -> list[Frame]:
        """The signals sent so far."""
        return self._signals


class UnitsOfWork:
    """Begins units of work on one service's schema.

    Without a relay, as in a command, nothing is published here: what was committed waits in the
    outbox for a server's relay, and signals are lost.
    """

    def __init__(self, database: Database, log: StreamLog, relay: Relay | None) -> None:
        self.database = database
        self.log = log
        self._relay = relay

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return datetime.now(UTC)

    @asynccontextmanager
    async def begin(self) -> AsyncGenerator[UnitOfWork]:
        """Begin a unit; commit when the block ends, roll back when it raises.

        When the commit itself fails nothing is published. When the connection is lost during the
        commit the outcome is unknown to the caller, and the relay publishes what was committed.
        """
        with self._span("transaction"):
            async with self._begin() as unit:
                yield unit

    @asynccontextmanager
    async def _begin(self) -> AsyncGenerator[UnitOfWork]:
        async with AsyncSession(self.database.engine, expire_on_commit=False) as session:
            unit = UnitOfWork(session, self)
            try:
                yield unit
                await session.flush()
                rows = await unit.prepare_commit()
                await session.commit()
            except BaseException:
                # A cancelled request must not leave its connection inside a transaction.
                await asyncio.shield(session.rollback())
                raise
        unit.write_log()
        if self._relay is None:
            return
        self._relay.announce(rows, unit.frames)
        if unit.signals:
            self._relay.signal(unit.signals)

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[UnitOfWork]:
        """Begin a unit that sees one moment of the database and can change nothing."""
        with self._span("read"):
            async with self._read() as unit:
                yield unit

    def _span(self, operation: str) -> TraceSpan:
        schema = self.database.schema
        attributes = {
            "db.system.name": "postgresql",
            "db.namespace": schema,
            "db.operation.name": operation,
        }
        return span(f"{operation} {schema}", SpanKind.CLIENT, attributes)

    @asynccontextmanager
    async def _read(self) -> AsyncGenerator[UnitOfWork]:
        async with AsyncSession(self.database.engine, expire_on_commit=False) as session:
            await session.connection(
                execution_options={
                    "isolation_level": "REPEATABLE READ",
                    "postgresql_readonly": True,
                }
            )
            yield UnitOfWork(session, self)
