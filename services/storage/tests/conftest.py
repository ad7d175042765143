"""The storage service, running on a folder over a real database."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import httpx
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.storage.tests.holding import Clock
from services.storage.tests.support import DATA, Json, Person, World
from sharezync_shared.contracts.auth import UserNames, UserNamesList
from sharezync_shared.events.contracts import FileDeleted, FileStored
from sharezync_shared.events.local import LocalBus
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_storage.app import create_app
from sharezync_storage.migrations import MIGRATIONS
from sharezync_storage.settings import StorageSettings
from sharezync_testkit.servers import Databases
from sharezync_testkit.service import platform_for_tests, running


@pytest.fixture(scope="session")
def issuer() -> TokenIssuer:
    """Sign tokens that the service accepts."""
    return TokenIssuer(key=SigningKey.generate())


@pytest.fixture(scope="session")
def storage_database_url(databases: Databases) -> str:
    """One migrated database for all tests of this worker: each makes people of its own."""
    return databases.migrated(MIGRATIONS)


@pytest.fixture
def settings(storage_database_url: str, tmp_path: Path) -> StorageSettings:
    return StorageSettings(
        _env_file=None,
        database_url=storage_database_url,
        data_dir=tmp_path,
        secret_key="a secret of these tests, long enough",
        quota_bytes=100_000_000,
        max_file_bytes=80_000_000,
    )


@pytest.fixture
def bus() -> LocalBus:
    return LocalBus()


@pytest.fixture
async def world(
    settings: StorageSettings, issuer: TokenIssuer, bus: LocalBus, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    """The running service, people and services to talk to it, and all that it says.

    It sweeps when it is woken, and not by the clock: what expires is for each test to say.
    """
    monkeypatch.setattr("sharezync_storage.usecases.sweeping._POLL_SECONDS", 3600)
    avatars: dict[UUID, UUID] = {}

    async def names(request: Request) -> Response:
        ids = [UUID(each) for each in request.query_params["ids"].split(",")]
        users = [UserNames(each, "x", "x", avatar_file_id=avatars.get(each)) for each in ids]
        return Response(msgspec.json.encode(UserNamesList(users)))

    profiles = Starlette(routes=[Route("/internal/users", names)])
    platform = platform_for_tests("storage", issuer, bus=bus, peers={"auth": profiles})
    app = create_app(settings, platform)
    world = await World.enter(app, issuer, settings.data_dir / "files", avatars)

    async def hear(fact: object) -> None:
        world.facts.append(fact)  # type: ignore[arg-type]  # what a bus hands out is an Envelope

    await bus.consume("test.events", [FileDeleted.type, FileStored.type], hear)
    async with running(app):
        yield world
        await world.leave()


@pytest.fixture
def clock(world: World, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the service, to be moved."""
    clock = Clock(world.app.state.work)
    monkeypatch.setattr(world.app.state.work, "now", clock.now)
    return clock


@pytest.fixture
async def alice(world: World) -> Person:
    """Somebody new."""
    return await world.person()


@pytest.fixture
async def anybody(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
async def upload(world: World, alice: Person) -> Json:
    """An upload of DATA in five chunks, none of which has come."""
    return await world.begin(alice, len(DATA))
