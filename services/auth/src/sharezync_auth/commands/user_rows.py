"""Rows `username,email,bcrypt_hash` of another installation: read line by line, and judged. Pure.

Each line is a row of its own: none of the three may hold a line break, so that a quote which
nobody closed spoils one line and not the rest of the file.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TextIO

from pydantic import TypeAdapter, ValidationError

from sharezync_auth.api.users import Email, Username
from sharezync_auth.names import email_key
from sharezync_auth.passwords import MAX_BCRYPT_COST, bcrypt_cost
from sharezync_shared.names.lookalikes import skeleton_of
from sharezync_shared.text import key_of

COLUMNS: Final = ("username", "email", "bcrypt_hash")

_MAX_LINE: Final = 2000
_BYTE_ORDER_MARK: Final = "\ufeff"

_USERNAME: Final[TypeAdapter[str]] = TypeAdapter(Username)
_EMAIL: Final[TypeAdapter[str]] = TypeAdapter(Email)


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user who can come in, by all that a row tells."""

    line: int
    username: str
    email: str
    bcrypt_hash: str

    @property
    def username_key(self) -> str:
        """What the name is compared by."""
        return key_of(self.username)

    @property
    def skeleton(self) -> str:
        """What it has in common with names that look the same."""
        return skeleton_of(self.username)

    @property
    def email_key(self) -> str:
        """What the address is compared by."""
        return email_key(self.email)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that nobody can come in by, and why."""

    line: int
    reason: str


def read(stream: TextIO) -> Iterator[UserRow | BadRow]:
    """Yield what the lines of `stream` say, in order; empty ones and a heading say nothing.

    Never more than a line is held, beside the names met so far. What is not UTF-8 is to come as
    surrogates (`errors="surrogateescape"`).
    """
    names: dict[str, int] = {}
    looks: dict[str, int] = {}
    emails: dict[str, int] = {}
    for number, line in _lines(stream):
        try:
            row = _row(number, line)
            _refuse_doubles(row, names, looks, emails)
        except ValueError as error:
            yield BadRow(number, str(error))
            continue
        names[row.username_key] = looks[row.skeleton] = emails[row.email_key] = number
        yield row


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


def _row(number: int, line: str) -> UserRow:
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
    return UserRow(
        number,
        _valid(_USERNAME, username, "username"),
        _valid(_EMAIL, email, "email"),
        _known_hash(bcrypt_hash),
    )


def _valid(adapter: TypeAdapter[str], text: str, name: str) -> str:
    try:
        return adapter.validate_python(text)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ValueError(f"{name}: {reason}") from error


def _known_hash(text: str) -> str:
    cost = bcrypt_cost(text)
    if cost is None:
        raise ValueError(
            "bcrypt_hash: not a bcrypt hash ($2a$, $2b$ or $2y$, cost 04 to 31, 60 characters)"
        )
    if cost > MAX_BCRYPT_COST:
        raise ValueError(
            f"bcrypt_hash: a cost of {cost} is refused: checking it takes so long that a few wrong "
            f"passwords would keep all others waiting (at most {MAX_BCRYPT_COST})"
        )
    return text


def _refuse_doubles(
    row: UserRow, names: dict[str, int], looks: dict[str, int], emails: dict[str, int]
) -> None:
    if line := names.get(row.username_key):
        raise ValueError(f"username: stands in line {line} already")
    if line := looks.get(row.skeleton):
        raise ValueError(f"username: looks like the one in line {line}")
    if line := emails.get(row.email_key):
        raise ValueError(f"email: stands in line {line} already")
