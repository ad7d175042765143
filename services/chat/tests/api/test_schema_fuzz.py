import pytest

from services.chat.tests.support.scenes import scenes
from services.chat.tests.support.world import World
from sharezync_shared.testing.fuzzing import fuzz


@pytest.mark.timeout(240)
async def test_whatever_comes_is_answered_as_the_document_says(world: World) -> None:
    await fuzz(world.app, await scenes(world))
