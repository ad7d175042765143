"""What a newer schema takes from a release that was written for an older one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

UsedColumns = dict[str, dict[str, list[str]]]
"""Of each schema the tables that a release uses, and their columns."""

_COLUMNS: Final = """
    SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type,
           a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AS required, a.attnotnull
      FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY($1) AND c.relkind IN ('r', 'p', 'v') AND a.attnum > 0
       AND NOT a.attisdropped AND c.relname <> 'alembic_version'
"""
# A partition says again what its table says.
_CONSTRAINTS: Final = """
    SELECT n.nspname, c.relname, con.contype::text, pg_get_constraintdef(con.oid) AS definition
      FROM pg_constraint AS con JOIN pg_class AS c ON c.oid = con.conrelid
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY($1) AND con.contype IN ('c', 'f', 'u', 'p', 'x')
       AND NOT c.relispartition AND c.relname <> 'alembic_version'
"""
# ON CONFLICT names columns, for which there must be a unique index.
_UNIQUE: Final = """
    SELECT n.nspname, c.relname, pg_get_expr(i.indpred, i.indrelid) AS predicate,
           ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, false)
                   FROM generate_series(1, i.indnkeyatts) AS k ORDER BY 1) AS keys
      FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY($1) AND i.indisunique AND i.indisvalid
       AND NOT c.relispartition AND c.relname <> 'alembic_version'
"""

TableName = tuple[str, str]


@dataclass(frozen=True)
class SchemaCatalog:
    """What PostgreSQL says of the tables of some schemas."""

    columns: dict[TableName, dict[str, Any]]
    constraints: set[tuple[TableName, str]]
    unique: set[tuple[TableName, tuple[str, ...], str]]

    @classmethod
    async def read(cls, url: str, *schemas: str) -> "SchemaCatalog":
        connection = await asyncpg.connect(url)
        try:
            columns: dict[TableName, dict[str, Any]] = {}
            for row in await connection.fetch(_COLUMNS, schemas):
                columns.setdefault((row[0], row[1]), {})[row["attname"]] = row
            constraints = {
                ((row[0], row[1]), row["definition"].removesuffix(" NOT VALID"))
                for row in await connection.fetch(_CONSTRAINTS, schemas)
                if row["contype"] in {"c", "f", "x"}
            }
            unique = {
                ((row[0], row[1]), tuple(row["keys"]), row["predicate"] or "")
                for row in await connection.fetch(_UNIQUE, schemas)
            }
        finally:
            await connection.close()
        return cls(columns, constraints, unique)


def what_breaks(older: SchemaCatalog, newer: SchemaCatalog, used: UsedColumns) -> list[str]:
    """Return in sentences what the release that uses `used` of `older` can't do on `newer`."""
    told: set[str] = set()
    for table, columns in _tables_of(used):
        if table in newer.columns:
            before, now = older.columns[table], newer.columns[table]
            told.update(f"{'.'.join(table)}{each}" for each in _of_columns(before, now, columns))
            told.update(f"{'.'.join(table)} {each}" for each in _of_rules(older, newer, table))
        else:
            told.add(f"{'.'.join(table)} is gone")
    return sorted(told)


def _tables_of(used: UsedColumns) -> Iterator[tuple[TableName, list[str]]]:
    for schema, tables in used.items():
        for name, columns in tables.items():
            yield (schema, name), columns


def _of_columns(before: dict[str, Any], now: dict[str, Any], used: list[str]) -> Iterator[str]:
    for column in used:
        if column not in now:
            yield f".{column} is gone"
        elif now[column]["type"] != before[column]["type"]:
            yield f".{column} is now {now[column]['type']}"
        elif now[column]["attnotnull"] and not before[column]["attnotnull"]:
            yield f".{column} must not be null any more"
        elif now[column]["required"] and not before[column]["required"]:
            yield f".{column} has no default any more"
    for column in now.keys() - set(used):
        if now[column]["required"]:
            yield f".{column} must be given, which nobody did before"


def _of_rules(older: SchemaCatalog, newer: SchemaCatalog, table: TableName) -> Iterator[str]:
    for each, definition in newer.constraints - older.constraints:
        if each == table:
            yield f"refuses what it took before: {definition}"
    for each, keys, predicate in newer.unique ^ older.unique:
        if each == table:
            which = ", ".join(keys) + (f" WHERE {predicate}" if predicate else "")
            is_new = (each, keys, predicate) in newer.unique
            yield f"is now unique by {which}" if is_new else f"is not unique by {which} any more"
