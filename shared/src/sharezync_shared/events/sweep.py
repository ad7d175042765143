"""The sweep: publishes outbox rows that were left behind.

Claims lock rows and skip locked ones, so replicas share the work. No high-water mark, which would
step over late commits, and no NOTIFY, which takes a database-wide lock at commit.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog
from sqlalchemy import Table, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from sharezync_shared.events.event_publisher import EventPublisher, PublishOutcome
from sharezync_shared.events.outbox import FACT, OutboxRow, delete_rows, one_of
from sharezync_shared.streams.frames import Frame
from sharezync_shared.streams.log import StreamPosition

log = structlog.get_logger()

LoadFrames = Callable[[Sequence[StreamPosition]], Awaitable[list[Frame]]]

_MAX_DEFER_SECONDS: Final = 600.0
_COUNT_AT_MOST: Final = 100_000
"""Counting further isn't worth its cost; alerts go by age."""


class Sweep:
    """Claims, publishes and deletes rows of one outbox, one transaction a batch."""

    def __init__(
        self,
        engine: AsyncEngine,
        table: Table,
        publisher: EventPublisher,
        load_frames: LoadFrames,
        *,
        batch: int,
        defer_seconds: float,
    ) -> None:
        self._engine = engine
        self._table = table
        self._publisher = publisher
        self._load_frames = load_frames
        self._batch = batch
        # How long a row that was not confirmed is passed over, so that those behind it get their
        # turn; doubled for each time it failed by its own fault.
        self._defer_seconds = defer_seconds
        self._deferred: dict[UUID, float] = {}
        self._one_at_a_time = asyncio.Lock()

    async def once(self, *, settle_seconds: float, skip: Collection[UUID] = ()) -> bool:
        """Publish one batch of rows older than `settle_seconds`; True: go on, there is more.

        Raises what the database raises; then nothing was deleted, and rows that were published
        will be published again.
        """
        async with self._one_at_a_time, self._engine.begin() as connection:
            claimed = await self._claim(connection, settle_seconds, {*skip, *self._passed_over()})
            # Once more: what a slow unit committed meanwhile is old already, and in its own hands.
            rows = [row for row in claimed if row.id not in skip]
            answer = await self._publish(rows)
            if answer.confirmed:
                await connection.execute(delete_rows(self._table, answer.confirmed))
            if answer.faulty:
                await connection.execute(
                    update(self._table)
                    .where(one_of(self._table, answer.faulty))
                    .values(attempts=self._table.c.attempts + 1)
                )
        self._pass_over(rows, answer)
        return len(claimed) == self._batch and bool(answer.confirmed)

    async def empty_everything(self) -> bool:
        """Publish all rows, of whatever age, once; True when none is left. Raises as `once`."""
        self._deferred.clear()
        while await self.once(settle_seconds=0):
            pass
        return not self._deferred

    async def measure(self) -> None:
        """Bring the gauges up to date. Raises what the database raises."""
        some = select(self._table.c.id).limit(_COUNT_AT_MOST).subquery()
        async with self._engine.connect() as connection:
            pending = await connection.scalar(select(func.count()).select_from(some))
            oldest = await connection.scalar(select(func.min(self._table.c.occurred_at)))
        self._publisher.pending.set(pending or 0)
        age = datetime.now(UTC) - oldest if oldest else timedelta(0)
        self._publisher.oldest_seconds.set(max(0.0, age.total_seconds()))

    async def _claim(
        self, connection: AsyncConnection, settle_seconds: float, skip: set[UUID]
    ) -> list[OutboxRow]:
        table = self._table
        query = (
            select(table)
            .where(table.c.occurred_at <= datetime.now(UTC) - timedelta(seconds=settle_seconds))
            .order_by(table.c.occurred_at)
            .limit(self._batch)
            .with_for_update(skip_locked=True)
        )
        if skip:
            query = query.where(~one_of(table, skip))
        result = await connection.execute(query)
        return [OutboxRow.of_record(row) for row in result.mappings()]

    async def _publish(self, rows: Sequence[OutboxRow]) -> PublishOutcome:
        facts = [row for row in rows if row.kind == FACT]
        others = [row for row in rows if row.kind != FACT]
        answer = await self._publisher.publish(facts) if facts else PublishOutcome(set(), set())
        if others:
            confirmed, faulty = await self._publish_frames(others)
            answer = PublishOutcome(answer.confirmed | confirmed, answer.faulty | faulty)
        return answer

    async def _publish_frames(self, rows: Sequence[OutboxRow]) -> PublishOutcome:
        """Send what the log still holds of these rows; what it no longer holds needs no telling."""
        faulty: set[UUID] = set()
        positions: list[StreamPosition] = []
        for row in rows:
            try:
                positions += row.positions()
            except msgspec.DecodeError as error:
                log.error("outbox_row_unreadable", row_id=str(row.id), error=repr(error))  # noqa: TRY400 - a traceback would show the row
                faulty.add(row.id)
        frames = await self._load_frames(positions) if positions else []
        if frames and not await self._publisher.send(frames):
            return PublishOutcome(set(), faulty)
        return PublishOutcome({row.id for row in rows} - faulty, faulty)

    def _passed_over(self) -> set[UUID]:
        now = asyncio.get_running_loop().time()
        self._deferred = {row_id: due for row_id, due in self._deferred.items() if due > now}
        return set(self._deferred)

    def _pass_over(self, rows: Sequence[OutboxRow], answer: PublishOutcome) -> None:
        now = asyncio.get_running_loop().time()
        for row in rows:
            if row.id in answer.faulty:
                pause = min(self._defer_seconds * 2 ** min(row.attempts, 16), _MAX_DEFER_SECONDS)
                self._deferred[row.id] = now + pause
            elif row.id not in answer.confirmed:
                self._deferred[row.id] = now + self._defer_seconds
