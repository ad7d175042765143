"""Many rows in one statement, and one statement made of parts that several modules give.

Each part is a named `WITH` query with arguments of its own, so that the module of a table keeps its
SQL. All parts of a statement see one moment of the database, none sees what another writes, and all
are carried out or none.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, Generic, NamedTuple, TypeVar

from sqlalchemy import ARRAY, Table
from sqlalchemy.dialects import postgresql

Row = TypeVar("Row", bound=tuple[Any, ...])

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # as SQLAlchemy has it

_PLACEHOLDER: Final = re.compile(r"\$(\d+)")


class _Column(NamedTuple):
    parameter: str
    """Type of the array."""
    selected: str
    convert: Callable[[Any], object] | None


class BulkInsert(Generic[Row]):
    """Inserts rows of a NamedTuple whose fields are columns of `table`.

    With `only_if` they are inserted where the part of that name has a row; see `Compound`.
    """

    def __init__(self, table: Table, row: type[Row], *, only_if: str = "") -> None:
        names: tuple[str, ...] = row._fields  # type: ignore[attr-defined]  # of a NamedTuple
        self._columns = [_column(table, name) for name in names]
        selected = ", ".join(column.selected for column in self._columns)
        arrays = ", ".join(
            f"${place}::{column.parameter}[]" for place, column in enumerate(self._columns, 1)
        )
        self.statement = (
            f"INSERT INTO {table.fullname} ({', '.join(names)}) SELECT {selected} "  # noqa: S608 - names of ours
            f"FROM unnest({arrays}) AS r({', '.join(names)})" + (only_if and f", {only_if}")
        )

    def arguments(self, rows: Sequence[Row]) -> list[list[object]]:
        """Return what goes with `statement`: a list for each column, also of no rows."""
        columns = zip(*rows, strict=True) if rows else [()] * len(self._columns)
        return [
            list(map(column.convert, values)) if column.convert else list(values)
            for column, values in zip(self._columns, columns, strict=True)
        ]


def _column(table: Table, name: str) -> _Column:
    kind = table.c[name].type
    text = kind.compile(dialect=_DIALECT)
    if isinstance(kind, ARRAY):
        # An array of arrays would be flattened by `unnest`: each goes as its literal.
        return _Column("text", f"r.{name}::{text}", _array_literal)
    return _Column(text, f"r.{name}", None)


def _array_literal(values: Sequence[object]) -> str:
    """Return an array of ids or numbers as PostgreSQL reads it."""
    return f"{{{','.join(map(str, values))}}}"


class Compound:
    """`WITH <parts> <ending>`, put together part by part."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self.arguments: list[Any] = []
        """What goes with `text`, in its order."""

    def add(self, part: str, *arguments: object) -> None:
        """Add `name AS (...)`, in which `$1` is the first of these arguments.

        Parts before this one may be read by their names.
        """
        self._parts.append(_renumbered(part, len(self.arguments)))
        self.arguments += arguments

    def text(self, ending: str) -> str:
        """Return the whole statement. The same parts give the same text, which is prepared once."""
        return f"WITH {', '.join(self._parts)} {ending}"


@lru_cache(maxsize=256)
def _renumbered(part: str, by: int) -> str:
    return _PLACEHOLDER.sub(lambda found: f"${int(found[1]) + by}", part)
