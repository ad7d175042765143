import asyncio

import pytest

from services.chat.tests.support.scenes import scenes
from services.chat.tests.support.world import World
from sharezync_chat.migrations import MIGRATIONS
from sharezync_testkit.fuzzing import fuzz


@pytest.fixture
def chat_database_url(fresh_database_url: str) -> str:
    """A database of its own: what is made up here must be in no other test's way."""
    asyncio.run(MIGRATIONS.upgrade(fresh_database_url))
    return fresh_database_url


@pytest.mark.timeout(240)
async def test_whatever_comes_is_answered_as_the_document_says(world: World) -> None:
    await fuzz(world.app, await scenes(world))
