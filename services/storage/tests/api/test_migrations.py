"""The migrations make what the models say, and can be taken back."""

from collections.abc import Sequence

from sharezync_shared.db.database import Database
from sharezync_storage.migrations import MIGRATIONS


async def tables(url: str) -> Sequence[str]:
    database = Database(url, "storage", pool_size=1)
    try:
        rows = await (await database.pool()).fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'storage' ORDER BY 1"
        )
        return [row["tablename"] for row in rows]
    finally:
        await database.aclose()


async def test_up_down_and_up_again_end_where_the_models_are(fresh_database_url: str) -> None:
    await MIGRATIONS.upgrade(fresh_database_url)
    await MIGRATIONS.check(fresh_database_url)
    made = await tables(fresh_database_url)
    assert {"chunks", "deletions", "files", "inbox", "outbox", "uploads", "usage"} <= set(made)
    await MIGRATIONS.downgrade(fresh_database_url)
    assert await tables(fresh_database_url) == ["alembic_version"]
    await MIGRATIONS.upgrade(fresh_database_url)
    await MIGRATIONS.check(fresh_database_url)
    assert await tables(fresh_database_url) == made
