import httpx
import pytest

from services.auth.tests.api.conftest import Auth
from services.auth.tests.api.scenes import scenes
from sharezync_shared.testing.fuzzing import fuzz


@pytest.mark.timeout(240)
async def test_whatever_comes_is_answered_as_the_document_says(
    auth: Auth, gateway: httpx.AsyncClient
) -> None:
    await fuzz(auth.app, scenes(auth, gateway))
