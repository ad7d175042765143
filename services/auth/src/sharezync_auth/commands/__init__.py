"""What operators can have auth do. A command needs the database only: what it commits for other
services waits in the outbox until a server runs.
"""

import sys
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec

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


def stop(reason: str, status: int) -> int:
    sys.stderr.write(reason + "\n")
    return status


def print_rows(rows: Sequence[Mapping[str, str]], *, as_json: bool) -> None:
    """Print rows that have the same fields in the same order: a heading and a line each."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(rows).decode() + "\n")
        return
    if not rows:
        sys.stdout.write("(none)\n")
        return
    lines = [list(rows[0]), *(list(row.values()) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        padded = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        sys.stdout.write("  ".join(padded).rstrip() + "\n")
