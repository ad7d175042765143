import asyncio
import hmac
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from shared.tests.unit.tokens.conftest import SECRET_KEY, FakeClock
from sharezync_shared.problems import Unauthenticated
from sharezync_shared.tokens.credentials import (
    CredentialsUnavailable,
    ServiceCredentials,
    derive_service_secret,
)
from sharezync_shared.tokens.dependencies import bearer_token
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.verifier import TokenVerifier

SECRET = derive_service_secret(SECRET_KEY, "chat")


class Fleet:
    """auth, which gives tokens for secrets, and a peer that lets in who has one."""

    def __init__(self, issuer: TokenIssuer, verifier: TokenVerifier) -> None:
        self.issuer = issuer
        self.verifier = verifier
        self.asked_for_token = 0
        self.auth_answer: Response | None = None
        self.auth_answers_left = 0
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.calls: list[tuple[str, bytes]] = []
        self.refuse_tokens: set[str] = set()
        self.refuse_all = False
        self.app = Starlette(
            routes=[
                Route("/token", self._token, methods=["POST"]),
                Route("/internal/echo", self._echo, methods=["GET", "POST"]),
            ]
        )

    def auth_says(self, answer: Response, times: int = 10**6) -> None:
        self.auth_answer, self.auth_answers_left = answer, times

    async def _token(self, request: Request) -> Response:
        self.asked_for_token += 1
        self.asked.set()
        await self.open.wait()
        if self.auth_answer and self.auth_answers_left:
            self.auth_answers_left -= 1
            return self.auth_answer
        assert request.headers["content-type"] == "application/x-www-form-urlencoded"
        assert "authorization" not in request.headers
        form = parse_qs((await request.body()).decode())
        if form != {
            "grant_type": ["client_credentials"],
            "client_id": ["chat"],
            "client_secret": [SECRET],
        }:
            return JSONResponse({"code": "invalid-client"}, status_code=401)
        issued = self.issuer.service_token("chat")
        return JSONResponse(
            {
                "access_token": issued.token,
                "token_type": "bearer",
                "expires_in": issued.expires_in_seconds,
                "scope": "internal",
            }
        )

    async def _echo(self, request: Request) -> Response:
        token = bearer_token(request.scope["headers"])
        self.calls.append((token, await request.body()))
        try:
            await self.verifier.verify_service(token)
        except Unauthenticated:
            return Response(status_code=401)
        if self.refuse_all or token in self.refuse_tokens:
            return Response(status_code=401)
        return Response("welcome")


@pytest.fixture
def fleet(issuer: TokenIssuer, verifier: TokenVerifier) -> Fleet:
    return Fleet(issuer, verifier)


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
async def auth_client(fleet: Fleet) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(fleet.app)
    async with httpx.AsyncClient(
        # A client that would follow redirects, and would send other credentials.
        transport=transport,
        base_url="http://auth",
        follow_redirects=True,
        auth=("user", "password"),
    ) as client:
        yield client


@pytest.fixture
async def credentials(
    auth_client: httpx.AsyncClient, clock: FakeClock, pauses: list[float]
) -> AsyncIterator[ServiceCredentials]:
    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    credentials = ServiceCredentials(
        auth_client, service="chat", secret=SECRET, monotonic=clock, pause=pause
    )
    yield credentials
    await credentials.aclose()


# --- the derived secret ---------------------------------------------------------------------------


def test_a_derived_secret_is_hkdf_of_the_secret_key() -> None:
    # The two steps of RFC 5869 apart: extract with an empty salt is HMAC with a key of zeros.
    extracted = hmac.digest(bytes(32), SECRET_KEY.encode(), "sha256")
    expanded = HKDFExpand(SHA256(), 32, b"sharezync service chat").derive(extracted)
    assert derive_service_secret(SECRET_KEY, "chat") == expanded.hex()


def test_every_service_and_every_key_has_another_secret() -> None:
    secrets = {
        derive_service_secret(key, service)
        for key in (SECRET_KEY, SECRET_KEY + "!")
        for service in ("auth", "chat", "transfer", "storage", "gateway")
    }
    assert len(secrets) == 10


@pytest.mark.parametrize(("key", "service"), [("", "chat"), (SECRET_KEY, ""), (SECRET_KEY, "a b")])
def test_nothing_is_derived_from_nothing(key: str, service: str) -> None:
    with pytest.raises(ValueError):
        derive_service_secret(key, service)


# --- getting a token ------------------------------------------------------------------------------


