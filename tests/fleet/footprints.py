"""Everything that a product keeps, searched for what it should have forgotten."""

from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

SCHEMAS = ("auth", "chat", "transfer", "storage")


class Footprints:
    """A database with the schemas of all services, and the folder with the bytes of files."""

    def __init__(self, connection: asyncpg.Connection, folder: Path) -> None:
        self._connection = connection
        self._folder = folder

    @classmethod
    @asynccontextmanager
    async def of(cls, database_url: str, folder: Path) -> "AsyncGenerator[Footprints]":
        connection = await asyncpg.connect(database_url)
        try:
            yield cls(connection, folder)
        finally:
            await connection.close()

    async def rows_with(self, *words: str) -> dict[str, set[str]]:
        """Return which tables hold each of these words, in whatever column, case and type.

        A row as text shows all of its columns, JSON and arrays as they are written, and bytes in
        hexadecimal.
        """
        found: dict[str, set[str]] = {word: set() for word in words}
        tables = await self._connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
            "WHERE schemaname = ANY($1)",
            SCHEMAS,
        )
        for table in tables:
            for word in words:
                row = await self._connection.fetchval(
                    f"SELECT t::text FROM {table['name']} AS t "
                    "WHERE position($1 IN lower(t::text)) > 0 "
                    "OR position($2 IN t::text) > 0 LIMIT 1",
                    word.lower(),
                    word.encode().hex(),
                )
                if row is not None:
                    found[word].add(table["name"])
        return found

    async def throttled(self, address: str) -> list[str]:
        """Return under which keys failed logins from this address are counted."""
        rows = await self._connection.fetch(
            "SELECT key FROM auth.throttles WHERE position($1 IN key) > 0 ORDER BY key", address
        )
        return [row["key"] for row in rows]

    async def waiting(self) -> int:
        """Return how many facts and frames are still to be told by any service."""
        counts = [
            await self._connection.fetchval(f"SELECT count(*) FROM {schema}.outbox")
            for schema in SCHEMAS
        ]
        return sum(counts)

    def files_with(self, contents: Collection[bytes]) -> list[Path]:
        """Return the files under the folder that hold any of these bytes."""
        files = (path for path in self._folder.rglob("*") if path.is_file())
        return [path for path in files if any(each in _read(path) for each in contents)]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:  # deleted while we looked
        return b""
