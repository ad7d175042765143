"""What a frontend developer opens first."""

from collections.abc import AsyncGenerator

import httpx
import pytest

SERVICES = ("auth", "chat", "transfer", "storage")


@pytest.fixture
async def http(base_url: str) -> AsyncGenerator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=base_url) as client:
        yield client


@pytest.mark.parametrize("path", ["/docs", "/redoc", *(f"/docs/{name}" for name in SERVICES)])
async def test_pages_are_served(http: httpx.AsyncClient, path: str) -> None:
    page = await http.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")


async def test_the_merged_document_tells_of_more_than_thirty_operations(
    http: httpx.AsyncClient,
) -> None:
    document = (await http.get("/openapi.json")).json()
    operations = [
        operation
        for path in document["paths"].values()
        for method, operation in path.items()
        if method in {"get", "post", "put", "patch", "delete", "head"}
    ]
    ids = [operation["operationId"] for operation in operations]

    assert len(operations) > 30
    assert len(set(ids)) == len(ids)
    assert all(operation.get("summary") for operation in operations)
    assert not [path for path in document["paths"] if path.startswith("/internal")]


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_has_its_own_document(http: httpx.AsyncClient, service: str) -> None:
    document = (await http.get(f"/openapi/{service}.json")).json()
    assert document["openapi"].startswith("3.")
    assert document["paths"]


async def test_metrics_do_not_pass_the_gateway(http: httpx.AsyncClient) -> None:
    assert (await http.get("/metrics")).status_code == 404
