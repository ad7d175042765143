"""`import-users`: the accounts of another installation, with their bcrypt hashes.

Each line is a row of its own: a quote that nobody closed spoils one line and not the rest.
"""

import argparse
import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final, TextIO

from pydantic import TypeAdapter, ValidationError

from sharezync_auth.api.users import Email, Username
from sharezync_auth.commands import work_for
from sharezync_auth.passwords import MAX_BCRYPT_COST, bcrypt_cost
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import importing
from sharezync_auth.usecases.importing import ImportedUser, ImportOutcome
from sharezync_shared.cli import CliCommand
from sharezync_shared.work import UnitsOfWork

_SOME_BAD: Final = 1
_NO_FILE: Final = 2

_BATCH: Final = 500

COLUMNS: Final = ("username", "email", "bcrypt_hash")

_MAX_LINE: Final = 2000
_BYTE_ORDER_MARK: Final = "\ufeff"

_USERNAME: Final[TypeAdapter[str]] = TypeAdapter(Username)
_EMAIL: Final[TypeAdapter[str]] = TypeAdapter(Email)

_UNIQUE: Final = {
    "username_key": "username: stands in line {} already",
    "skeleton": "username: looks like the one in line {}",
    "email_key": "email: stands in line {} already",
}
"""What two rows must not share, and why the later one is refused."""

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


def read(stream: TextIO) -> Iterator[tuple[int, ImportedUser | str]]:
    """Yield the lines of `stream` by number: a user, or why nobody can come in by that row.

    Empty lines and a heading are left out. Never more than a line is held, beside the names met so
    far. What is not UTF-8 is to come as surrogates (`errors="surrogateescape"`).
    """
    seen: dict[tuple[str, str], int] = {}
    for number, line in _lines(stream):
        try:
            user = _user(line)
            keys = [(name, getattr(user, name)) for name in _UNIQUE]
            for key in keys:
                if key in seen:
                    raise ValueError(_UNIQUE[key[0]].format(seen[key]))
        except ValueError as error:
            yield number, str(error)
            continue
        seen |= dict.fromkeys(keys, number)
        yield number, user


def _lines(stream: TextIO) -> Iterator[tuple[int, str]]:
    number, heading_may_come = 0, True
    while line := stream.readline(_MAX_LINE):
        number += 1
        part = line
        while len(part) == _MAX_LINE and not part.endswith("\n"):
            part = stream.readline(_MAX_LINE)  # the rest of what is too long anyway
        if number == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line.strip():
            continue
        if not (heading_may_come and _is_heading(line)):
            yield number, line
        heading_may_come = False


def _is_heading(line: str) -> bool:
    return [cell.strip().strip('"').lower() for cell in line.split(",")] == list(COLUMNS)


def _user(line: str) -> ImportedUser:
    if len(line) >= _MAX_LINE:
        raise ValueError(f"is longer than {_MAX_LINE} characters")
    try:
        line.encode()
    except UnicodeEncodeError as error:
        raise ValueError("is not UTF-8") from error
    try:
        (cells,) = csv.reader([line.rstrip("\n")], strict=True, skipinitialspace=True)
    except csv.Error as error:
        raise ValueError(f"is not CSV: {error}") from error
    if len(cells) != len(COLUMNS):
        count = f"{len(cells)} column{'s' if len(cells) != 1 else ''}"
        raise ValueError(f"has {count}, not the three {','.join(COLUMNS)}")
    username, email, bcrypt_hash = (cell.strip() for cell in cells)
    user = ImportedUser(
        _valid(_USERNAME, username, "username"), _valid(_EMAIL, email, "email"), bcrypt_hash
    )
    cost = bcrypt_cost(bcrypt_hash)
    if cost is None:
        raise ValueError(
            "bcrypt_hash: not a bcrypt hash ($2a$, $2b$ or $2y$, cost 04 to 31, 60 characters)"
        )
    if cost > MAX_BCRYPT_COST:
        raise ValueError(
            f"bcrypt_hash: a cost of {cost} is refused: checking it takes so long that a few wrong "
            f"passwords would keep all others waiting (at most {MAX_BCRYPT_COST})"
        )
    return user


def _valid(adapter: TypeAdapter[str], text: str, name: str) -> str:
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"{name}: {reason}") from error


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
