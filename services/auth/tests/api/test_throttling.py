"""Wrong passwords make the next try wait; nobody is shut out by what others did elsewhere."""

import asyncio
import secrets
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from services.auth.tests.api.conftest import PASSWORD, Account, Auth
from sharezync_auth.app import create_app
from sharezync_auth.settings import AuthSettings
from sharezync_auth.usecases import throttling
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.service import platform_for_tests, running

FREE, FREE_PER_ADDRESS = 3, 6
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture
def settings(settings: AuthSettings) -> AuthSettings:
    return settings.model_copy(
        update={
            "login_free_failures": FREE,
            "login_free_failures_per_address": FREE_PER_ADDRESS,
            "login_max_wait_seconds": 60.0,
        }
    )


class Clock:
    """The service's clock, which stands still."""

    def __init__(self, auth: Auth) -> None:
        self.now = auth.app.state.work.now()
        auth.app.state.work.now = lambda: self.now


@pytest.fixture
def clock(auth: Auth) -> Clock:
    return Clock(auth)


@pytest.fixture
def place() -> str:
    """An address that no other test uses."""
    return an_address()


def an_address() -> str:
    return "10." + ".".join(str(byte) for byte in secrets.token_bytes(3))


async def log_in(
    auth: Auth, name: str, address: str, password: str = "wrong one"
) -> httpx.Response:
    form = {"grant_type": "password", "username": name, "password": password}
    return await auth.http.post("/token", data=form, headers={"X-Forwarded-For": address})


async def fail(auth: Auth, name: str, address: str, times: int) -> None:
    for _ in range(times):
        assert (await log_in(auth, name, address)).json()["error"] == "invalid_grant"


def hashed(auth: Auth) -> float:
    """How many passwords were looked at, or hashed, so far."""
    registry = auth.app.state.core.platform.registry
    return float(registry.get_sample_value("sharezync_auth_hashing_seconds_count"))


async def test_after_the_free_failures_the_next_try_waits_twice_as_long_each_time(
    auth: Auth, ada: Account, clock: Clock, place: str
) -> None:
    await fail(auth, ada.username, place, FREE)
    for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
        refused = await log_in(auth, ada.username, place, PASSWORD)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == str(seconds)
        assert refused.headers["cache-control"] == "no-store"
        assert refused.json()["error"] == "slow_down"
        assert refused.json()["code"] == "too-many-tries"
        clock.now += timedelta(seconds=seconds)
        await fail(auth, ada.username, place, 1)
    clock.now += MINUTE
    assert (await log_in(auth, ada.username, place, PASSWORD)).status_code == 200


async def test_tries_that_wait_are_not_counted_and_cost_no_hashing(
    auth: Auth, ada: Account, clock: Clock, place: str
) -> None:
    await fail(auth, ada.username, place, FREE)
    before = hashed(auth)
    for _ in range(10):
        assert (await log_in(auth, ada.username, place)).status_code == 429
    assert hashed(auth) == before
    clock.now += SECOND
    assert (await log_in(auth, ada.username, place, PASSWORD)).status_code == 200


async def test_failures_are_forgotten_after_an_hour_without_one(
    auth: Auth, ada: Account, clock: Clock, place: str
) -> None:
    await fail(auth, ada.username, place, FREE)
    clock.now += timedelta(minutes=59)
    await fail(auth, ada.username, place, 1)
    assert (await log_in(auth, ada.username, place)).headers["retry-after"] == "2"
    clock.now += timedelta(minutes=60)
    await fail(auth, ada.username, place, FREE)
    assert (await log_in(auth, ada.username, place)).headers["retry-after"] == "1"


async def test_names_that_nobody_has_wait_like_those_that_somebody_has(
    auth: Auth, ada: Account, clock: Clock
) -> None:
    async def course(name: str, address: str) -> list[tuple[int, str | None, dict[str, Any]]]:
        told = []
        for step in range(8):
            answer = await log_in(auth, name if step % 2 else name.upper(), address)
            body = {k: v for k, v in answer.json().items() if k != "request_id"}
            told.append((answer.status_code, answer.headers.get("retry-after"), body))
            clock.now += step % 3 * SECOND
        return told

    began = clock.now
    known = await course(ada.username, an_address())
    clock.now = began
    assert await course(f"nobody_{secrets.token_hex(4)}", an_address()) == known
    assert {status for status, _, _ in known} == {400, 429}


async def test_the_user_name_and_the_address_are_one_account(
    auth: Auth, ada: Account, clock: Clock, place: str
) -> None:
    names = [ada.username, f"{ada.username}@example.com", ada.username.upper()]
    for name in names:
        await fail(auth, name, place, 1)
    assert (await log_in(auth, names[0], place)).status_code == 429
    assert (await log_in(auth, names[1], place)).status_code == 429


async def test_the_owner_gets_in_from_elsewhere_however_many_failed(
    auth: Auth, ada: Account, clock: Clock, place: str
) -> None:
    for _ in range(4):  # from a different network each time: all are first tries
        await fail(auth, ada.username, an_address(), 1)
    assert (await log_in(auth, ada.username, place, PASSWORD)).status_code == 200


