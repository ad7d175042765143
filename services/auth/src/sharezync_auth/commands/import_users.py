"""`import-users`: the accounts of another installation, with their bcrypt hashes."""

import argparse
import io
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from sharezync_auth.commands import work_for
from sharezync_auth.commands.user_rows import BadRow, UserRow, read
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import importing
from sharezync_auth.usecases.importing import ImportedUser, ImportOutcome
from sharezync_shared.cli import CliCommand
from sharezync_shared.work import UnitsOfWork

_SOME_BAD: Final = 1
_NO_FILE: Final = 2

_BATCH: Final = 500

_DESCRIPTION = """\
Make accounts from CSV rows username,email,bcrypt_hash (UTF-8; a heading with these words may come
first). Who logs in gets an argon2id hash in place of the old one. Bad rows are named on stderr,
`line 7: …`, and left out; all others come in, a few hundred at a time. It may be run again: who
is there already, with this name and this address, is left as they are. Exit status 1: there were
bad rows; 2: the file can't be read.
"""


def _arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = _DESCRIPTION
    parser.add_argument("file", metavar="FILE", help="CSV file, or - for stdin")
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")


async def _run(settings: AuthSettings, arguments: argparse.Namespace) -> int:
    counts: Counter[ImportOutcome | None] = Counter()  # None: the row itself is bad
    try:
        with _opened(arguments.file) as stream:
            async with work_for(settings) as work:
                rows = read(stream)
                while batch := list(islice(rows, _BATCH)):
                    counts.update(await _take(work, batch, dry_run=arguments.dry_run))
    except OSError as error:
        sys.stderr.write(f"{arguments.file}: {error.strerror or error}\n")
        return _NO_FILE
    there = counts[ImportOutcome.ALREADY_THERE]
    bad = counts.total() - counts[ImportOutcome.ADDED] - there
    would_be = "would be " if arguments.dry_run else ""
    sys.stdout.write(
        f"{counts[ImportOutcome.ADDED]} {would_be}added, {there} already there, {bad} bad\n"
    )
    return _SOME_BAD if bad else 0


async def _take(
    work: UnitsOfWork, batch: list[UserRow | BadRow], *, dry_run: bool
) -> list[ImportOutcome | None]:
    """Have the good rows of a batch come in, report the others, and return what became of all."""
    newcomers = {row.line: _newcomer(row) for row in batch if isinstance(row, UserRow)}
    added = await importing.add(work, list(newcomers.values()), dry_run=dry_run)
    outcomes = dict(zip(newcomers, added, strict=True))
    for row in batch:
        outcome = outcomes.get(row.line)
        if isinstance(row, BadRow):
            sys.stderr.write(f"line {row.line}: {row.reason}\n")
        elif outcome is ImportOutcome.ALREADY_THERE:
            sys.stdout.write(f"line {row.line}: {outcome.value}\n")
        elif outcome is not None and outcome is not ImportOutcome.ADDED:
            sys.stderr.write(f"line {row.line}: {outcome.value}\n")
    return [outcomes.get(row.line) for row in batch]


def _newcomer(row: UserRow) -> ImportedUser:
    return ImportedUser(
        row.username, row.username_key, row.skeleton, row.email, row.email_key, row.bcrypt_hash
    )


@contextmanager
def _opened(path: str) -> Iterator[TextIO]:
    if path == "-":
        stream = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="surrogateescape")
        yield stream
        stream.detach()  # closing stdin is not our business
        return
    with Path(path).open(encoding="utf-8", errors="surrogateescape") as file:
        yield file


IMPORT_USERS: Final = CliCommand(
    help="create accounts from rows of username,email,bcrypt_hash", run=_run, arguments=_arguments
)
