from sharezync_auth.migrations import MIGRATIONS


async def test_models_and_migrations_agree_up_down_and_up_again(fresh_database_url: str) -> None:
    await MIGRATIONS.upgrade(fresh_database_url)
    await MIGRATIONS.check(fresh_database_url)
    await MIGRATIONS.downgrade(fresh_database_url)
    await MIGRATIONS.upgrade(fresh_database_url)
    await MIGRATIONS.check(fresh_database_url)
