"""The transfer service, running over a real database beside stand-ins for auth and storage."""

from collections.abc import AsyncIterator

import pytest

from services.transfer.tests.support.world import World
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.servers import Databases
from sharezync_testkit.service import platform_for_tests, running
from sharezync_transfer.app import create_app
from sharezync_transfer.migrations import MIGRATIONS
from sharezync_transfer.settings import TransferSettings


@pytest.fixture(scope="session")
def issuer() -> TokenIssuer:
    """Sign tokens that the service accepts."""
    return TokenIssuer(key=SigningKey.generate())


@pytest.fixture(scope="session")
def transfer_database_url(databases: Databases) -> str:
    """One migrated database for all tests of this worker: each makes people of its own."""
    return databases.migrated(MIGRATIONS)


@pytest.fixture
def settings(transfer_database_url: str) -> TransferSettings:
    # Time is moved by hand: a sweep that comes by chance would hide that one is missing.
    return TransferSettings(
        _env_file=None,
        secret_key="a secret of these tests, and of nobody else",
        database_url=transfer_database_url,
        transfer_sweep_seconds=3600,
    )


@pytest.fixture
async def world(settings: TransferSettings, issuer: TokenIssuer) -> AsyncIterator[World]:
    """The running service, and people to talk to it."""
    world = World(issuer)
    platform = platform_for_tests("transfer", issuer, peers=world.peers.applications)
    async with running(create_app(settings, platform)) as app:
        await world.enter(app, platform)
        yield world
        await world.leave()
