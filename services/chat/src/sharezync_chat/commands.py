"""What operators can have done beside serving."""

import argparse
import sys
import time
from typing import Final

from sharezync_chat.models import SCHEMA
from sharezync_chat.settings import ChatSettings
from sharezync_chat.usecases.indexing import Indexer
from sharezync_shared.cli import CliCommand
from sharezync_shared.db.database import Database


async def _reindex(settings: ChatSettings, arguments: argparse.Namespace) -> int:
    database = Database(settings.require_database_url(), SCHEMA, role=settings.database_role)
    try:
        indexer = Indexer(database)
        if not arguments.missing_only:
            await indexer.reindex_all()
        began, shown = time.monotonic(), 0.0
        async for done, whole in indexer.catching_up():
            if time.monotonic() - shown > 1 or done == whole:
                shown = time.monotonic()
                sys.stderr.write(f"{done} of {whole} channels, {shown - began:.0f} s\n")
    finally:
        await database.aclose()
    return 0


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--missing-only", action="store_true", help="only index messages that aren't indexed yet"
    )


COMMANDS: Final = {
    "reindex-search": CliCommand(
        help="rebuild the search index; can run while the service is running",
        run=_reindex,
        arguments=_arguments,
    )
}
