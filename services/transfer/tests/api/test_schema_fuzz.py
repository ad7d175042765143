import pytest

from services.transfer.tests.support.scenes import scenes
from services.transfer.tests.support.world import World
from sharezync_testkit.fuzzing import fuzz
from sharezync_testkit.servers import Databases
from sharezync_transfer.migrations import MIGRATIONS


@pytest.fixture
def transfer_database_url(databases: Databases) -> str:
    """A database of its own: what is made up here must be in no other test's way."""
    return databases.migrated(MIGRATIONS)


@pytest.mark.timeout(240)
async def test_whatever_comes_is_answered_as_the_document_says(world: World) -> None:
    await fuzz(world.app, scenes(world))