async def test_who_mistyped_once_is_not_kept_out_by_strangers_who_go_on(
    auth: Auth, ada: Account, clock: Clock, place: str
) -> None:
    stranger = an_address()
    await fail(auth, ada.username, stranger, FREE)
    await fail(auth, ada.username, place, 1)
    wait = timedelta(seconds=int((await log_in(auth, ada.username, place)).headers["retry-after"]))
    for _ in range(3):
        await fail(auth, ada.username, an_address(), 1)
    clock.now += wait
    assert (await log_in(auth, ada.username, place, PASSWORD)).status_code == 200


async def test_an_address_waits_whatever_names_it_tries(
    auth: Auth, ada: Account, bob: Account, clock: Clock
) -> None:
    network = f"2001:db8:{secrets.token_hex(2)}:7"
    for number in range(FREE_PER_ADDRESS):
        await fail(auth, f"nobody_{number}_{secrets.token_hex(4)}", f"{network}::{number}", 1)
    refused = await log_in(auth, ada.username, f"{network}::99", PASSWORD)
    assert refused.status_code == 429
    assert refused.json()["error"] == "slow_down"
    assert (await log_in(auth, ada.username, an_address(), PASSWORD)).status_code == 200


async def test_an_office_is_not_shut_out_by_one_visitor(
    auth: Auth, ada: Account, bob: Account, clock: Clock, place: str
) -> None:
    assert (await log_in(auth, ada.username, place, PASSWORD)).status_code == 200
    for _ in range(FREE_PER_ADDRESS):
        await fail(auth, f"nobody_{secrets.token_hex(4)}", place, 1)
    # ada was here lately, bob never.
    assert (await log_in(auth, ada.username, place, PASSWORD)).status_code == 200
    assert (await log_in(auth, bob.username, place, PASSWORD)).status_code == 429
    # What is tried on ada's account from here still waits for itself.
    await fail(auth, ada.username, place, FREE)
    assert (await log_in(auth, ada.username, place, PASSWORD)).status_code == 429

    clock.now += timedelta(days=31)
    for _ in range(FREE_PER_ADDRESS):
        await fail(auth, f"nobody_{secrets.token_hex(4)}", place, 1)
    assert (await log_in(auth, ada.username, place, PASSWORD)).status_code == 429


async def test_an_own_account_does_not_buy_more_tries(
    auth: Auth, ada: Account, bob: Account, clock: Clock, place: str
) -> None:
    """Logging in takes back that one try, and nothing that failed before."""
    for number in range(FREE_PER_ADDRESS):
        await fail(auth, f"nobody_{number}_{secrets.token_hex(4)}", place, 1)
        if number < FREE_PER_ADDRESS - 1:
            assert (await log_in(auth, bob.username, place, PASSWORD)).status_code == 200
    assert (await log_in(auth, ada.username, place, PASSWORD)).status_code == 429


async def test_a_right_password_forgives_its_address_and_leaves_the_account_as_it_was(
    auth: Auth, ada: Account, clock: Clock, place: str
) -> None:
    await fail(auth, ada.username, place, FREE - 1)
    assert (await log_in(auth, ada.username, place, PASSWORD)).status_code == 200
    rows = await auth.rows(
        "SELECT key, failures FROM auth.throttles WHERE key LIKE '%' || $1 || '%' "
        "OR key = 'address:' || $2",
        ada.id,
        place,
    )
    assert dict(map(tuple, rows)) == {f"user:{ada.id}": FREE - 1, f"address:{place}": FREE - 1}


async def test_a_right_password_for_a_foreign_device_is_no_failure(
    auth: Auth, ada: Account, bob: Account, clock: Clock
) -> None:
    device = await bob.http.post(
        "/v1/devices", json={"client_id": "x", "name": "x", "platform": "x"}
    )
    form = {
        "grant_type": "password",
        "username": ada.username,
        "password": PASSWORD,
        "device_id": device.json()["id"],
    }
    for _ in range(FREE + 1):
        answer = await auth.http.post("/token", data=form)
        assert answer.json()["error"] == "invalid_request"


async def test_of_many_guesses_at_once_on_several_replicas_only_the_free_ones_are_looked_at(
    auth: Auth, ada: Account, clock: Clock, place: str
) -> None:
    issuer = TokenIssuer(key=SigningKey.generate())
    form = {"grant_type": "password", "username": ada.username}
    before = hashed(auth)
    async with running(create_app(auth.settings, platform_for_tests("auth", issuer))) as replica:
        replica.state.work.now = auth.app.state.work.now
        clients = [
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://auth")
            for app in (auth.app, replica)
        ]
        answers = await asyncio.gather(
            *(
                clients[number % 2].post(
                    "/token",
                    data={**form, "password": f"guess {number}"},
                    headers={"X-Forwarded-For": place},
                )
                for number in range(60)
            )
        )
        registry = replica.state.core.platform.registry
        there = registry.get_sample_value("sharezync_auth_hashing_seconds_count")
        for client in clients:
            await client.aclose()
    assert hashed(auth) - before + there == FREE
    assert sorted({answer.status_code for answer in answers}) == [400, 429]
    assert sum(answer.status_code == 400 for answer in answers) == FREE


