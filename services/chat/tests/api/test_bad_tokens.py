import asyncio

import pytest

from services.chat.tests.support.scenes import scenes
from services.chat.tests.support.world import World
from sharezync_chat.migrations import MIGRATIONS
from sharezync_testkit.token_refusals import assert_bad_tokens_are_refused


@pytest.fixture
def chat_database_url(fresh_database_url: str) -> str:
    """A database of its own: nothing else may change in it meanwhile."""
    asyncio.run(MIGRATIONS.upgrade(fresh_database_url))
    return fresh_database_url


@pytest.mark.timeout(240)
async def test_no_route_takes_a_bad_token(world: World) -> None:
    await assert_bad_tokens_are_refused(world.app, world.issuer, await scenes(world))
