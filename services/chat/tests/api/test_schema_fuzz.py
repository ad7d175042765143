import pytest

from services.chat.tests.support.scenes import scenes
from services.chat.tests.support.world import World
from sharezync_chat.migrations import MIGRATIONS
from sharezync_testkit.fuzzing import fuzz
from sharezync_testkit.servers import Databases


@pytest.fixture
def chat_database_url(databases: Databases) -> str:
    """A database of its own: what is made up here must be in no other test's way."""
    return databases.migrated(MIGRATIONS)


@pytest.mark.timeout(240)
async def test_whatever_comes_is_answered_as_the_document_says(world: World) -> None:
    await fuzz(world.app, await scenes(world))
