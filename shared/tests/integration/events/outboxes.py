"""An outbox in a real database, and a bus that does as it is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from uuid import UUID

from prometheus_client import CollectorRegistry
from sqlalchemy import func, select, text

from sharezync_shared.db.database import Database, metadata_for
from sharezync_shared.events.bus import BusUnavailable, Envelope, Handler, OnFrames, OnGap
from sharezync_shared.events.contracts import Event
from sharezync_shared.events.inbox import inbox_table
from sharezync_shared.events.outbox import OutboxRow, insert_rows, outbox_table
from sharezync_shared.events.relay import Relay
from sharezync_shared.ids import uuid7
from sharezync_shared.streams.frames import Frame
from sharezync_shared.streams.log import StreamPosition

SCHEMA = "post"


class LetterSent(Event, frozen=True, kw_only=True):
    type: ClassVar[str] = "post.letter.sent.v1"
    about: ClassVar[str] = "letter_id"

    letter_id: UUID
    text: str = ""


class ToldBus:
    """A bus that notes what it is given, and refuses what it is told to refuse."""

    def __init__(self) -> None:
        self.published: list[Envelope] = []
        self.frames: list[Frame] = []
        self.refused: set[UUID] = set()
        self.choked_by: set[UUID] = set()
        self.away = False
        self.ready = self.delivering = True
        self.may_lose_frames = False

    async def start(self) -> None:
        pass

    async def aclose(self) -> None:
        pass

    async def publish(self, envelopes: Sequence[Envelope]) -> None:
        if self.away:
            raise BusUnavailable("away")
        if self.choked_by.intersection(envelope.id for envelope in envelopes):
            raise ValueError("choked")
        taken = [envelope for envelope in envelopes if envelope.id not in self.refused]
        self.published += taken
        if len(taken) < len(envelopes):
            raise BusUnavailable("some", confirmed=frozenset(envelope.id for envelope in taken))

    async def send_frames(self, frames: Sequence[Frame]) -> None:
        if self.away:
            raise BusUnavailable("away")
        self.frames += frames

    async def consume(
        self, queue: str, types: Sequence[str], handler: Handler, *, prefetch: int = 50
    ) -> None:
        raise NotImplementedError

    async def receive_frames(self, on_frames: OnFrames, on_gap: OnGap) -> None:
        raise NotImplementedError


@dataclass
class Outbox:
    """One service's outbox, the stream log beside it, and the bus."""

    database: Database
    bus: ToldBus = field(default_factory=ToldBus)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    log: dict[tuple[str, int], Frame] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.metadata = metadata_for(SCHEMA)
        self.table = outbox_table(self.metadata)
        inbox_table(self.metadata)

    async def create(self) -> None:
        async with self.database.engine.begin() as connection:
            await connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
            await connection.run_sync(self.metadata.create_all)

    def relay(
        self,
        *,
        bus: object = None,
        database: Database | None = None,
        settle_seconds: float = 0.3,
        registry: CollectorRegistry | None = None,
    ) -> Relay:
        return Relay(
            (database or self.database).engine,
            self.table,
            bus or self.bus,  # type: ignore[arg-type]  # some bus
            self.load_frames,
            registry=registry or self.registry,
            poll_seconds=0.05,
            settle_seconds=settle_seconds,
            defer_seconds=0.5,
        )

    async def load_frames(self, positions: Sequence[StreamPosition]) -> list[Frame]:
        places = [(position.stream, position.seq) for position in positions]
        return [self.log[place] for place in places if place in self.log]

    async def commit(
        self, count: int = 1, *, frames: Sequence[Frame] = (), age_seconds: float = 0
    ) -> list[OutboxRow]:
        """Commit `count` facts, and a row for `frames`, as if that long ago."""
        at = datetime.now(UTC) - timedelta(seconds=age_seconds)
        rows = [OutboxRow.of_fact(LetterSent(letter_id=uuid7()), at) for _ in range(count)]
        if frames:
            rows.append(OutboxRow.of_frames(frames, at))
            self.log |= {(frame.stream, frame.seq): frame for frame in frames}
        await self.insert(rows)
        return rows

    async def insert(self, rows: Sequence[OutboxRow]) -> None:
        """Commit rows as they are."""
        async with (await self.database.pool()).acquire() as connection, connection.transaction():
            await insert_rows(connection, SCHEMA, rows)

    async def left(self) -> int:
        """Return how many rows are in the table."""
        async with self.database.engine.connect() as connection:
            return int(await connection.scalar(select(func.count()).select_from(self.table)) or 0)

    def told(self) -> list[UUID]:
        """Return the ids of the published facts, in order."""
        return [envelope.id for envelope in self.bus.published]

    def metric(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(name, {"service": SCHEMA, **labels})
        assert value is not None, name
        return value
