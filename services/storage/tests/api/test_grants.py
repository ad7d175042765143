"""Who beside the owner may read a file: as long as a service says so, and nothing more."""

from collections.abc import AsyncIterator

import httpx
import pytest

from services.storage.tests.support import Json, Person, World, code_of
from sharezync_shared.ids import uuid7

DATA = b"between us" * 100


@pytest.fixture
async def bob(world: World) -> Person:
    return await world.person()


@pytest.fixture
async def file(alice: Person) -> Json:
    return await alice.upload(DATA)


@pytest.fixture
async def anybody(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def grant(world: World, file: Json, person: Person, method: str = "PUT") -> int:
    url = f"/internal/files/{file['id']}/grants/{person.id}"
    return (await world.inside.request(method, url)).status_code


async def test_who_was_given_leave_may_look_and_read(
    world: World, alice: Person, bob: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    assert (await bob.http.get(f"/v1/files/{file['id']}")).status_code == 404
    assert [await grant(world, file, bob) for _ in range(2)] == [204, 204]

    assert (await bob.http.get(f"/v1/files/{file['id']}")).json() == file
    assert (await bob.content(file)).content == DATA
    part = await bob.content(file, Range="bytes=2-3")
    assert (part.status_code, part.content) == (206, DATA[2:4])
    url = (await bob.http.post(f"/v1/files/{file['id']}/urls")).json()["url"]
    assert (await anybody.get(url)).content == DATA


async def test_they_may_do_nothing_else(world: World, bob: Person, file: Json) -> None:
    await grant(world, file, bob)
    url = f"/v1/files/{file['id']}"
    assert (await bob.http.delete(url)).status_code == 404
    assert (await bob.http.delete(url, params={"everywhere": "true"})).status_code == 404
    assert (await bob.http.post(f"{url}/links")).status_code == 404
    assert (await bob.http.get(f"{url}/links")).status_code == 404
    assert (await bob.http.get("/v1/files")).json()["items"] == []
    assert await bob.usage() == (0, 0)
    assert (await bob.content(file)).status_code == 200


async def test_leave_is_one_persons_and_one_files(
    world: World, alice: Person, bob: Person, file: Json
) -> None:
    await grant(world, file, bob)
    eve, other = await world.person(), await alice.upload(b"mine")
    assert (await eve.content(file)).status_code == 404
    assert (await bob.content(other)).status_code == 404
    assert (await bob.http.post(f"/v1/files/{other['id']}/urls")).status_code == 404


async def test_leave_is_taken_back(world: World, alice: Person, bob: Person, file: Json) -> None:
    await grant(world, file, bob)
    assert [await grant(world, file, bob, "DELETE") for _ in range(2)] == [204, 204]
    answer = await bob.content(file)
    assert (answer.status_code, code_of(answer)) == (404, "not-found")
    assert (await bob.http.post(f"/v1/files/{file['id']}/urls")).status_code == 404
    assert (await alice.content(file)).status_code == 200


async def test_leave_ends_with_the_file(
    world: World, alice: Person, bob: Person, file: Json
) -> None:
    await grant(world, file, bob)
    await alice.http.delete(f"/v1/files/{file['id']}")
    assert (await bob.content(file)).status_code == 404
    assert await grant(world, file, bob) == 404
    assert await grant(world, {"id": str(uuid7())}, bob) == 404


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
