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
from sharezync_auth.commands.user_rows import read
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
    counts: Counter[ImportOutcome] = Counter()
    lines = 0
    try:
        with _opened(arguments.file) as stream:
            async with work_for(settings) as work:
                rows = read(stream)
                while batch := dict(islice(rows, _BATCH)):
                    lines += len(batch)
                    counts.update(await _take(work, batch, dry_run=arguments.dry_run))
    except OSError as error:
        sys.stderr.write(f"{arguments.file}: {error.strerror or error}\n")
        return _NO_FILE
    there = counts[ImportOutcome.ALREADY_THERE]
    bad = lines - counts[ImportOutcome.ADDED] - there
    would_be = "would be " if arguments.dry_run else ""
    sys.stdout.write(
        f"{counts[ImportOutcome.ADDED]} {would_be}added, {there} already there, {bad} bad\n"
    )
    return _SOME_BAD if bad else 0


async def _take(
    work: UnitsOfWork, batch: dict[int, ImportedUser | str], *, dry_run: bool
) -> list[ImportOutcome]:
    """Have the good rows of a batch come in, report the others; return what became of the good."""
    users = {line: user for line, user in batch.items() if isinstance(user, ImportedUser)}
    added = await importing.add(work, list(users.values()), dry_run=dry_run)
    outcomes = dict(zip(users, added, strict=True))
    for line, row in batch.items():
        if isinstance(row, str):
            sys.stderr.write(f"line {line}: {row}\n")
        elif outcomes[line] is not ImportOutcome.ADDED:
            there = outcomes[line] is ImportOutcome.ALREADY_THERE
            (sys.stdout if there else sys.stderr).write(f"line {line}: {outcomes[line].value}\n")
    return added


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
