"""The relay: publishes the outbox, soon after the commit or as soon as it is possible.

Two ways out. `announce` publishes a commit's rows straight away, in the background, and deletes
them once the bus confirmed. The sweep (sweep.py) finds what lay there for 2 s, because the process
died or the bus was away, and does the same.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, NamedTuple
from uuid import UUID

from prometheus_client import CollectorRegistry
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from sharezync_shared.background import AT_ONCE, Periodic
from sharezync_shared.batch_queue import BatchQueue
from sharezync_shared.db.outages import is_outage
from sharezync_shared.events.bus import Bus
from sharezync_shared.events.event_publisher import EventPublisher
from sharezync_shared.events.outbox import FACT, OutboxRow, delete_rows
from sharezync_shared.events.sweep import LoadFrames, Sweep
from sharezync_shared.outage_log import OutageLog
from sharezync_shared.streams.frames import Frame
from sharezync_shared.tracing.spans import Tracing

_BATCH: Final = 200
_MEASURE_SECONDS: Final = 5.0
_CAPACITY_BYTES: Final = 16 * 1024 * 1024
_GATHER_SECONDS: Final = 0.25
"""How long rows that were confirmed may wait to be deleted together. Alone a delete costs more than
the message that it is of, and at the very moment when that is being delivered. Well below
`settle_seconds`."""
_LAST_DELETE_SECONDS: Final = 1.0
"""How long a leaving process may take to delete what was confirmed."""
_OVERHEAD_BYTES: Final = 256
"""What a waiting row or frame costs beside its body, roughly."""


class _Published(NamedTuple):
    """The frames of one commit, and the rows that stand for them in the outbox."""

    row_ids: list[UUID]
    frames: Sequence[Frame]


class Relay:
    """Relays one service's outbox. Any number of replicas may relay the same table.

    `load_frames` returns what the stream log still holds at the given positions. Delivery is at
    least once. Memory is bounded: what does not fit waits in the table for the sweep.

    Every `poll_seconds` the sweep looks for rows older than `settle_seconds`; those that the bus
    does not confirm it leaves alone for `defer_seconds`.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        table: Table,
        bus: Bus,
        load_frames: LoadFrames,
        *,
        registry: CollectorRegistry,
        tracing: Tracing | None = None,
        poll_seconds: float = 1.0,
        settle_seconds: float = 2.0,
        defer_seconds: float = 5.0,
    ) -> None:
        self._engine = engine
        self._table = table
        self._poll_seconds = poll_seconds
        self._settle_seconds = settle_seconds
        service = table.schema or table.name
        self._publisher = EventPublisher(bus, registry, service=service, tracing=tracing)
        self._sweep = Sweep(
            engine, table, self._publisher, load_frames, batch=_BATCH, defer_seconds=defer_seconds
        )
        self._facts: BatchQueue[OutboxRow] = BatchQueue(
            self._publish_facts,
            name="outbox-facts",
            capacity=_CAPACITY_BYTES,
            weigh=lambda row: len(row.body) + _OVERHEAD_BYTES,
            max_batch=_BATCH,
            parallel=8,
        )
        # One call at a time: frames leave in the order of the announcements.
        self._frames: BatchQueue[_Published] = BatchQueue(
            self._publish_frames, name="outbox-frames", capacity=_CAPACITY_BYTES, weigh=_weight
        )
        self._deletes: BatchQueue[UUID] = BatchQueue(
            self._delete,
            name="outbox-deletes",
            capacity=100_000,
            max_batch=2000,
            gather_seconds=_GATHER_SECONDS,
        )
        self._in_hand: set[UUID] = set()
        self._left_behind = False
        self._log = OutageLog("outbox_database_failed", table=table.fullname)
        self._measure_at = 0.0
        self._sweeping = Periodic(
            self._sweep_once,
            name=f"{service}-outbox",
            every_seconds=poll_seconds,
            is_outage=is_outage,
            registry=registry,
        )

    async def start(self) -> None:
        """Begin to sweep. Idempotent."""
        self._sweeping.start()

    async def aclose(self) -> None:
        """Stop at once. What was not confirmed stays in the outbox; `flush` first to empty it."""
        await self._sweeping.aclose()
        for queue in (self._facts, self._frames):
            await queue.aclose()
        # What was confirmed and is not yet deleted would be published again by the next sweep.
        await self._deletes.aclose(last_seconds=_LAST_DELETE_SECONDS)

    def announce(self, rows: Sequence[OutboxRow], frames: Sequence[Frame]) -> None:
        """Publish what was just committed, in the background; returns at once and never raises.

        `rows` are the committed rows, `frames` those that its rows of kind `frames` stand for.
        Frames leave in the order of the announcements. What can't be published now stays in the
        outbox for the sweep.
        """
        facts = [row for row in rows if row.kind == FACT]
        published = _Published([row.id for row in rows if row.kind != FACT], frames)
        if facts:
            self._take(self._facts.put(facts), [row.id for row in facts])
        if frames:
            self._take(self._frames.put([published]), published.row_ids)

    def signal(self, frames: Sequence[Frame]) -> None:
        """Send frames that may be lost, in the background; returns at once and never raises."""
        self._frames.put([_Published([], frames)])

    def wake(self) -> None:
        """Have the sweep look now instead of at its next second."""
        self._sweeping.wake()

    async def flush(self, timeout_seconds: float) -> bool:
        """Publish everything this process committed; True when all of it was confirmed.

        For the drain: call it when no more commits come. What remains after the time is left to
        another replica, or after the next start.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._facts.drained()
                await self._frames.drained()
                await self._deletes.drained()
                while self._left_behind:
                    try:
                        self._left_behind = not await self._sweep.empty_everything()
                    except Exception as error:  # noqa: BLE001 - the outage may end in time
                        self._log.failed(error)
                    if self._left_behind:
                        await asyncio.sleep(self._poll_seconds)
        except TimeoutError:
            return False
        return True

    # ------------------------------------------------------------------ straight after the commit

    def _take(self, taken: bool, row_ids: Sequence[UUID]) -> None:  # noqa: FBT001 - reads as it is
        if taken:
            self._in_hand.update(row_ids)
        else:
            self._left_behind = True

    async def _publish_facts(self, rows: list[OutboxRow]) -> None:
        row_ids = {row.id for row in rows}
        confirmed: set[UUID] = set()
        try:
            confirmed = (await self._publisher.publish(rows)).confirmed
        finally:
            self._settle(row_ids, confirmed)

    async def _publish_frames(self, published: list[_Published]) -> None:
        row_ids = {row_id for each in published for row_id in each.row_ids}
        sent = False
        try:
            sent = await self._publisher.send(
                [frame for each in published for frame in each.frames]
            )
        finally:
            self._settle(row_ids, row_ids if sent else set())

    def _settle(self, row_ids: set[UUID], confirmed: set[UUID]) -> None:
        """Have confirmed rows deleted and leave the others to the sweep."""
        if confirmed and not self._deletes.put(list(confirmed)):
            confirmed = set()
        missing = row_ids - confirmed
        self._in_hand -= missing
        self._left_behind = self._left_behind or bool(missing)

    async def _delete(self, row_ids: list[UUID]) -> None:
        try:
            async with self._engine.begin() as connection:
                await connection.execute(delete_rows(self._table, row_ids))
        except Exception as error:  # noqa: BLE001 - they are published once more; consumers dedupe
            self._left_behind = True
            self._log.failed(error)
        finally:
            self._in_hand.difference_update(row_ids)

    # ---------------------------------------------------------------------------------- the sweep

    async def _sweep_once(self) -> timedelta | None:
        more = await self._sweep.once(settle_seconds=self._settle_seconds, skip=self._in_hand)
        now = asyncio.get_running_loop().time()
        if now >= self._measure_at:
            self._measure_at = now + _MEASURE_SECONDS
            await self._sweep.measure()
        return AT_ONCE if more else None


def _weight(published: _Published) -> int:
    return sum(len(frame.text) + _OVERHEAD_BYTES for frame in published.frames)
