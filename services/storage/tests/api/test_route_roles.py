"""Who is let in where, and that whatever comes gets a problem document."""

from typing import Final

import httpx
import pytest

from services.storage.tests.direct_client import DirectClient
from services.storage.tests.support import Json, Person, World, code_of
from sharezync_shared.problems import CONTENT_TYPE

ID = "01936f0c-2b7e-7d33-8a53-6d9f4c1e2b70"
ROLES = ("owner", "stranger")

# What each of ROLES is answered about a file of the owner's; lists and usage are one's own,
# whoever one is, and so is what one begins.
MATRIX: Final[dict[str, tuple[int, int]]] = {
    "POST /v1/files": (201, 201),
    "GET /v1/files": (200, 200),
    "GET /v1/files/{file_id}": (200, 404),
    "DELETE /v1/files/{file_id}": (204, 404),
    "GET /v1/files/{file_id}/content": (200, 404),
    "HEAD /v1/files/{file_id}/content": (200, 404),
    "POST /v1/files/{file_id}/urls": (200, 404),
    "POST /v1/files/{file_id}/links": (201, 404),
    "GET /v1/files/{file_id}/links": (200, 404),
    "DELETE /v1/files/{file_id}/links/{link_id}": (204, 404),
    "POST /v1/files/presigned": (201, 201),
    "GET /v1/files/presigned/{presigned_id}": (200, 404),
    "DELETE /v1/files/presigned/{presigned_id}": (204, 404),
    "POST /v1/files/presigned/{presigned_id}/complete": (201, 404),
    # For whoever holds the URL: it is signed, or can't be guessed.
    "PUT /v1/files/presigned/{presigned_id}/parts/{number}": (200, 200),
    "GET /v1/links/{token}": (200, 200),
    "HEAD /v1/links/{token}": (200, 200),
    "POST /v1/links/{token}/content": (200, 200),
    "GET /v1/usage": (200, 200),
    "OPTIONS /v1/uploads": (204, 204),
    "POST /v1/uploads": (201, 201),
    "OPTIONS /v1/uploads/{upload_id}": (204, 204),
    "GET /v1/uploads/{upload_id}": (200, 404),
    "HEAD /v1/uploads/{upload_id}": (200, 404),
    "PATCH /v1/uploads/{upload_id}": (204, 404),
    "POST /v1/uploads/{upload_id}": (204, 404),
    "DELETE /v1/uploads/{upload_id}": (204, 404),
}
TUS: Final = {"Tus-Resumable": "1.0.0"}
_BYTES: Final = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}

INTERNAL: Final = (
    "GET /internal/files",
    "POST /internal/files/{file_id}/urls",
    "POST /internal/uploads/begin",
    "POST /internal/uploads/status",
    "POST /internal/uploads/finish",
    "POST /internal/uploads/abort",
    "GET /internal/uploads/{upload_id}",
    "PUT /internal/uploads/{upload_id}/chunks/{index}",
    "GET /internal/uploads/{upload_id}/chunks/{index}",
)


@pytest.fixture
def anybody(world: World) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="http://test")


async def test_every_route_has_a_row(world: World) -> None:
    routes = {
        f"{method.upper()} {path}"
        for path, operations in world.app.openapi()["paths"].items()
        for method in operations
    }
    assert routes == MATRIX.keys() | set(INTERNAL)


async def _arrange(world: World, alice: Person, name: str) -> tuple[Json, str, Json]:
    """Return what of the owner's is there, the URL where that is no path, and what is sent."""
    file = await alice.upload(b"secret")
    known: Json = {"file_id": file["id"]}
    sent: Json = {
        "POST /v1/files": {"files": {"file": ("a.txt", b"x")}},
        "POST /v1/files/presigned": {"json": {"name": "x", "size_bytes": 1}},
    }
    url = ""
    if "links" in name:
        link = (await alice.http.post(f"/v1/files/{file['id']}/links")).json()
        known |= {"link_id": link["id"], "token": link["token"]}
    if "{presigned_id}" in name:
        direct = DirectClient(alice.http, alice.http, b"secret")
        presigned = await direct.begin()
        await direct.send(presigned)
        parts = [{"number": number, "etag": etag} for number, etag in direct.etags.items()]
        known["presigned_id"] = presigned["id"]
        sent["POST /v1/files/presigned/{presigned_id}/complete"] = {"json": {"parts": parts}}
        if "{number}" in name:
            url, sent[name] = presigned["parts"][0]["url"], {"content": b"secret"}
    if "/v1/uploads" in name:
        created = await alice.http.post("/v1/uploads", headers={**TUS, "Upload-Length": "6"})
        known["upload_id"] = created.headers["location"].rpartition("/")[2]
        write: Json = {"headers": {**TUS, **_BYTES}, "content": b"secret"}
        sent["POST /v1/uploads"] = {"headers": {**TUS, "Upload-Length": "6"}}
        sent["PATCH /v1/uploads/{upload_id}"] = write
        overridden = {**write["headers"], "X-HTTP-Method-Override": "PATCH"}
        sent["POST /v1/uploads/{upload_id}"] = {**write, "headers": overridden}
        return known, url, sent.get(name, {"headers": TUS})
    return known, url, sent.get(name, {})


@pytest.mark.parametrize("role", ROLES)
async def test_every_route_answers_every_role_as_the_table_says(
    world: World, alice: Person, role: str
) -> None:
    who = alice if role == "owner" else await world.person()
    for name, statuses in MATRIX.items():
        method, _, template = name.partition(" ")
        known, url, more = await _arrange(world, alice, name)
        answer = await who.http.request(method, url or template.format(**known), **more)
        assert answer.status_code == statuses[ROLES.index(role)], f"{name}: {answer.text}"
        if answer.is_error and method != "HEAD":
            assert code_of(answer) == "not-found"


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
    answer = await world.inside.post(
        f"/internal/files/{ID}/urls", content=content, headers={"content-type": "application/json"}
    )
    assert (answer.status_code, code_of(answer)) == (status, code)


async def test_it_is_healthy_and_ready(world: World, anybody: httpx.AsyncClient) -> None:
    assert (await anybody.get("/health")).status_code == 200
    ready = await anybody.get("/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")


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
