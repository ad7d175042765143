"""What operators can have storage do: `python -m sharezync_storage collect` and `check-files`."""

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
from sharezync_storage.usecases.inventory import faulty_files
from sharezync_storage.usecases.sweeping import Sweeper

_LEFT: Final = 1
_IN_USE: Final = 2

_LOCK_SECONDS: Final = 1.0
"""Less than a server waits for the one before it: whoever has the folder is a server at work."""

_SHOWN: Final = 200
"""Of each kind, by name; the sums are of all."""

_DESCRIPTION = """\
Delete unused data: expired uploads, files without references, and objects that are scheduled for
deletion from the store. The server does this every few seconds; the command is for showing what is
due (--dry-run, which only needs the database and can run at any time), and for collecting while no
server runs. Exit status 1: some objects couldn't be deleted and stay scheduled; 2: a server uses
the folder.
"""

_CHECK_DESCRIPTION = """\
Look for the content of each file in the store, by its size and with --digests by its SHA-256, and
print the keys of those that are missing or differ. For after a restore, when folder or bucket may
be older or younger than the database. Changes nothing; may run beside servers. Exit status 1:
something is missing or damaged.
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
        store = open_store(settings, lock_seconds=_LOCK_SECONDS)
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


def _checking_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = _CHECK_DESCRIPTION
    parser.add_argument(
        "--digests", action="store_true", help="also read every file and compare its SHA-256"
    )


async def _check(settings: StorageSettings, arguments: argparse.Namespace) -> int:
    store = open_store(settings)
    looked_at = wrong = 0
    if settings.s3_bucket_name:
        await store.start()  # a folder would be taken from the server, and can be read without
    try:
        async with _work_for(settings) as work:
            pool = await work.database.pool()
            async for key, fault in faulty_files(pool, store, digests=arguments.digests):
                looked_at += 1
                if fault is not None:
                    wrong += 1
                    sys.stdout.write(f"{key}: {fault}\n")
    finally:
        await store.aclose()
    sys.stdout.write(f"{looked_at} files, {wrong} of them missing or damaged\n")
    return _LEFT if wrong else 0


COLLECT: Final = CliCommand(help="delete unused data", run=_run, arguments=_arguments)
CHECK_FILES: Final = CliCommand(
    help="look whether all files are in the store", run=_check, arguments=_checking_arguments
)
