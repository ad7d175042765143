"""Two auth processes, verifiers behind caches, hours of rotations: not one request is refused.

Time is the test's own, so that hours pass in seconds and no machine is too slow for a promise.
"""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import httpx
import pytest
from fastapi import FastAPI

from services.auth.tests.api.conftest import PASSWORD
from services.auth.tests.api.keys import forget_keys
from sharezync_auth.app import create_app
from sharezync_auth.settings import AuthSettings
from sharezync_auth.states import KeyRequest, RotationPolicy, TooYoung
from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.problems import Unauthenticated
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.jwks import JwksKeys
from sharezync_shared.tokens.signing import SigningKey
from sharezync_shared.tokens.verifier import Revocations, TokenVerifier
from sharezync_testkit.service import platform_for_tests, running

LIFESPAN_SECONDS: Final = 300
LIFETIME_SECONDS: Final = 600 + 10  # with the leeway
STEP_SECONDS: Final = 30
LOOK_EVERY_STEPS: Final = 2  # twice as late as they do look: as if every other look failed
USER, SESSION = UserId(uuid7()), SessionId(uuid7())


class Time:
    """The time of everybody here."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)


class Cache(httpx.AsyncBaseTransport):
    """A cache on the way, which asks one auth process or the other."""

    def __init__(self, time: Time, apps: list[FastAPI]) -> None:
        self._time = time
        self.apps = apps
        self._kept: tuple[float, bytes] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/.well-known/jwks.json"
        return httpx.Response(200, stream=_Body(await self.fill()))

    async def fill(self) -> bytes:
        """Return what is kept, which is asked for anew when its `max-age` is over."""
        if self._kept is None or self._time.seconds >= self._kept[0]:
            self.apps.append(self.apps.pop(0))
            transport = httpx.ASGITransport(self.apps[0])
            async with httpx.AsyncClient(transport=transport, base_url="http://auth") as client:
                answer = await client.get("/.well-known/jwks.json")
            max_age = int(answer.headers["cache-control"].rpartition("=")[2])
            self._kept = (self._time.seconds + max_age, answer.content)
        return self._kept[1]


class _Body(httpx.AsyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        yield self._content


@dataclass
class World:
    """Who signs, who verifies, and what happened to the tokens."""

    time: Time
    apps: list[FastAPI]
    verifiers: list[TokenVerifier]
    caches: list[Cache]
    doors: list[httpx.AsyncClient]
    session: dict[str, Any]
    random: Random = field(default_factory=lambda: Random(7))
    tokens: list[tuple[float, str]] = field(default_factory=list)
    kids: list[str] = field(default_factory=list)
    asked: int = 0
    refused: list[str] = field(default_factory=list)

    def cut_off(self) -> None:
        """The second auth process finds the database no more; requests go past it."""
        for cache in self.caches:
            cache.apps = self.apps[:1]

    def heal(self) -> None:
        for cache in self.caches:
            cache.apps = self.apps.copy()

    def sign(self) -> None:
        for app in self.apps:
            issuer = app.state.context.keyring.issuer()
            token = issuer.access_token(user_id=USER, session_id=SESSION).token
            self.tokens.append((self.time.seconds, token))
            if issuer.key.kid not in self.kids:
                self.kids.append(issuer.key.kid)
        limit = self.time.seconds - LIFETIME_SECONDS
        self.tokens = [(at, token) for at, token in self.tokens if at > limit]

    async def verify(self) -> None:
        """Show everybody the oldest tokens, the youngest, and some others."""
        some = self.random.sample(self.tokens, 2)
        for number, verifier in enumerate(self.verifiers):
            await self.caches[number].fill()  # others ask there too: it is never young by chance
            if self.time.seconds <= number * LIFESPAN_SECONDS * 0.45:
                continue  # so that one looks when its cache is new, and one when it is old
            for at, token in [*self.tokens[:2], *self.tokens[-2:], *some]:
                self.asked += 1
                try:
                    await verifier.verify(token)
                except Unauthenticated as error:
                    self.refused.append(f"{self.time.seconds} {at} verifier {number}: {error}")

    async def knock(self, doors: list[httpx.AsyncClient]) -> None:
        """A client refreshes somewhere, and shows its token everywhere."""
        form = {"grant_type": "refresh_token", "refresh_token": self.session["refresh_token"]}
        answer = await self.random.choice(doors).post("/token", data=form)
        assert answer.status_code == 200, answer.text
        self.session = answer.json()
        bearer = {"Authorization": f"Bearer {self.session['access_token']}"}
        for door in doors:
            self.asked += 1
            answer = await door.get("/v1/users/me", headers=bearer)
            if answer.status_code != 200:
                self.refused.append(f"{self.time.seconds} {door.base_url}: {answer.text}")

    async def rotate(self) -> None:
        """An operator tries to."""
        keyring = self.apps[0].state.context.keyring
        try:
            await keyring._store.follow(KeyRequest.ROTATE, keyring.policy)
        except TooYoung:
            return
        await keyring.refresh()


@asynccontextmanager
async def world(settings: AuthSettings, policy: RotationPolicy) -> AsyncGenerator[World]:
    time = Time()
    async with AsyncExitStack() as stack:

        async def start() -> FastAPI:
            issuer = TokenIssuer(key=SigningKey.generate())
            app = create_app(settings, platform_for_tests("auth", issuer))
            app.state.work.now = time.now
            app.state.verifier._remember_seconds = 0  # every request is a verification
            app.state.context.keyring._monotonic = time.monotonic
            app.state.context.keyring.policy = policy
            return await stack.enter_async_context(running(app))

        async def client(transport: httpx.AsyncBaseTransport, name: str) -> httpx.AsyncClient:
            opened = httpx.AsyncClient(transport=transport, base_url=f"http://{name}")
            return await stack.enter_async_context(opened)

        apps = [await start(), await start()]
        caches = [Cache(time, apps.copy()) for _ in range(3)]
        verifiers = []
        for cache in caches:
            # Unknown keys make nobody look before time: publishing in time must be enough.
            keys = JwksKeys(
                await client(cache, "auth"),
                lifespan_seconds=LIFESPAN_SECONDS,
                cooldown_seconds=LIFESPAN_SECONDS,
                monotonic=time.monotonic,
            )
            verifiers.append(
                TokenVerifier(
                    keys,
                    issuer="sharezync",
                    audience="sharezync",
                    revocations=Revocations(access_lifetime_seconds=600),
                    remember_seconds=0,
                )
            )
        doors = [await client(httpx.ASGITransport(app), f"auth{n}") for n, app in enumerate(apps)]
        session = await _log_in(doors[0])
        yield World(time, apps, verifiers, caches, doors, session)


async def _log_in(door: httpx.AsyncClient) -> dict[str, Any]:
    name = f"rota_{uuid7().hex[-8:]}"
    person = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
    assert (await door.post("/v1/auth/register", json=person)).status_code == 201
    form = {"grant_type": "password", "username": name, "password": PASSWORD}
    return dict((await door.post("/token", data=form)).json())


@pytest.fixture
async def settings(settings: AuthSettings) -> AsyncGenerator[AuthSettings]:
    await forget_keys(settings)
    yield settings.model_copy(update={"jwks_lifespan_seconds": float(LIFESPAN_SECONDS)})
    await forget_keys(settings)


async def live(world: World, hours: float) -> None:
    """Let time pass: all sign and verify, the schedule and an impatient operator rotate.

    From a quarter to almost three quarters of the time, for less than an hour, the second auth
    process is cut off, and goes on to sign with what it saw.
    """
    steps = int(hours * 3600 / STEP_SECONDS)
    for step in range(steps):
        world.time.seconds += STEP_SECONDS
        alone = 0.25 <= step / steps < 0.7
        if alone:
            world.cut_off()
        else:
            world.heal()
        if step % LOOK_EVERY_STEPS == 0:
            await world.apps[0].state.context.keyring.refresh()
        elif not alone:
            await world.apps[1].state.context.keyring.refresh()
        await world.rotate()
        world.sign()
        await world.verify()
        if step % 5 == 0:
            await world.knock(world.doors[:1] if alone else world.doors)


async def test_keys_rotate_again_and_again_and_nobody_is_refused(settings: AuthSettings) -> None:
    policy = replace(RotationPolicy.from_settings(settings), rotate=timedelta(minutes=12))
    async with world(settings, policy) as here:
        await live(here, hours=1.5)
        assert here.refused == []
        assert len(here.kids) >= 6
        # The first keys have run out of all their terms by now.
        gone = [
            kid
            for kid in here.kids
            if kid.encode() not in here.apps[0].state.context.keyring.jwks()[0]
        ]
        assert here.kids[0] in gone
        assert here.asked > 2000


@pytest.mark.parametrize("broken", ["publish", "retire"])
async def test_shorter_terms_would_have_somebody_refused(
    settings: AuthSettings, broken: str
) -> None:
    policy = replace(RotationPolicy.from_settings(settings), rotate=timedelta(minutes=12))
    async with world(settings, replace(policy, **{broken: timedelta(minutes=8)})) as here:
        await live(here, hours=1)
        assert here.refused
