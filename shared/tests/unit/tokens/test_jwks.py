import asyncio
import gzip
import json
from collections.abc import AsyncIterator

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from structlog.testing import CapturingLogger

from shared.tests.unit.tokens.conftest import FakeClock
from sharezync_shared.tokens.jwks import MAX_JWKS_BYTES, JwksKeys, JwksMetrics
from sharezync_shared.tokens.keys import KeysUnavailable, UnknownKey
from sharezync_shared.tokens.signing import SigningKey
from sharezync_testkit.waiting import GIVE_UP_SECONDS

LIFESPAN, COOLDOWN, RETRY = 300, 30, 2


class Auth:
    """auth's JWKS document, as small as it gets."""

    def __init__(self) -> None:
        self.key = SigningKey.generate()
        self.published: list[object] = [self.key.public_jwk()]
        self.answer: Response | None = None
        self.fetches = 0
        self.authorization: list[str | None] = []
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.app = Starlette(
            routes=[
                Route("/.well-known/jwks.json", self._jwks),
                Route("/elsewhere", self._elsewhere),
            ]
        )

    async def _jwks(self, request: Request) -> Response:
        self.fetches += 1
        self.authorization.append(request.headers.get("authorization"))
        self.asked.set()
        await self.open.wait()
        return self.answer or JSONResponse({"keys": self.published})

    async def _elsewhere(self, _: Request) -> Response:
        return JSONResponse({"keys": self.published})

    def fail(self) -> None:
        self.answer = Response(status_code=500)

    def rotate(self) -> SigningKey:
        new = SigningKey.generate()
        self.published.append(new.public_jwk())
        return new


@pytest.fixture
def auth() -> Auth:
    return Auth()


@pytest.fixture
async def client(auth: Auth) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(auth.app)
    async with httpx.AsyncClient(
        # The worst client one could be given: it would follow redirects, and it has credentials.
        transport=transport,
        base_url="http://auth",
        follow_redirects=True,
        auth=("user", "password"),
    ) as client:
        yield client


@pytest.fixture
async def keys(client: httpx.AsyncClient, clock: FakeClock) -> AsyncIterator[JwksKeys]:
    keys = JwksKeys(
        client,
        lifespan_seconds=LIFESPAN,
        cooldown_seconds=COOLDOWN,
        retry_seconds=RETRY,
        monotonic=clock,
    )
    yield keys
    await keys.aclose()


async def test_a_key_is_fetched_once_and_kept(auth: Auth, keys: JwksKeys, clock: FakeClock) -> None:
    assert auth.fetches == 0
    for _ in range(3):
        key = await keys.key_for(auth.key.kid)
        assert not isinstance(key, bytes)
        assert key.public_numbers() == auth.key.public_key().public_numbers()
    clock.pass_seconds(LIFESPAN - 1)
    await keys.key_for(auth.key.kid)
    assert auth.fetches == 1
    clock.pass_seconds(1)
    await keys.key_for(auth.key.kid)
    assert auth.fetches == 2


async def test_the_age_of_the_set_and_failures_are_shown(
    auth: Auth, client: httpx.AsyncClient, clock: FakeClock
) -> None:
    registry = CollectorRegistry()
    keys = JwksKeys(client, monotonic=clock, metrics=JwksMetrics(registry, "chat"))

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"sharezync_jwks_{name}", {"service": "chat", **labels})

    assert value("age_seconds") is None
    await keys.refresh()
    clock.pass_seconds(100)
    assert value("age_seconds") == 100
    auth.fail()
    with pytest.raises(KeysUnavailable):
        await keys.refresh()
    assert value("age_seconds") == 100
    assert value("fetches_total", result="done") == 1
    assert value("fetches_total", result="failed") == 1
    await keys.aclose()


async def test_the_clients_credentials_are_not_sent(auth: Auth, keys: JwksKeys) -> None:
    await keys.key_for(auth.key.kid)
    assert auth.authorization == [None]


async def test_many_requests_share_one_fetch(auth: Auth, keys: JwksKeys) -> None:
    auth.open.clear()
    requests = [asyncio.create_task(keys.key_for(auth.key.kid)) for _ in range(20)]
    await auth.asked.wait()
    auth.open.set()
    await asyncio.gather(*requests)
    assert auth.fetches == 1


