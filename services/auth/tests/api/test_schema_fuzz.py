import httpx
import pytest

from services.auth.tests.api.conftest import Auth
from services.auth.tests.api.scenes import scenes
from sharezync_auth.migrations import MIGRATIONS
from sharezync_testkit.fuzzing import fuzz
from sharezync_testkit.servers import Databases


@pytest.fixture
def migrated_url(databases: Databases) -> str:
    """A database of its own: what is made up here must be in no other test's way."""
    return databases.migrated(MIGRATIONS)


@pytest.mark.timeout(240)
async def test_whatever_comes_is_answered_as_the_document_says(
    auth: Auth, gateway: httpx.AsyncClient
) -> None:
    await fuzz(auth.app, scenes(auth, gateway))
