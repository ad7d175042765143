"""auth alone, over HTTP, on a real PostgreSQL; its keys are its own."""

import secrets
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI

from services.auth.tests.api.nodes import Node
from services.auth.tests.api.peers import StandIns
from sharezync_auth.app import create_app
from sharezync_auth.migrations import MIGRATIONS
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases.events import EVENTS
from sharezync_shared.events import contracts as facts
from sharezync_shared.events.bus import Envelope
from sharezync_shared.events.contracts import Event
from sharezync_shared.events.local import LocalBus
from sharezync_shared.streams.declared import Realtime
from sharezync_shared.streams.frames import Frame
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.frames import DeclaredEvents
from sharezync_testkit.sent_frames import keep_in
from sharezync_testkit.servers import Databases
from sharezync_testkit.service import platform_for_tests, running
from sharezync_testkit.waiting import GIVE_UP_SECONDS

PASSWORD = "correct horse battery staple"
DECLARED = DeclaredEvents(Realtime(EVENTS).document())
"""What every event of these tests is held against."""
FACTS = (
    facts.UserRegistered,
    facts.UserUpdated,
    facts.UserDeleted,
    facts.SessionRevoked,
    facts.DeviceRegistered,
    facts.UserBlocked,
    facts.UserUnblocked,
)


@dataclass
class Auth:
    """The service, running, and what went out of it."""

    app: FastAPI
    http: httpx.AsyncClient
    settings: AuthSettings
    peers: StandIns = field(default_factory=StandIns)
    bus: LocalBus = field(default_factory=LocalBus)
    frames: list[Frame] = field(default_factory=list)
    facts: list[Envelope] = field(default_factory=list)

    async def told(self) -> None:
        """Wait until everything committed so far went out."""
        assert await self.app.state.core.relay.flush(GIVE_UP_SECONDS)

    async def publish(self, event: Event) -> None:
        """Say a fact as another service would; returns when auth has reacted."""
        await self.bus.publish([event.envelope()])

    def let_pass(self, span: timedelta) -> None:
        """Move the service's clock. Tokens live by another one, and go on holding."""
        work = self.app.state.work
        before = work.now
        work.now = lambda: before() + span

    async def rows(self, statement: str, *args: object) -> list[Any]:
        """Return what a statement finds in the service's database."""
        async with (await self.app.state.core.database.pool()).acquire() as connection:
            found: list[Any] = await connection.fetch(statement, *args)
            return found


@dataclass
class Account:
    """Somebody with an account, logged in."""

    id: str
    username: str
    http: httpx.AsyncClient
    tokens: dict[str, str]

    async def log_in(self, **more: str) -> dict[str, str]:
        form = {"grant_type": "password", "username": self.username, "password": PASSWORD}
        answer = await self.http.post("/token", data={**form, **more})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def refresh(self, token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token}
        return await self.http.post("/token", data=form)

    async def delete(self, password: str = PASSWORD) -> httpx.Response:
        """Delete the account."""
        return await self.http.request("DELETE", "/v1/users/me", json={"password": password})

    async def move(self, email: str, **more: str) -> httpx.Response:
        """Change the e-mail address."""
        body = {"email": email, "current_password": PASSWORD, **more}
        return await self.http.patch("/v1/users/me", json=body)


@pytest.fixture(scope="session")
def migrated_url(databases: Databases) -> str:
    """One migrated database for all tests of this worker: each makes people of its own."""
    return databases.migrated(MIGRATIONS)


@pytest.fixture
def memory_of_a_hash_kib() -> int:
    """Next to nothing: hundreds of people log in here. Where the cost matters, it is the real one.

    The product's own is held by `tests/unit/test_passwords.py`.
    """
    return 8


@pytest.fixture
def settings(
    migrated_url: str, memory_of_a_hash_kib: int, monkeypatch: pytest.MonkeyPatch
) -> AuthSettings:
    monkeypatch.setattr("sharezync_auth.passwords._MEMORY_KIB", memory_of_a_hash_kib)
    return AuthSettings(
        secret_key="wX3vP9qLkT7mZr5nB1cY8dF6gH2jS4aEoUi",
        database_url=migrated_url,
        password_threads=1,
        # All tests come from one address, those that are wrong on purpose among them.
        login_free_failures_per_address=1_000_000,
    )


@pytest.fixture
async def auth(settings: AuthSettings) -> AsyncGenerator[Auth]:
    bus = LocalBus()
    peers = StandIns()
    issuer = TokenIssuer(key=SigningKey.generate())
    platform = platform_for_tests("auth", issuer, peers=peers.applications, bus=bus)
    app = create_app(settings, platform)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://auth"
    ) as http:
        auth = Auth(app, http, settings, peers, bus)

        async def on_gap() -> None:
            pass

        async def take(envelope: Envelope) -> None:
            auth.facts.append(envelope)

        await bus.receive_frames(keep_in(auth.frames), on_gap)
        await bus.consume("tests.events", [fact.type for fact in FACTS], take)
        async with running(app):
            # All tests come from one address, and some left failures in a future of theirs.
            await auth.rows("DELETE FROM auth.throttles")
            # Commands of earlier tests left what they did for a server to tell.
            await auth.told()
            auth.facts.clear()
            auth.frames.clear()
            yield auth
        for frame in auth.frames:
            if frame.text:
                DECLARED.check(msgspec.json.decode(frame.text))


async def register(auth: Auth, name: str = "ada") -> Account:
    username = f"{name}_{secrets.token_hex(4)}"
    answer = await auth.http.post(
        "/v1/auth/register",
        json={
            "username": username,
            "email": f"{username}@example.com",
            "password": PASSWORD,
            "display_name": name.title(),
        },
    )
    assert answer.status_code == 201, answer.text
    http = httpx.AsyncClient(transport=httpx.ASGITransport(auth.app), base_url="http://auth")
    account = Account(answer.json()["id"], username, http, {})
    account.tokens = await account.log_in()
    http.headers["Authorization"] = f"Bearer {account.tokens['access_token']}"
    return account


@pytest.fixture
async def ada(auth: Auth) -> AsyncGenerator[Account]:
    account = await register(auth, "ada")
    yield account
    await account.http.aclose()


@pytest.fixture
async def bob(auth: Auth) -> AsyncGenerator[Account]:
    account = await register(auth, "bob")
    yield account
    await account.http.aclose()


@pytest.fixture
async def gateway(auth: Auth) -> AsyncGenerator[httpx.AsyncClient]:
    """Another service, with its credential."""
    secret = auth.settings.secret_of_service("gateway")
    form = {
        "grant_type": "client_credentials",
        "client_id": "gateway",
        "client_secret": secret or "",
    }
    token = (await auth.http.post("/token", data=form)).json()["access_token"]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(auth.app),
        base_url="http://auth",
        headers={"Authorization": f"Bearer {token}"},
    ) as client:
        yield client


@pytest.fixture
def node(gateway: httpx.AsyncClient) -> Node:
    return Node(gateway)


@pytest.fixture
def other(gateway: httpx.AsyncClient) -> Node:
    """A second one."""
    return Node(gateway)
