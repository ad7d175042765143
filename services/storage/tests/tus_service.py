"""The service behind a real server, for a whole module of tests that know it from outside only.

Bodies that break can only be said on a wire. A module that uses this gives a fixture
`service_settings` of its own scope, and marks its tests with `OF_THIS_MODULE`.
"""

from collections.abc import AsyncIterator
from typing import Final

import pytest
import pytest_asyncio

from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_storage.app import create_app
from sharezync_storage.settings import StorageSettings
from sharezync_testkit.service import platform_for_tests
from sharezync_testkit.serving import Served, serving
from sharezync_testkit.tus.client import Tus

OF_THIS_MODULE: Final = pytest.mark.asyncio(loop_scope="module")
"""All tests of a module share one event loop, and one service in it."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(service_settings: StorageSettings, issuer: TokenIssuer) -> AsyncIterator[Served]:
    """The service, on a port."""
    app = create_app(service_settings, platform_for_tests("storage", issuer))
    async with serving(app) as it:
        yield it


@pytest_asyncio.fixture(loop_scope="module")
async def tus(served: Served, issuer: TokenIssuer) -> AsyncIterator[Tus]:
    """Somebody new who uploads."""
    async with Tus.at(served.http, token_of_somebody(issuer)) as client:
        yield client


@pytest.fixture
def newcomer(tus: Tus) -> Tus:
    """Somebody who has nothing yet: here everybody is new."""
    return tus


@pytest_asyncio.fixture(loop_scope="module")
async def stranger(served: Served, issuer: TokenIssuer) -> AsyncIterator[Tus]:
    """Somebody else who does."""
    async with Tus.at(served.http, token_of_somebody(issuer)) as client:
        yield client


def token_of_somebody(issuer: TokenIssuer) -> str:
    """Return an access token of somebody new."""
    return issuer.access_token(user_id=UserId(uuid7()), session_id=SessionId(uuid7())).token
