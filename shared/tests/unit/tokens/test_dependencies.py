from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from sharezync_shared.ids import SessionId, UserId, uuid7
from sharezync_shared.problems import Unauthenticated, install_problem_handlers
from sharezync_shared.tokens.dependencies import Caller, InternalCaller, bearer_token
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_shared.tokens.verifier import Revocations, TokenVerifier
from sharezync_testkit.bad_tokens import (
    BAD_SERVICE_TOKENS,
    BAD_TOKENS,
    bad_token,
    bearer,
    good_token,
)


@pytest.fixture
def app(verifier: TokenVerifier) -> FastAPI:
    app = FastAPI()
    install_problem_handlers(app)
    app.state.verifier = verifier

    @app.get("/v1/me")
    async def me(caller: Caller) -> dict[str, str]:
        return {"user_id": str(caller.user_id)}

    @app.get("/internal/me")
    async def internal_me(caller: InternalCaller) -> dict[str, str]:
        return {"name": caller.name}

    return app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


async def test_a_route_learns_which_user_calls(
    client: httpx.AsyncClient, issuer: TokenIssuer
) -> None:
    user = UserId(uuid7())
    token = issuer.access_token(user_id=user, session_id=SessionId(uuid7())).token
    answer = await client.get("/v1/me", headers=bearer(token))
    assert answer.json() == {"user_id": str(user)}


async def test_a_route_learns_which_service_calls(
    client: httpx.AsyncClient, issuer: TokenIssuer
) -> None:
    answer = await client.get("/internal/me", headers=bearer(good_token(issuer, "service")))
    assert answer.json() == {"name": "chat"}


@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_bad_tokens_get_a_problem(
    name: str, client: httpx.AsyncClient, issuer: TokenIssuer
) -> None:
    answer = await client.get("/v1/me", headers=bearer(bad_token(name, issuer)))
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert answer.json()["code"] == "unauthenticated"


@pytest.mark.parametrize("name", BAD_SERVICE_TOKENS)
async def test_bad_service_tokens_get_a_problem(
    name: str, client: httpx.AsyncClient, issuer: TokenIssuer
) -> None:
    token = bad_token(name, issuer, "service")
    answer = await client.get("/internal/me", headers=bearer(token))
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/v1/me", "/internal/me"])
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dTpw", "Token x", "x"])
async def test_requests_without_a_token_get_a_problem(
    client: httpx.AsyncClient, path: str, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_two_authorization_headers_are_one_too_many(
    client: httpx.AsyncClient, issuer: TokenIssuer
) -> None:
    good = ("Authorization", f"Bearer {good_token(issuer)}")
    assert (await client.get("/v1/me", headers=[good])).status_code == 200
    assert (await client.get("/v1/me", headers=[good, good])).status_code == 401


async def test_a_revoked_session_is_shut_out_at_once(
    client: httpx.AsyncClient, issuer: TokenIssuer, revocations: Revocations
) -> None:
    session = SessionId(uuid7())
    token = issuer.access_token(user_id=UserId(uuid7()), session_id=session).token
    assert (await client.get("/v1/me", headers=bearer(token))).status_code == 200
    revocations.revoke_session(session)
    assert (await client.get("/v1/me", headers=bearer(token))).status_code == 401


async def test_the_docs_page_can_log_in(app: FastAPI) -> None:
    document = app.openapi()
    schemes = document["components"]["securitySchemes"]
    assert schemes["user"]["type"] == "oauth2"
    assert schemes["user"]["flows"]["password"]["tokenUrl"] == "/token"
    assert schemes["service"]["flows"]["clientCredentials"]["tokenUrl"] == "/token"
    assert document["paths"]["/v1/me"]["get"]["security"] == [{"user": []}]
    assert document["paths"]["/internal/me"]["get"]["security"] == [{"service": []}]


@pytest.mark.parametrize("scheme", [b"Bearer", b"bearer", b"BEARER"])
def test_the_scheme_may_be_in_any_case(scheme: bytes) -> None:
    assert bearer_token([(b"Host", b"x"), (b"Authorization", scheme + b"  a.b.c ")]) == "a.b.c"


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Bearer ", b"Basic dTpw", b"a.b.c"])
def test_other_credentials_are_no_token(value: bytes) -> None:
    with pytest.raises(Unauthenticated, match="one `Bearer <token>`"):
        bearer_token([(b"authorization", value)])


def test_a_request_without_credentials_is_told_no_error_code() -> None:
    with pytest.raises(Unauthenticated) as refusal:
        bearer_token([])
    assert refusal.value.headers["WWW-Authenticate"] == "Bearer"
