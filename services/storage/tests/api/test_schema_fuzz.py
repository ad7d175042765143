import pytest

from services.storage.tests.scenes import scenes
from services.storage.tests.support import World
from sharezync_storage.migrations import MIGRATIONS
from sharezync_testkit.fuzzing import fuzz
from sharezync_testkit.servers import Databases

# A chunk must have the length of its place, and bring its digest; a part, and its signature.
UNGUESSABLE = [
    "PUT /internal/uploads/{upload_id}/chunks/{index}",
    "PUT /v1/files/presigned/{presigned_id}/parts/{number}",
]


@pytest.fixture
def storage_database_url(databases: Databases) -> str:
    """A database of its own: what is made up here must be in no other test's way."""
    return databases.migrated(MIGRATIONS)


@pytest.mark.timeout(240)
async def test_whatever_comes_is_answered_as_the_document_says(world: World) -> None:
    await fuzz(world.app, scenes(world), always_refused=UNGUESSABLE)
