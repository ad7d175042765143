import pytest

from services.chat.tests.support.scenes import scenes
from services.chat.tests.support.world import World
from sharezync_chat.migrations import MIGRATIONS
from sharezync_testkit.servers import Databases
from sharezync_testkit.token_refusals import assert_bad_tokens_are_refused


@pytest.fixture
def chat_database_url(databases: Databases) -> str:
    """A database of its own: nothing else may change in it meanwhile."""
    return databases.migrated(MIGRATIONS)


@pytest.mark.timeout(240)
async def test_no_route_takes_a_bad_token(world: World) -> None:
    await assert_bad_tokens_are_refused(world.app, world.issuer, await scenes(world))
