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
    assert {row["username"]: row["username_key"] for row in rows} == {
        name: key_of(name) for name in names
    }


async def test_what_deceived_before_there_were_policies_is_cleaned(fresh_database_url: str) -> None:
    await MIGRATIONS.upgrade(fresh_database_url, revision="0004")
    connection = await asyncpg.connect(fresh_database_url)
    people = ["Bob\n12:00 Ada (admin)", "\u202e\u3164", "Zoë  Müller", "Ada Lovelace"]
    for name in people:
        await connection.execute(
            "INSERT INTO chat.users (id, username, username_key, display_name, names_at, deleted) "
            "VALUES (gen_random_uuid(), 'eve', 'eve', $1, now(), false)",
            name,
        )
    for channel, topic in [
        ("\u200b", "\u202ea\nb"),
        ("क" * 80, ""),
        ("\u0958" * 80, "x"),
        (None, ""),
    ]:
        await connection.execute(
            "INSERT INTO chat.channels (id, kind, name, description, topic, archived, created_at, "
            "updated_at, member_count, message_count) VALUES "
            "(gen_random_uuid(), 'private', $1, '', $2, false, now(), now(), 0, 0)",
            channel,
            topic,
        )
    await MIGRATIONS.upgrade(fresh_database_url)
    shown = await connection.fetch("SELECT display_name FROM chat.users")
    channels = await connection.fetch("SELECT name, topic FROM chat.channels")
    await connection.close()
    assert {row["display_name"] for row in shown} == {
        "Bob 12:00 Ada (admin)", "eve", "Zoë Müller", "Ada Lovelace",
    }  # fmt: skip
    assert {tuple(row) for row in channels} == {
        ("channel", "a b"), ("क" * 80, ""), ("क\u093c" * 40, "x"), (None, ""),
    }  # fmt: skip
