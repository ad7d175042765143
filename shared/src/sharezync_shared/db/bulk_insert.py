"""Many rows in one statement: a column of each as an array, whose types the table knows."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, TypeVar

from sqlalchemy import ARRAY, Table
from sqlalchemy.dialects import postgresql

Row = TypeVar("Row", bound=tuple[Any, ...])

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]  # as SQLAlchemy has it


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
