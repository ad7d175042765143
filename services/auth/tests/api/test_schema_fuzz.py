import asyncio

import httpx
import pytest

from services.auth.tests.api.conftest import Auth
from services.auth.tests.api.scenes import scenes
from sharezync_auth.migrations import MIGRATIONS
from sharezync_testkit.fuzzing import fuzz


@pytest.fixture
def migrated_url(fresh_database_url: str) -> str:
    """A database of its own: what is made up here must be in no other test's way."""
    asyncio.run(MIGRATIONS.upgrade(fresh_database_url))
    return fresh_database_url


@pytest.mark.timeout(240)
async def test_whatever_comes_is_answered_as_the_document_says(
    auth: Auth, gateway: httpx.AsyncClient
) -> None:
    await fuzz(auth.app, scenes(auth, gateway))