async def test_a_client_that_hangs_up_does_not_spoil_the_fetch(auth: Auth, keys: JwksKeys) -> None:
    auth.open.clear()
    first = asyncio.create_task(keys.key_for(auth.key.kid))
    await auth.asked.wait()
    second = asyncio.create_task(keys.key_for(auth.key.kid))
    first.cancel()
    auth.open.set()
    await second
    assert auth.fetches == 1


async def test_a_new_key_is_picked_up_by_its_kid(
    auth: Auth, keys: JwksKeys, clock: FakeClock
) -> None:
    await keys.key_for(auth.key.kid)
    new = auth.rotate()
    clock.pass_seconds(COOLDOWN)
    await keys.key_for(new.kid)
    await keys.key_for(auth.key.kid)
    assert auth.fetches == 2


async def test_a_withdrawn_key_is_unknown_after_the_lifespan(
    auth: Auth, keys: JwksKeys, clock: FakeClock
) -> None:
    await keys.key_for(auth.key.kid)
    new = auth.rotate()
    auth.published = [new.public_jwk()]
    clock.pass_seconds(LIFESPAN)
    with pytest.raises(UnknownKey):
        await keys.key_for(auth.key.kid)
    await keys.key_for(new.kid)


async def test_unknown_kids_cost_one_fetch_in_each_cooldown(
    auth: Auth, keys: JwksKeys, clock: FakeClock
) -> None:
    for second in range(2 * COOLDOWN):
        with pytest.raises(UnknownKey):
            await keys.key_for(f"made up {second}")
        clock.pass_seconds(1)
    assert auth.fetches == 2


@pytest.mark.parametrize("kid", [None, "", "k" * 129])
async def test_what_cannot_be_a_kid_costs_no_fetch(
    auth: Auth, keys: JwksKeys, clock: FakeClock, kid: str | None
) -> None:
    await keys.key_for(auth.key.kid)
    clock.pass_seconds(COOLDOWN)
    with pytest.raises(UnknownKey):
        await keys.key_for(kid)
    assert auth.fetches == 1


async def test_refresh_does_not_wait_for_the_cooldown(auth: Auth, keys: JwksKeys) -> None:
    await keys.refresh()
    new = auth.rotate()
    await keys.refresh()
    await keys.key_for(new.kid)


async def test_old_keys_serve_while_auth_fails(
    auth: Auth, keys: JwksKeys, clock: FakeClock
) -> None:
    await keys.key_for(auth.key.kid)
    auth.fail()
    clock.pass_seconds(10 * LIFESPAN)
    for _ in range(5):
        await keys.key_for(auth.key.kid)
    assert auth.fetches == 2, "one attempt, then the retry pause"


async def test_nobody_waits_for_an_auth_that_has_been_failing(
    auth: Auth, keys: JwksKeys, clock: FakeClock
) -> None:
    await keys.key_for(auth.key.kid)
    auth.fail()
    clock.pass_seconds(LIFESPAN)
    await keys.key_for(auth.key.kid)
    clock.pass_seconds(RETRY)
    auth.open.clear()  # from here on auth does not even answer
    auth.asked.clear()
    async with asyncio.timeout(GIVE_UP_SECONDS):
        await keys.key_for(auth.key.kid)
        await auth.asked.wait()  # the attempt was made all the same, behind the request
    assert auth.fetches == 3


async def test_it_recovers_by_itself(auth: Auth, keys: JwksKeys, clock: FakeClock) -> None:
    auth.fail()
    with pytest.raises(KeysUnavailable):
        await keys.key_for(auth.key.kid)
    auth.answer = None
    with pytest.raises(KeysUnavailable):
        await keys.key_for(auth.key.kid)
    assert auth.fetches == 1, "the retry pause holds"
    clock.pass_seconds(RETRY)
    await keys.key_for(auth.key.kid)


async def test_an_unknown_kid_while_auth_fails_is_not_called_unknown(
    auth: Auth, keys: JwksKeys, clock: FakeClock
) -> None:
    await keys.key_for(auth.key.kid)
    new = auth.rotate()
    auth.fail()
    clock.pass_seconds(COOLDOWN)
    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            await keys.key_for(new.kid)
    assert auth.fetches == 2


def _document(*keys: object) -> Response:
    return JSONResponse({"keys": list(keys)})


GOOD = SigningKey.generate().public_jwk()
FOR_ES256 = {"use": "sig", "alg": "ES256"}
PRIVATE = {
    **ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True),
    **FOR_ES256,
    "kid": "private",
}
P384 = {
    **ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key(), as_dict=True),
    **FOR_ES256,
    "kid": "p384",
}

