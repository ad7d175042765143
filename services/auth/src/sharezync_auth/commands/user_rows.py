"""Rows `username,email,bcrypt_hash` of another installation. Each line is a row of its own: a quote
that nobody closed spoils one line and not the rest of the file. Pure.
"""

import csv
from collections.abc import Iterator
from typing import Final, TextIO

from pydantic import TypeAdapter, ValidationError

from sharezync_auth.api.users import Email, Username
from sharezync_auth.passwords import MAX_BCRYPT_COST, bcrypt_cost
from sharezync_auth.usecases.importing import ImportedUser

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
