"""Signed URLs of one's own files."""

from collections.abc import AsyncIterator

import httpx
import pytest

from services.storage.tests.support import Json, Person, World, code_of

DATA = b"mine" * 100


@pytest.fixture
async def file(alice: Person) -> Json:
    return await alice.upload(DATA)


@pytest.fixture
async def anybody(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_a_signed_url_of_ones_own_holds_for_what_was_asked(
    alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    url = f"/v1/files/{file['id']}/urls"
    made = (await alice.http.post(url, json={"expires_in_seconds": 60})).json()
    assert made["url"].startswith(f"/v1/files/{file['id']}/content?expires=")
    assert (await anybody.get(made["url"])).content == DATA
    for wrong in (0, 301, "60"):
        answer = await alice.http.post(url, json={"expires_in_seconds": wrong})
        assert (answer.status_code, code_of(answer)) == (422, "invalid")