async def test_a_service_gets_a_token_that_its_peers_accept(
    fleet: Fleet, credentials: ServiceCredentials
) -> None:
    assert (await fleet.verifier.verify_service(await credentials.token())).name == "chat"


async def test_a_token_is_kept_until_a_minute_before_its_end(
    fleet: Fleet, credentials: ServiceCredentials, clock: FakeClock
) -> None:
    first = await credentials.token()
    clock.pass_seconds(239)
    assert await credentials.token() == first
    clock.pass_seconds(1)
    assert await credentials.token() != first
    assert fleet.asked_for_token == 2


async def test_a_token_that_lives_shortly_is_used_for_half_its_life(
    fleet: Fleet, credentials: ServiceCredentials, clock: FakeClock
) -> None:
    fleet.auth_says(JSONResponse({"access_token": "t", "expires_in": 20}))
    await credentials.token()
    clock.pass_seconds(9)
    await credentials.token()
    assert fleet.asked_for_token == 1
    clock.pass_seconds(1)
    await credentials.token()
    assert fleet.asked_for_token == 2


async def test_many_callers_share_one_request_to_auth(
    fleet: Fleet, credentials: ServiceCredentials
) -> None:
    fleet.open.clear()
    callers = [asyncio.create_task(credentials.token()) for _ in range(20)]
    await fleet.asked.wait()
    callers[0].cancel()
    fleet.open.set()
    tokens = await asyncio.gather(*callers[1:])
    assert len(set(tokens)) == 1
    assert fleet.asked_for_token == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_stumble_of_auth_is_survived(
    fleet: Fleet, credentials: ServiceCredentials, pauses: list[float], status: int
) -> None:
    fleet.auth_says(Response(status_code=status), times=2)
    await credentials.token()
    assert fleet.asked_for_token == 3
    assert pauses == [0.1, 0.5]


async def test_attempts_are_bounded(fleet: Fleet, credentials: ServiceCredentials) -> None:
    fleet.auth_says(Response(status_code=503))
    with pytest.raises(CredentialsUnavailable):
        await credentials.token()
    assert fleet.asked_for_token == 3


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=400),
        Response(status_code=401),
        Response(status_code=403),
        RedirectResponse("http://elsewhere/token"),
        Response("welcome"),
        JSONResponse({"access_token": "t"}),
        JSONResponse({"access_token": 1, "expires_in": 300}),
        Response(b'{"access_token": "\xff", "expires_in": 300}'),
    ],
    ids=["400", "401", "403", "redirect", "text", "no-end", "number", "no-utf8"],
)
async def test_a_refusal_is_not_repeated(
    fleet: Fleet, credentials: ServiceCredentials, answer: Response
) -> None:
    fleet.auth_says(answer)
    with pytest.raises(CredentialsUnavailable):
        await credentials.token()
    assert fleet.asked_for_token == 1


async def test_a_wrong_secret_gets_nothing(fleet: Fleet, auth_client: httpx.AsyncClient) -> None:
    impostor = ServiceCredentials(auth_client, service="chat", secret="wrong")
    with pytest.raises(CredentialsUnavailable):
        await impostor.token()


async def test_the_old_token_serves_until_its_end_while_auth_is_away(
    fleet: Fleet, credentials: ServiceCredentials, clock: FakeClock
) -> None:
    first = await credentials.token()
    fleet.auth_says(Response(status_code=503))
    clock.pass_seconds(240)
    assert await credentials.token() == first
    assert fleet.asked_for_token == 4
    assert await credentials.token() == first
    assert fleet.asked_for_token == 4, "not everybody waits for auth"
    clock.pass_seconds(60)
    with pytest.raises(CredentialsUnavailable):
        await credentials.token()


async def test_every_waiting_caller_gets_the_old_token_when_renewal_fails(
    fleet: Fleet, credentials: ServiceCredentials, clock: FakeClock
) -> None:
    first = await credentials.token()
    fleet.auth_says(Response(status_code=403))
    clock.pass_seconds(240)
    assert await asyncio.gather(*(credentials.token() for _ in range(5))) == [first] * 5


async def test_an_auth_that_cannot_be_reached_looks_like_any_failed_request() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    async def pause(_: float) -> None: ...

    async with httpx.AsyncClient(
        transport=httpx.MockTransport(refuse), base_url="http://auth"
    ) as client:
        credentials = ServiceCredentials(client, service="chat", secret=SECRET, pause=pause)
        with pytest.raises(httpx.HTTPError):
            await credentials.token()