BAD_ANSWERS = {
    "redirect": RedirectResponse("/elsewhere"),
    "not-found": JSONResponse({"keys": [GOOD]}, status_code=404),
    "no-json": Response("<html>"),
    "no-utf8": Response(b'{"keys": "\xff"}'),
    "too-deep": Response(b"[" * 50_000),
    "no-object": Response("[]"),
    "no-keys": _document(),
    "keys-of-numbers": _document(1),
    "too-large": JSONResponse({"keys": [GOOD], "padding": "x" * MAX_JWKS_BYTES}),
    "compressed": Response(
        gzip.compress(json.dumps({"keys": [GOOD]}).encode()), headers={"content-encoding": "gzip"}
    ),
    "private-key": _document(PRIVATE),
    "rsa": _document(GOOD | {"kty": "RSA", "n": "AQAB", "e": "AQAB"}),
    "octets": _document({"kty": "oct", "k": "c2VjcmV0", "kid": "x", "use": "sig"}),
    "for-encryption": _document(GOOD | {"use": "enc"}),
    "without-use": _document({k: v for k, v in GOOD.items() if k != "use"}),
    "other-curve": _document(P384),
    "other-algorithm": _document(GOOD | {"alg": "ES384"}),
    "without-kid": _document({k: v for k, v in GOOD.items() if k != "kid"}),
    "kid-of-a-number": _document(GOOD | {"kid": 1}),
    "off-the-curve": _document(GOOD | {"y": GOOD["x"]}),
    "coordinates-of-numbers": _document(GOOD | {"x": 1, "y": 2}),
    "coordinates-of-nonsense": _document(GOOD | {"x": "%", "y": "%"}),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_a_bad_answer_replaces_nothing(
    name: str, auth: Auth, keys: JwksKeys, clock: FakeClock
) -> None:
    await keys.key_for(auth.key.kid)
    auth.answer = BAD_ANSWERS[name]
    with pytest.raises(KeysUnavailable):
        await keys.refresh()
    clock.pass_seconds(LIFESPAN)
    await keys.key_for(auth.key.kid)
    for kid in (GOOD["kid"], "private", "p384", "x"):
        with pytest.raises(KeysUnavailable):
            await keys.key_for(kid)


async def test_keys_of_other_kinds_are_passed_over(auth: Auth, keys: JwksKeys) -> None:
    auth.published = [
        {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa", "use": "sig"},
        P384,
        *auth.published,
    ]
    await keys.key_for(auth.key.kid)
    for kid in ("rsa", "p384"):
        with pytest.raises(UnknownKey):
            await keys.key_for(kid)


async def test_a_published_private_key_is_not_used_and_raises_the_alarm(
    auth: Auth, keys: JwksKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CapturingLogger()
    monkeypatch.setattr("sharezync_shared.tokens.jwks.log", log)
    auth.published.append(PRIVATE)
    with pytest.raises(UnknownKey):
        await keys.key_for("private")
    assert [(call.method_name, call.args) for call in log.calls] == [
        ("error", ("jwks_private_key_published",))
    ]


class _Endless(httpx.AsyncByteStream):
    """A body that never ends, and counts what was taken of it."""

    def __init__(self) -> None:
        self.bytes_taken = 0
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            self.bytes_taken += 1024
            yield b" " * 1024

    async def aclose(self) -> None:
        self.closed = True


async def test_an_endless_answer_is_read_no_further_than_the_limit(clock: FakeClock) -> None:
    body = _Endless()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=body))
    async with httpx.AsyncClient(transport=transport, base_url="http://auth") as client:
        with pytest.raises(KeysUnavailable):
            await JwksKeys(client, monotonic=clock).refresh()
    assert body.bytes_taken <= MAX_JWKS_BYTES + 1024
    assert body.closed


async def test_an_auth_that_does_not_answer_is_given_up(
    auth: Auth, client: httpx.AsyncClient
) -> None:
    auth.open.clear()
    with pytest.raises(KeysUnavailable):
        await JwksKeys(client, timeout_seconds=0.01).key_for("k")


async def test_an_auth_that_cannot_be_reached_is_unavailable(clock: FakeClock) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as client:
        with pytest.raises(KeysUnavailable):
            await JwksKeys(client, "http://auth/jwks", monotonic=clock).key_for("k")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://auth/jwks", "data:,{}", "/jwks"])
async def test_keys_come_by_http_only(url: str) -> None:
    async with httpx.AsyncClient() as client:
        with pytest.raises(ValueError, match="http"):
            JwksKeys(client, url)
