"""The migrations make the tables that the models describe, and take them away again."""

from sharezync_transfer.migrations import MIGRATIONS


async def test_up_down_and_up_again_leaves_what_the_models_say(fresh_database_url: str) -> None:
    await MIGRATIONS.upgrade(fresh_database_url)
    await MIGRATIONS.check(fresh_database_url)
    await MIGRATIONS.downgrade(fresh_database_url)
    await MIGRATIONS.upgrade(fresh_database_url)
    await MIGRATIONS.check(fresh_database_url)
