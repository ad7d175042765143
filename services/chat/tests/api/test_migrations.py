"""The schema, up and down."""

import asyncpg

from sharezync_chat.migrations import MIGRATIONS
from sharezync_shared.text import key_of


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


async def test_names_that_are_older_than_their_keys_can_be_called(fresh_database_url: str) -> None:
    await MIGRATIONS.upgrade(fresh_database_url, revision="0004")
    names = ["Groß", "Νίκος", "Élise", "ada", "İstanbul"]
    connection = await asyncpg.connect(fresh_database_url)
    for name in names:
        await connection.execute(
            "INSERT INTO chat.users (id, username, username_key, display_name, names_at, deleted) "
            "VALUES (gen_random_uuid(), $1, lower(normalize($1, NFKC)), $1, now(), false)",
            name,
        )
    await MIGRATIONS.upgrade(fresh_database_url)
    rows = await connection.fetch("SELECT username, username_key FROM chat.users")
    await connection.close()
    assert dict(rows) == {name: key_of(name) for name in names}