async def test_tries_that_cross_do_not_hold_each_other_up(
    auth: Auth, ada: Account, bob: Account, clock: Clock
) -> None:
    """Four names from four addresses in all orders: rows come, go and are shared."""
    names = [ada.username, bob.username, "nobody_a", "nobody_b"]
    addresses = [an_address() for _ in range(4)]
    answers = await asyncio.gather(
        *(log_in(auth, names[n % 4], addresses[(n + n // 4) % 4], PASSWORD) for n in range(48))
    )
    assert {answer.status_code for answer in answers} <= {200, 400, 429}


async def test_tries_that_wait_for_each_other_take_no_connections_from_others(
    auth: Auth, ada: Account, place: str
) -> None:
    pool = await auth.app.state.core.database.pool()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "SELECT pg_advisory_xact_lock($1)", throttling._lock_of(f"address:{place}")
        )
        tries = [
            asyncio.create_task(log_in(auth, f"nobody-{n}", place))
            for n in range(2 * pool.get_max_size())
        ]
        await asyncio.sleep(0.3)
        assert (await log_in(auth, ada.username, an_address(), PASSWORD)).status_code == 200
    assert {answer.status_code for answer in await asyncio.gather(*tries)} <= {400, 429}


async def test_registrations_from_a_few_addresses_keep_nobody_from_logging_in(
    auth: Auth, ada: Account
) -> None:
    await auth.http.post("/v1/auth/register", json={})  # what is done once is done
    addresses = [an_address() for _ in range(4)]
    bodies = [
        {"username": f"crowd.{n}", "email": f"crowd{n}@example.com", "password": PASSWORD}
        for n in range(160)
    ]
    flood = [
        asyncio.create_task(
            auth.http.post(
                "/v1/auth/register", json=body, headers={"X-Forwarded-For": addresses[n % 4]}
            )
        )
        for n, body in enumerate(bodies)
    ]
    await asyncio.sleep(0.3)
    assert (await log_in(auth, ada.username, an_address(), PASSWORD)).status_code == 200
    assert not all(task.done() for task in flood)
    statuses = [answer.status_code for answer in await asyncio.gather(*flood)]
    assert set(statuses) == {201, 503}


@pytest.fixture
async def no_room(auth: Auth, ada: Account) -> AsyncIterator[None]:
    """All places that there are for passwords are taken, by as many addresses."""
    go_on = threading.Event()
    passwords = auth.app.state.context.passwords
    settings = auth.app.state.context.settings
    inside = [
        asyncio.create_task(passwords._run(go_on.wait, an_address(), urgent=True))
        for _ in range(settings.password_threads + settings.password_queue)
    ]
    await asyncio.sleep(0)  # they begin
    yield
    go_on.set()
    await asyncio.gather(*inside)


async def test_an_overload_is_told_and_counts_for_no_failure(
    auth: Auth, ada: Account, clock: Clock, place: str, no_room: None
) -> None:
    answer = await log_in(auth, ada.username, place, PASSWORD)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert not await auth.rows(
        "SELECT key FROM auth.throttles WHERE key LIKE '%' || $1 || '%'", place
    )


async def test_changing_the_password_waits_likewise(
    auth: Auth, ada: Account, clock: Clock, place: str
) -> None:
    change = {"current_password": "wrong one", "new_password": "another good password"}
    await fail(auth, ada.username, place, FREE - 1)
    answer = await ada.http.post("/v1/auth/password", json=change)
    assert answer.json()["code"] == "wrong-password"

    refused = await ada.http.post(
        "/v1/auth/password", json={**change, "current_password": PASSWORD}
    )
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["code"] == "too-many-tries"

    # Another login of hers is another place.
    other = {"Authorization": f"Bearer {(await ada.log_in())['access_token']}"}
    done = await ada.http.post(
        "/v1/auth/password", json={**change, "current_password": PASSWORD}, headers=other
    )
    assert done.status_code == 204


async def test_the_metrics_tell_what_became_of_the_tries(
    auth: Auth, ada: Account, clock: Clock, place: str
) -> None:
    await fail(auth, ada.username, place, FREE)
    await log_in(auth, ada.username, place)
    registry = auth.app.state.core.platform.registry

    def tries(outcome: str) -> float | None:
        labels = {"purpose": "login", "outcome": outcome}
        value: float | None = registry.get_sample_value(
            "sharezync_auth_password_attempts_total", labels
        )
        return value

    assert (tries("right"), tries("wrong"), tries("throttled")) == (1, FREE, 1)
    by_account = registry.get_sample_value("sharezync_auth_throttled_total", {"by": "account"})
    assert by_account == 1
