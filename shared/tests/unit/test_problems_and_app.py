"""Every error of an application is a problem document, the framework's own included."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Query
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import BaseModel

from sharezync_shared.asgi.app import create_service_app
from sharezync_shared.health import Dependency, Health
from sharezync_shared.problems import Conflict, NotFound, ProblemKind, problems


class Archived(Conflict):
    slug, title = "channel-archived", "The channel is archived"


class Body(BaseModel):
    name: str


router = APIRouter()


@router.post("/things", responses=problems(Archived, NotFound), summary="Make a thing")
async def post_thing(body: Body) -> Body:
    if body.name == "archived":
        raise Archived("since yesterday", since="2026-01-01")
    if body.name == "broken":
        raise RuntimeError("with a secret inside")
    return body


@router.get("/things/{number}", summary="A thing")
async def get_thing(number: int, size: Annotated[int, Query(le=10)] = 1) -> int:
    return number * size


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def verdict() -> dict[str, bool]:
    return {"database": True}


def needed(check: Callable[[], Awaitable[bool]]) -> Dependency:
    return Dependency(check=check, degraded="all", needed_to_start=True)


@pytest.fixture
def app(registry: CollectorRegistry, verdict: dict[str, bool]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        yield

    async def database() -> bool:
        return verdict["database"]

    return create_service_app(
        name="things",
        summary="Things",
        description="Things and their likes.",
        version="1",
        lifespan=lifespan,
        registry=registry,
        routers=[router],
        health=Health("things", {"database": needed(database)}, registry),
        max_body_bytes=1000,
    )


@pytest.fixture
async def http(app: FastAPI) -> AsyncGenerator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://things") as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("POST", "/things", b'{"name": "archived"}', 409, "channel-archived"),
        ("POST", "/things", b'{"name": "broken"}', 500, "internal-error"),
        ("POST", "/things", b"{not json", 400, "malformed"),
        ("POST", "/things", b"{}", 422, "invalid"),
        ("POST", "/things", b"x" * 1001, 413, "too-large"),
        ("GET", "/things/nan", b"", 422, "invalid"),
        ("GET", "/things/1?size=11", b"", 422, "invalid"),
        ("GET", "/nowhere", b"", 404, "not-found"),
        ("DELETE", "/things", b"", 405, "method-not-allowed"),
    ],
)
async def test_every_error_is_a_problem_document(
    http: httpx.AsyncClient, method: str, path: str, content: bytes, status: int, code: str
) -> None:
    answer = await http.request(
        method, path, content=content, headers={"Content-Type": "application/json"}
    )
    document = answer.json()
    assert answer.status_code == document["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert document["code"] == code
    assert document["type"] == f"urn:sharezync:problem:{code}"
    assert document["request_id"] == answer.headers["x-request-id"]


async def test_an_unforeseen_exception_tells_no_detail(http: httpx.AsyncClient) -> None:
    answer = await http.post("/things", json={"name": "broken"})
    assert "secret" not in answer.text


async def test_extra_members_and_the_detail_are_told(http: httpx.AsyncClient) -> None:
    document = (await http.post("/things", json={"name": "archived"})).json()
    assert document["detail"] == "since yesterday"
    assert document["since"] == "2026-01-01"


async def test_a_streamed_body_is_limited_as_it_arrives(http: httpx.AsyncClient) -> None:
    async def endless() -> AsyncGenerator[bytes]:
        for _ in range(100):
            yield b"x" * 100

    answer = await http.post("/things", content=endless())
    assert answer.status_code == 413
    assert answer.json()["code"] == "too-large"


async def test_wellformed_request_ids_are_kept_and_others_replaced(
    http: httpx.AsyncClient,
) -> None:
    kept = await http.get("/health", headers={"X-Request-Id": "abcdef-123456"})
    replaced = await http.get("/health", headers={"X-Request-Id": 'evil"\tid'})
    assert kept.headers["x-request-id"] == "abcdef-123456"
    assert replaced.headers["x-request-id"] not in {"", 'evil"\tid'}


async def test_readiness_is_answered_with_what_is_known_and_health_asks_nobody(
    http: httpx.AsyncClient, verdict: dict[str, bool]
) -> None:
    verdict["database"] = False
    unready = await http.get("/ready")

    assert unready.status_code == 503
    assert unready.json() == {
        "ready": False,
        "status": "not_ready",
        "blocked_by": ["database"],
        "dependencies": {"database": {"status": "down", "degraded": "all"}},
    }
    assert (await http.get("/health")).status_code == 200


async def test_requests_are_measured_by_route_template(
    http: httpx.AsyncClient, registry: CollectorRegistry
) -> None:
    await http.get("/things/7")
    await http.get("/things/8")
    text = generate_latest(registry).decode()
    assert (
        'sharezync_http_request_duration_seconds_count{method="GET",'
        'route="/things/{number}",service="things",status_class="2xx"} 2.0' in text
    )
    assert "/things/7" not in text


async def test_probes_and_invented_methods_are_counted_apart(
    http: httpx.AsyncClient, registry: CollectorRegistry
) -> None:
    await http.get("/health")
    await http.get("/ready")
    await http.request("INVENTED", "/nowhere")
    await http.request("DELETE", "/nowhere")
    samples = [sample for family in registry.collect() for sample in family.samples]
    probes = {s.labels["route"] for s in samples if s.name == "sharezync_http_probes_total"}
    assert probes == {"/health", "/ready"}
    counted = {
        (s.labels["route"], s.labels["method"])
        for s in samples
        if s.name == "sharezync_http_request_duration_seconds_count"
    }
    assert counted == {("unmatched", "other"), ("unmatched", "DELETE")}


async def test_the_openapi_document_declares_problems(app: FastAPI) -> None:
    responses = app.openapi()["paths"]["/things"]["post"]["responses"]
    assert "channel-archived" in responses["409"]["description"]
    assert list(responses["422"]["content"]) == ["application/problem+json"]
    schemas = app.openapi()["components"]["schemas"]
    assert "ProblemDocument" in schemas
    assert "HTTPValidationError" not in schemas


def test_every_kind_is_an_http_error_status() -> None:
    assert all(400 <= kind.value < 600 for kind in ProblemKind)
