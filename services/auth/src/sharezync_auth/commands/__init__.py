"""What operators can have auth do, a file each: `python -m sharezync_auth COMMAND`.

A command needs the database only. What it commits for others to hear waits in the outbox, and a
server tells it within seconds, or as soon as one runs.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from sharezync_auth.settings import AuthSettings
from sharezync_shared.db.database import Database
from sharezync_shared.streams.log import StreamLog
from sharezync_shared.work import UnitsOfWork


@asynccontextmanager
async def work_for(settings: AuthSettings) -> AsyncGenerator[UnitsOfWork]:
    """Return a unit of work for a command, on a connection or two that close with the block."""
    database = Database(
        settings.require_database_url(), "auth", role=settings.database_role, pool_size=2
    )
    streams = StreamLog("auth")
    try:
        await streams.open(await database.pool())
        yield UnitsOfWork(database, streams, relay=None)
    finally:
        await database.aclose()
