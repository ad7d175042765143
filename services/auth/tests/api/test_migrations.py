import asyncpg

from sharezync_auth.migrations import MIGRATIONS


async def test_models_and_migrations_agree_up_down_and_up_again(fresh_database_url: str) -> None:
    await MIGRATIONS.upgrade(fresh_database_url)
    await MIGRATIONS.check(fresh_database_url)
    await MIGRATIONS.downgrade(fresh_database_url)
    await MIGRATIONS.upgrade(fresh_database_url)
    await MIGRATIONS.check(fresh_database_url)


async def test_what_deceived_before_there_were_policies_is_cleaned(fresh_database_url: str) -> None:
    await MIGRATIONS.upgrade(fresh_database_url, revision="0004")
    connection = await asyncpg.connect(fresh_database_url)
    user_id = await connection.fetchval(
        "INSERT INTO auth.users (id, username, username_key, email, email_key, password_hash, "
        "display_name, bio, created_at, updated_at) VALUES (gen_random_uuid(), 'eve', 'eve', "
        "'e@x', 'e@x', '-', $1, $2, now(), now()) RETURNING id",
        "\u202eadA\n(admin)",
        "  Engines\r\nand \u202emore\x1b[2J ",
    )
    await connection.execute(
        "INSERT INTO auth.devices (id, user_id, client_id, name, platform, created_at, "
        "last_seen_at) VALUES (gen_random_uuid(), $1, 'phone', $2, $3, now(), now())",
        user_id,
        "\u3164",
        "lin\u200bux",
    )
    await MIGRATIONS.upgrade(fresh_database_url)
    assert await connection.fetchval("SELECT display_name FROM auth.users") == "adA (admin)"
    assert await connection.fetchval("SELECT bio FROM auth.users") == "  Engines\nand more[2J "
    device = await connection.fetchrow("SELECT name, platform FROM auth.devices")
    await connection.close()
    assert tuple(device or ()) == ("phone", "linux")
