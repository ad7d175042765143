"""The keys as auth processes see them: made, rotated, looked up, published."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from datetime import timedelta
from functools import partial

import httpx
import msgspec
import pytest
from asyncpg import PostgresConnectionError
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from services.auth.tests.api.conftest import Auth
from services.auth.tests.api.keys import (
    Clock,
    follow,
    forget_keys,
    kept_keyring,
    make_older,
    states,
)
from sharezync_auth.app import create_app
from sharezync_auth.commands import work_for
from sharezync_auth.key_store import KeyStore, PrivateKey, WrongSecretKey
from sharezync_auth.keyring import Keyring
from sharezync_auth.settings import AuthSettings
from sharezync_auth.states import ACTIVE, CUT_OFF, NEXT, RETIRING, KeyRequest, RotationPolicy
from sharezync_shared.problems import Unavailable
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.keys import KeysUnavailable, UnknownKey
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.service import platform_for_tests, running
from sharezync_testkit.waiting import GIVE_UP_SECONDS

PUBLIC_MEMBERS = {"kty", "crv", "x", "y", "kid", "use", "alg"}


@pytest.fixture
async def settings(settings: AuthSettings) -> AsyncGenerator[AuthSettings]:
    await forget_keys(settings)
    yield settings
    await forget_keys(settings)


@pytest.fixture
def policy(settings: AuthSettings) -> RotationPolicy:
    return RotationPolicy.from_settings(settings)


def published(keyring: Keyring) -> list[str]:
    return [key["kid"] for key in msgspec.json.decode(keyring.jwks()[0])["keys"]]


def signs(keyring: Keyring) -> str:
    return keyring.issuer().key.kid


async def become(what: Callable[[], bool]) -> None:
    """Wait until something is true."""
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while not what():  # noqa: ASYNC110 - a background look announces itself to nobody
            await asyncio.sleep(0.01)


class Store(KeyStore):
    """A store whose reading can be held up and made to fail, and is counted."""

    reads = 0
    error: Exception | None = None

    def __init__(self, work: object, secret: str) -> None:
        super().__init__(work, secret)  # type: ignore[arg-type]  # whatever the keyring had
        self.may_read = asyncio.Event()
        self.may_read.set()

    async def read(self) -> list[PrivateKey]:
        self.reads += 1
        await self.may_read.wait()
        if self.error:
            raise self.error
        return await super().read()

    async def load_and_rotate(self, policy: RotationPolicy) -> list[PrivateKey]:
        if self.error:
            raise self.error
        return await super().load_and_rotate(policy)


def watched(keyring: Keyring, settings: AuthSettings) -> Store:
    assert keyring._store is not None
    store = Store(keyring._store._work, settings.require_secret_key())
    keyring._store = store
    return store


# ------------------------------------------------------------------------------ making, rotating


async def test_the_first_start_makes_one_key_to_sign_and_one_to_come(
    settings: AuthSettings,
) -> None:
    async with kept_keyring(settings) as keyring:
        held = states(await follow(settings, KeyRequest.UPKEEP))
        assert sorted(held.values()) == [ACTIVE, NEXT]
        assert held[signs(keyring)] == ACTIVE
        assert set(published(keyring)) == held.keys()


async def test_replicas_that_start_together_agree_on_the_keys(settings: AuthSettings) -> None:
    async def start() -> tuple[str, frozenset[str]]:
        async with kept_keyring(settings) as keyring:
            return signs(keyring), frozenset(published(keyring))

    seen = await asyncio.gather(*(start() for _ in range(5)))
    assert len(set(seen)) == 1
    assert len(seen[0][1]) == 2


async def test_the_schedule_rotates_by_itself(
    settings: AuthSettings, policy: RotationPolicy
) -> None:
    async with kept_keyring(settings) as keyring:
        before = signs(keyring)
        (following,) = set(published(keyring)) - {before}
        await make_older(settings, ACTIVE, policy.rotate)
        await keyring.refresh()
        assert signs(keyring) == before  # the next one is not known to everybody yet

        await make_older(settings, NEXT, policy.publish)
        await keyring.refresh()
        assert signs(keyring) == following
        assert before in published(keyring)
        assert len(published(keyring)) == 3

        await make_older(settings, RETIRING, policy.retire)
        await keyring.refresh()
        assert before not in published(keyring)
        assert len(published(keyring)) == 2


async def test_every_replica_follows_a_rotation_by_itself(settings: AuthSettings) -> None:
    keyring = Keyring(settings, registry=CollectorRegistry())
    keyring.look_seconds = 0.02
    async with work_for(settings) as work, keyring.kept(work):
        before = signs(keyring)
        rotated = states(await follow(settings, KeyRequest.ROTATE_NOW))
        await become(lambda: signs(keyring) != before)
        assert rotated[signs(keyring)] == ACTIVE
        assert rotated[before] == RETIRING


async def test_a_failed_look_is_told_and_made_good(settings: AuthSettings) -> None:
    keyring = Keyring(settings, registry=CollectorRegistry())
    keyring.look_seconds = 0.02
    async with work_for(settings) as work, keyring.kept(work):
        before = signs(keyring)
        store = watched(keyring, settings)
        with capture_logs() as logs:
            store.error = PostgresConnectionError("away")
            await become(lambda: any(log["event"] == "signing_keys_not_read" for log in logs))
        assert signs(keyring) == before  # what is at hand goes on to sign

        await follow(settings, KeyRequest.ROTATE_NOW)
        store.error = None
        await become(lambda: signs(keyring) != before)


async def test_keys_of_another_secret_are_neither_read_nor_changed(settings: AuthSettings) -> None:
    async with kept_keyring(settings) as keyring:
        before = set(published(keyring))
        wrong = settings.model_copy(
            update={
                "secret_key": AuthSettings(
                    secret_key="Qa7Zw2Sx9Ed4Rf1Tg6Yh3Uj8Ik5Ol0PmVbN"
                ).secret_key
            }
        )
        for order in KeyRequest:
            with pytest.raises(WrongSecretKey, match="SECRET_KEY"):
                await follow(wrong, order)
        assert states(await follow(settings, KeyRequest.UPKEEP)).keys() == before


async def test_a_sealed_key_cannot_pass_for_another(settings: AuthSettings) -> None:
    async with kept_keyring(settings), work_for(settings) as work:
        async with (await work.database.pool()).acquire() as connection:
            await connection.execute(
                "UPDATE auth.signing_keys SET sealed_pem ="
                " (SELECT sealed_pem FROM auth.signing_keys WHERE state = 'next')"
            )
        with pytest.raises(WrongSecretKey):
            await follow(settings, KeyRequest.UPKEEP)


# ---------------------------------------------------------------------------------- looking up


async def test_a_key_that_just_came_is_found_at_once(settings: AuthSettings) -> None:
    async with kept_keyring(settings) as keyring:
        held = await follow(settings, KeyRequest.ROTATE_NOW)
        (following,) = [each for each in held if each.key.state == NEXT]
        assert following.key.kid not in published(keyring)
        found = await keyring.key_for(following.key.kid)
        assert found == following.signing.public_key()
        assert following.key.kid in published(keyring)


async def test_invented_keys_cost_one_query_in_five_seconds_and_hold_up_nobody(
    settings: AuthSettings,
) -> None:
    clock = Clock()
    async with kept_keyring(settings, clock) as keyring:
        store = watched(keyring, settings)
        store.may_read.clear()
        invented = [
            asyncio.create_task(keyring.key_for(f"invented {number}")) for number in range(500)
        ]
        await become(lambda: store.reads == 1)
        # While they wait, who shows a known key does not.
        known = keyring.key_for(signs(keyring))
        with pytest.raises(StopIteration):
            known.send(None)

        store.may_read.set()
        outcomes = await asyncio.gather(*invented, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {UnknownKey}
        for seconds, reads in ((4.9, 1), (0.1, 2), (0, 2)):
            clock.seconds += seconds
            with pytest.raises(UnknownKey):
                await keyring.key_for("invented")
            assert store.reads == reads


async def test_while_the_database_is_away_unknown_keys_are_neither_taken_nor_refused(
    settings: AuthSettings,
) -> None:
    clock = Clock()
    async with kept_keyring(settings, clock) as keyring:
        store = watched(keyring, settings)
        store.error = PostgresConnectionError("away")
        for _ in range(2):  # the second does not ask again
            with pytest.raises(KeysUnavailable):
                await keyring.key_for("perhaps new")
        assert store.reads == 1
        assert await keyring.key_for(signs(keyring))

        store.error = None
        clock.seconds += 5
        with pytest.raises(UnknownKey):
            await keyring.key_for("perhaps new")


async def test_who_could_not_look_for_an_hour_signs_no_more(settings: AuthSettings) -> None:
    clock = Clock()
    async with kept_keyring(settings, clock) as keyring:
        clock.seconds += CUT_OFF.total_seconds()
        signs(keyring)
        clock.seconds += 1
        with pytest.raises(Unavailable):
            keyring.issuer()
        await keyring.refresh()
        signs(keyring)


async def test_the_numbers_of_keys_and_the_age_of_the_active_one_are_measured(
    settings: AuthSettings,
) -> None:
    registry = CollectorRegistry()
    keyring = Keyring(settings, registry=registry)
    async with work_for(settings) as work, keyring.kept(work):
        await make_older(settings, ACTIVE, timedelta(days=2))
        await follow(settings, KeyRequest.ROTATE_NOW)
        await make_older(settings, ACTIVE, timedelta(days=3))
        await keyring.refresh()
    count = partial(registry.get_sample_value, "sharezync_signing_keys")
    assert [count({"state": state}) for state in (NEXT, ACTIVE, RETIRING)] == [1, 1, 1]
    age = registry.get_sample_value("sharezync_signing_key_age_seconds")
    assert age == pytest.approx(3 * 86_400, abs=60)


# ---------------------------------------------------------------------------------- publishing


async def test_the_set_is_published_with_public_members_only(
    settings: AuthSettings, auth: Auth
) -> None:
    held = states(await follow(settings, KeyRequest.ROTATE_NOW))
    await auth.app.state.context.keyring.refresh()
    answer = await auth.http.get("/.well-known/jwks.json")

    keys = answer.json()["keys"]
    assert {key["kid"] for key in keys} == held.keys()
    assert sorted(held.values()) == [ACTIVE, NEXT, RETIRING]
    for key in keys:
        assert key.keys() == PUBLIC_MEMBERS
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
    assert answer.headers["content-type"] == "application/jwk-set+json"


async def test_caches_may_keep_the_set_for_a_lifespan_and_ask_whether_it_changed(
    settings: AuthSettings, auth: Auth
) -> None:
    async def ask(etag: str) -> tuple[int, bytes]:
        answer = await auth.http.get("/.well-known/jwks.json", headers={"If-None-Match": etag})
        assert answer.headers["cache-control"] == "public, max-age=300"
        assert answer.headers["etag"]
        return answer.status_code, answer.content

    first = await auth.http.get("/.well-known/jwks.json")
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "public, max-age=300"
    for same in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        assert await ask(same) == (304, b"")
    assert await ask('"other"') == (200, first.content)

    await follow(settings, KeyRequest.ROTATE_NOW)
    await auth.app.state.context.keyring.refresh()
    assert (await ask(etag))[0] == 200


async def test_the_set_may_be_kept_as_long_as_this_installation_says(
    settings: AuthSettings,
) -> None:
    changed = settings.model_copy(update={"jwks_lifespan_seconds": 7.5})
    issuer = TokenIssuer(key=SigningKey.generate())
    async with (
        running(create_app(changed, platform_for_tests("auth", issuer))) as app,
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://auth") as http,
    ):
        answer = await http.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=7"
