"""The schema, up and down."""

import asyncpg

from sharezync_chat.migrations import MIGRATIONS


async def test_models_and_migrations_agree(chat_database_url: str) -> None:
    await MIGRATIONS.check(chat_database_url)


async def test_up_down_up(fresh_database_url: str) -> None:
    async def tables() -> set[str]:
        connection = await asyncpg.connect(fresh_database_url)
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'chat'")
        await connection.close()
        return {row["tablename"] for row in rows}

    await MIGRATIONS.upgrade(fresh_database_url)
    made = await tables()
    assert {"channels", "members", "messages", "stream_log", "outbox", "inbox"} < made
    await MIGRATIONS.upgrade(fresh_database_url)
    await MIGRATIONS.downgrade(fresh_database_url)
    assert await tables() == {"alembic_version"}
    await MIGRATIONS.upgrade(fresh_database_url)
    assert await tables() == made
    await MIGRATIONS.check(fresh_database_url)
