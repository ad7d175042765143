"""What operators can have storage do: `python -m sharezync_storage collect [--dry-run]`."""

import argparse
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from sharezync_shared.cli import CliCommand
from sharezync_shared.db.database import Database
from sharezync_shared.streams.log import StreamLog
from sharezync_shared.work import UnitsOfWork
from sharezync_storage.models import SCHEMA
from sharezync_storage.settings import StorageSettings
from sharezync_storage.stores import open_store
from sharezync_storage.stores.disk import FolderInUse
from sharezync_storage.usecases import collecting
from sharezync_storage.usecases.collecting import Due
from sharezync_storage.usecases.sweeping import Sweeper

_LEFT: Final = 1
_IN_USE: Final = 2

_SHOWN: Final = 200
"""Of each kind, by name; the sums are of all."""

_DESCRIPTION = """\
Delete unused data: expired uploads, files without references, and objects that are scheduled for
deletion from the store. The server does this every few seconds; the command is for showing what is
due (--dry-run, which only needs the database and can run at any time), and for collecting while no
server runs. Exit status 1: some objects couldn't be deleted and stay scheduled; 2: a server uses
the folder.
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.add_argument(
        "--dry-run", action="store_true", help="only print what would be deleted, how much, and why"
    )


async def _run(settings: StorageSettings, arguments: argparse.Namespace) -> int:
    async with _work_for(settings) as work:
        due = await collecting.due(work)
        _show(due)
        if arguments.dry_run:
            return 0
        store = open_store(settings)
        try:
            await store.start()
        except FolderInUse:
            sys.stderr.write("A server uses the folder, and collects by itself.\n")
            return _IN_USE
        try:
            left = await collecting.collect(work, Sweeper(work, store))
        finally:
            await store.aclose()
    sys.stdout.write(f"Collected; {left} objects could not be deleted.\n")
    return _LEFT if left else 0


def _show(due: Sequence[Due]) -> None:
    shown: Counter[str] = Counter()
    for each in due:
        shown[each.kind] += 1
        if shown[each.kind] <= _SHOWN:
            sys.stdout.write(f"{each.kind} {each.name}: {each.size_bytes} bytes; {each.why}\n")
    for kind, count in shown.items():
        size = sum(each.size_bytes for each in due if each.kind == kind)
        sys.stdout.write(f"{count} {kind}s, {size} bytes\n")
    if not due:
        sys.stdout.write("Nothing to delete.\n")


@asynccontextmanager
async def _work_for(settings: StorageSettings) -> AsyncGenerator[UnitsOfWork]:
    database = Database(
        settings.require_database_url(), SCHEMA, role=settings.database_role, pool_size=2
    )
    streams = StreamLog(SCHEMA)
    try:
        await streams.open(await database.pool())
        yield UnitsOfWork(database, streams, relay=None)
    finally:
        await database.aclose()


COLLECT: Final = CliCommand(help="delete unused data", run=_run, arguments=_arguments)
