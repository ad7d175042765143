import httpx
import pytest

from services.auth.tests.api.conftest import Account, Auth
from services.auth.tests.api.scenes import scenes
from sharezync_auth.migrations import MIGRATIONS
from sharezync_testkit.servers import Databases
from sharezync_testkit.token_refusals import assert_bad_tokens_are_refused

# Who has no token yet, and who wants to verify one.
PUBLIC = [
    "POST /token",
    "POST /v1/auth/token",
    "POST /v1/auth/register",
    "GET /.well-known/jwks.json",
]


@pytest.fixture
def migrated_url(databases: Databases) -> str:
    """A database of its own: nothing else may change in it meanwhile."""
    return databases.migrated(MIGRATIONS)


@pytest.mark.timeout(240)
async def test_no_route_takes_a_bad_token(auth: Auth, gateway: httpx.AsyncClient) -> None:
    issuer = auth.app.state.context.keyring.issuer()
    await assert_bad_tokens_are_refused(auth.app, issuer, scenes(auth, gateway), public=PUBLIC)


async def test_access_and_refresh_tokens_are_not_taken_for_each_other(ada: Account) -> None:
    bearer = {"Authorization": f"Bearer {ada.tokens['refresh_token']}"}
    assert (await ada.http.get("/v1/users/me", headers=bearer)).status_code == 401
    refused = await ada.refresh(ada.tokens["access_token"])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert (await ada.refresh(ada.tokens["refresh_token"])).status_code == 200
