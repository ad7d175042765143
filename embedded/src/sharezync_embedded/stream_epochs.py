"""The epochs of all streams of an installation whose PostgreSQL comes and goes with it.

The server is started anew each time, so that a service can't tell by that whether its data were put
back from elsewhere (`sharezync_shared/streams/epochs.py`). Here the files tell it: one that initdb
made and nobody writes again has another inode, or was changed at another time, in a folder that was
copied.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncpg

from sharezync_embedded.compose import MIGRATIONS
from sharezync_shared.streams.epochs import StreamEpoch

_RECORD: Final = "postgres.place"


async def renew_if_copied(data_dir: Path, database_url: str) -> None:
    """Renew all epochs where the database's files are not those of the last time.

    To be called before services serve; a crash in between repeats it.
    """
    record = data_dir / _RECORD
    if not record.exists() or record.read_text() != _place_of(data_dir):
        await renew_all(database_url)
        note_place(data_dir)


def note_place(data_dir: Path) -> None:
    """Note which files the database has: its epochs hold for these."""
    (data_dir / _RECORD).write_text(_place_of(data_dir))


async def renew_all(database_url: str) -> None:
    """Choose another epoch for every service. No service may be connected."""
    async with _epochs(database_url) as (connection, epochs), connection.transaction():
        for epoch in epochs:
            await epoch.renew(connection)


async def rest_all(database_url: str) -> None:
    """Note that services and server stop in good order: the next start goes on in these epochs."""
    async with _epochs(database_url) as (connection, epochs):
        for epoch in epochs:
            await epoch.rest(connection)


@asynccontextmanager
async def _epochs(
    database_url: str,
) -> AsyncGenerator[tuple[asyncpg.Connection, list[StreamEpoch]]]:
    connection = await asyncpg.connect(database_url)
    try:
        yield connection, [StreamEpoch(each.schema) for each in MIGRATIONS]
    finally:
        await connection.close()


def _place_of(data_dir: Path) -> str:
    found = (data_dir / "postgres" / "PG_VERSION").stat()
    return f"{found.st_ino} {found.st_ctime_ns}\n"
