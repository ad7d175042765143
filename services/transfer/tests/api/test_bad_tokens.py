import pytest

from services.transfer.tests.support.scenes import scenes
from services.transfer.tests.support.world import World
from sharezync_testkit.servers import Databases
from sharezync_testkit.token_refusals import assert_bad_tokens_are_refused
from sharezync_transfer.migrations import MIGRATIONS


@pytest.fixture
def transfer_database_url(databases: Databases) -> str:
    """A database of its own: nothing else may change in it meanwhile."""
    return databases.migrated(MIGRATIONS)


@pytest.mark.timeout(240)
async def test_no_route_takes_a_bad_token(world: World) -> None:
    await assert_bad_tokens_are_refused(world.app, world.issuer, scenes(world))
