from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from shared.tests.integration.notes import ROLE, migrations, outbox
from sharezync_shared.db.database import Database
from sharezync_shared.events.local import LocalBus
from sharezync_shared.events.relay import Relay
from sharezync_shared.streams.frames import Frame
from sharezync_shared.streams.log import StreamLog, StreamPosition
from sharezync_shared.work import UnitsOfWork
from sharezync_testkit.server_fixtures import folder

__all__ = ["folder", "notes"]


@dataclass
class Notes:
    """The small service, and every frame that went out of it."""

    database: Database
    streams: StreamLog
    bus: LocalBus
    relay: Relay
    work: UnitsOfWork
    frames: list[Frame] = field(default_factory=list)


@pytest.fixture
async def notes(fresh_database_url: str) -> AsyncGenerator[Notes]:
    await migrations().upgrade(fresh_database_url, role=ROLE)
    streams = StreamLog("notes")
    database = Database(
        fresh_database_url, "notes", role=ROLE, pool_size=5, on_connect=streams.epochs.check
    )
    bus = LocalBus()

    async def load_frames(positions: Sequence[StreamPosition]) -> list[Frame]:
        async with (await database.pool()).acquire() as connection:
            return await streams.load(connection, positions)

    relay = Relay(
        database.engine,
        outbox,
        bus,
        load_frames,
        registry=CollectorRegistry(),
    )
    notes = Notes(database, streams, bus, relay, UnitsOfWork(database, streams, relay))

    async def on_gap() -> None:
        pass

    await bus.receive_frames(notes.frames.extend, on_gap)
    await bus.start()
    await streams.open(await database.pool())
    await relay.start()
    yield notes
    await relay.aclose()
    await bus.aclose()
    await database.aclose()
