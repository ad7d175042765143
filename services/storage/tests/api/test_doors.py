"""Who is let in where, and that whatever comes gets a problem document."""

import httpx
import pytest

from services.storage.tests.support import World, code_of, sha256
from sharezync_shared.problems import CONTENT_TYPE
from sharezync_shared.testing.bad_tokens import (
    BAD_SERVICE_TOKENS,
    BAD_TOKENS,
    bad_token,
    bearer,
    good_token,
)
from sharezync_shared.tokens import TokenIssuer

ID = "01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70"
USER_DOORS = [
    ("POST", "/v1/files"),
    ("GET", "/v1/files"),
    ("GET", f"/v1/files/{ID}"),
    ("DELETE", f"/v1/files/{ID}"),
    ("GET", f"/v1/files/{ID}/content"),
    ("HEAD", f"/v1/files/{ID}/content"),
    ("GET", "/v1/usage"),
]
SERVICE_DOORS = [
    ("GET", "/internal/files?ids="),
    ("POST", f"/internal/files/{ID}/urls"),
    ("POST", "/internal/uploads"),
    ("GET", f"/internal/uploads/{ID}"),
    ("DELETE", f"/internal/uploads/{ID}"),
    ("POST", f"/internal/uploads/{ID}/finish"),
    ("PUT", f"/internal/uploads/{ID}/chunks/0"),
    ("GET", f"/internal/uploads/{ID}/chunks/0"),
]
BODIES = {
    f"/internal/files/{ID}/urls": {"user_id": ID},
    "/internal/uploads": {
        "owner_id": ID, "name": "x", "size_bytes": 1, "chunk_size_bytes": 1,
    },
}  # fmt: skip


@pytest.fixture
def anybody(world: World) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="http://test")


async def knock(
    client: httpx.AsyncClient, method: str, path: str, token: str | None
) -> httpx.Response:
    headers = {} if token is None else bearer(token)
    if path in BODIES:
        return await client.request(method, path, headers=headers, json=BODIES[path])
    return await client.request(method, path, headers={**headers, "x-chunk-sha256": sha256(b"")})


def test_every_route_has_a_row_here(world: World) -> None:
    told = {
        (method.upper(), path.format(file_id=ID, upload_id=ID, index=0))
        for path, operations in world.app.openapi()["paths"].items()
        for method in operations
    }
    rows = {(method, path.partition("?")[0]) for method, path in USER_DOORS + SERVICE_DOORS}
    assert told == rows


async def test_without_a_token_no_door_opens(anybody: httpx.AsyncClient) -> None:
    for method, path in USER_DOORS + SERVICE_DOORS:
        answer = await knock(anybody, method, path, None)
        assert answer.status_code == 401, (method, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        if method != "HEAD":
            assert code_of(answer) == "unauthenticated"


async def test_services_have_no_business_at_the_doors_of_users(
    issuer: TokenIssuer, anybody: httpx.AsyncClient
) -> None:
    for method, path in USER_DOORS:
        answer = await knock(anybody, method, path, good_token(issuer, "service"))
        assert answer.status_code == 401, (method, path)


async def test_users_have_no_business_inside(
    issuer: TokenIssuer, anybody: httpx.AsyncClient
) -> None:
    for method, path in SERVICE_DOORS:
        answer = await knock(anybody, method, path, good_token(issuer))
        assert answer.status_code == 401, (method, path)
        assert (
            await knock(anybody, method, path, good_token(issuer, "service"))
        ).status_code != 401


async def test_bad_tokens_open_neither_kind_of_door(
    issuer: TokenIssuer, anybody: httpx.AsyncClient
) -> None:
    for name in BAD_TOKENS:
        for method, path in (("GET", "/v1/files"), ("GET", f"/v1/files/{ID}/content")):
            answer = await knock(anybody, method, path, bad_token(name, issuer))
            assert (answer.status_code, code_of(answer)) == (401, "unauthenticated"), name
    for name in BAD_SERVICE_TOKENS:
        answer = await knock(
            anybody, "PUT", f"/internal/uploads/{ID}/chunks/0", bad_token(name, issuer, "service")
        )
        assert (answer.status_code, code_of(answer)) == (401, "unauthenticated"), name
    assert (await knock(anybody, "GET", "/v1/files", good_token(issuer))).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/files/x/y/z", 404, "not-found"),
        ("PATCH", "/v1/files", 405, "method-not-allowed"),
        ("POST", f"/v1/files/{ID}/content", 405, "method-not-allowed"),
    ],
)
async def test_the_frameworks_own_refusals_are_problems_too(
    anybody: httpx.AsyncClient, method: str, path: str, status: int, code: str
) -> None:
    answer = await anybody.request(method, path)
    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"{", 400, "malformed"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b"", 422, "invalid"),
        (b"\xff\xfe", 400, "malformed"),
        (b'{"name": "' + b"x" * 300_000 + b'"}', 413, "too-large"),
    ],
)
async def test_broken_json_is_refused(world: World, content: bytes, status: int, code: str) -> None:
    for path in ("/internal/uploads", f"/internal/files/{ID}/urls"):
        answer = await world.inside.post(
            path, content=content, headers={"content-type": "application/json"}
        )
        assert (answer.status_code, code_of(answer)) == (status, code)


async def test_it_is_healthy_and_ready(world: World, anybody: httpx.AsyncClient) -> None:
    assert (await anybody.get("/health")).status_code == 200
    ready = await anybody.get("/ready")
    assert (ready.status_code, ready.json()["checks"]["store"]) == (200, True)
    world.folder.rename(world.folder.with_name("gone"))
    ready = await anybody.get("/ready")
    assert (ready.status_code, ready.json()["checks"]["store"]) == (503, False)


async def test_every_refusal_is_in_the_document(world: World) -> None:
    """OpenAPI tells what a route may refuse, as problem documents."""
    document = world.app.openapi()
    upload = document["paths"]["/v1/files"]["post"]["responses"]
    assert {"201", "400", "401", "413", "415", "422", "503", "507"} <= set(upload)
    chunk = document["paths"]["/internal/uploads/{upload_id}/chunks/{index}"]["put"]["responses"]
    assert {"200", "400", "401", "404", "409", "422", "503", "507"} <= set(chunk)
    for path in document["paths"].values():
        for operation in path.values():
            assert operation["summary"]
            for status, answer in operation["responses"].items():
                if status[0] in "45":
                    assert list(answer["content"]) == [CONTENT_TYPE]
