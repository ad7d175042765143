import pytest

from services.storage.tests.scenes import scenes
from services.storage.tests.support import World
from sharezync_storage.migrations import MIGRATIONS
from sharezync_testkit.forger import ABSENT
from sharezync_testkit.servers import Databases
from sharezync_testkit.token_refusals import assert_bad_tokens_are_refused

# Who holds the URL is let in: it is signed, or can't be guessed.
PUBLIC = [
    "PUT /v1/files/presigned/{presigned_id}/parts/{number}",
    "GET /v1/links/{token}",
    "HEAD /v1/links/{token}",
    "POST /v1/links/{token}/content",
    # What of tus is spoken here, anybody may ask (tus 1.0.0).
    "OPTIONS /v1/uploads",
    "OPTIONS /v1/uploads/{upload_id}",
]


@pytest.fixture
def storage_database_url(databases: Databases) -> str:
    """A database of its own: nothing else may change in it meanwhile."""
    return databases.migrated(MIGRATIONS)


@pytest.mark.timeout(240)
async def test_no_route_takes_a_bad_token(world: World) -> None:
    # A signed link is another way in, with tests of its own.
    by_token = scenes(world, expires=ABSENT, signature=ABSENT)
    await assert_bad_tokens_are_refused(world.app, world.issuer, by_token, public=PUBLIC)
