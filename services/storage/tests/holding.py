"""What tests of holds share: a clock that can be moved, and ears."""

from datetime import datetime, timedelta
from uuid import UUID

from services.storage.tests.support import Json, World
from sharezync_shared.events.contracts import Event
from sharezync_shared.work import UnitsOfWork
from sharezync_storage.consumers import CONSUMERS


class Clock:
    """The clock of a service, which tests move on. It never goes back."""

    def __init__(self, work: UnitsOfWork) -> None:
        self._now = work.now
        self._ahead = timedelta()

    def now(self) -> datetime:
        return self._now() + self._ahead

    def pass_by(self, time: timedelta) -> None:
        """Let so much time pass."""
        self._ahead += time


async def hear(world: World, *events: Event) -> None:
    """Have storage hear of these, one after the other, each in a unit of its own."""
    for event in events:
        async with world.app.state.work.begin() as unit:
            await CONSUMERS[type(event)](unit, event)


async def holders_of(world: World, file: Json) -> set[UUID]:
    """Return what holds a file."""
    pool = await world.app.state.core.database.pool()
    rows = await pool.fetch(
        "SELECT holder_id FROM storage.holds WHERE file_id = $1", UUID(file["id"])
    )
    return {row["holder_id"] for row in rows}
