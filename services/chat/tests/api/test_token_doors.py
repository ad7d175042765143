import pytest

from services.chat.tests.support.scenes import scenes
from services.chat.tests.support.world import World
from sharezync_shared.testing.doors import walk_doors


@pytest.mark.timeout(240)
async def test_no_bad_token_opens_any_door(world: World) -> None:
    await walk_doors(world.app, world.issuer, await scenes(world))
