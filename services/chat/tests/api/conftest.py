"""The chat service, running over a real database beside stand-ins for auth and storage."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from services.chat.tests.support.world import World
from sharezync_chat.app import create_app
from sharezync_chat.migrations import MIGRATIONS
from sharezync_chat.settings import ChatSettings
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.servers import Databases
from sharezync_testkit.service import platform_for_tests, running


@pytest.fixture(scope="session")
def issuer() -> TokenIssuer:
    """Sign tokens that the service accepts."""
    return TokenIssuer(key=SigningKey.generate())


@pytest.fixture(scope="session")
def chat_database_url(databases: Databases) -> str:
    """One migrated database for all tests of this worker: each makes people of its own."""
    return databases.migrated(MIGRATIONS)


@pytest.fixture
def settings(chat_database_url: str) -> ChatSettings:
    return ChatSettings(_env_file=None, database_url=chat_database_url)


@pytest.fixture
async def world(settings: ChatSettings, issuer: TokenIssuer) -> AsyncIterator[World]:
    """The running service, and people to talk to it."""
    async with _running(settings, issuer) as world:
        yield world


@pytest.fixture
async def second(settings: ChatSettings, issuer: TokenIssuer) -> AsyncIterator[World]:
    """Another replica of the service on the same database."""
    async with _running(settings, issuer) as world:
        yield world


@asynccontextmanager
async def _running(settings: ChatSettings, issuer: TokenIssuer) -> AsyncIterator[World]:
    world = World(issuer)
    platform = platform_for_tests("chat", issuer, peers=world.peers.applications)
    async with running(create_app(settings, platform)) as app:
        await world.enter(app, platform)
        yield world
        await world.leave()
