"""Downloads by links that end early: before the first byte they give back, after it they count."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from services.storage.tests.links import download, left, make_link
from services.storage.tests.support import Exchange, Json, Person, World, code_of
from sharezync_storage.errors import StoreUnavailable
from sharezync_storage.stores.port import NoSuchBlob

DATA = bytes(4 * 1024 * 1024)


@pytest.fixture
async def anybody(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    transport = httpx.ASGITransport(world.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
async def file(alice: Person) -> Json:
    return await alice.upload(DATA)


def exchange(link: Json, **more: Any) -> Exchange:
    return Exchange("POST", f"{link['path']}/content", {"content-length": "0"}, **more)


async def test_a_client_that_left_before_the_first_byte_gives_it_back(
    world: World, alice: Person, file: Json
) -> None:
    link = await make_link(alice, file, max_downloads=1)
    leaving = exchange(link)
    leaving._gone.set()
    await leaving.run(world.app)
    assert leaving.got_bytes == 0
    assert await left(alice, file) == 1


async def test_so_it_does_where_the_file_is_small(world: World, alice: Person) -> None:
    file = await alice.upload(b"small")
    link = await make_link(alice, file, max_downloads=1)
    leaving = exchange(link)
    leaving._gone.set()
    await leaving.run(world.app)
    assert leaving.got_bytes == 0
    assert await left(alice, file) == 1


async def test_a_client_that_leaves_after_the_first_byte_has_used_it_up(
    world: World, alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    link = await make_link(alice, file, max_downloads=1)
    leaving = await exchange(link, leaves_after_bytes=1).run(world.app)
    assert (leaving.status, 0 < leaving.got_bytes < len(DATA)) == (200, True)
    assert await left(alice, file) == 0
    assert (await download(anybody, link)).status_code == 410


async def test_leaving_at_99_percent_counts_as_well(
    world: World, alice: Person, file: Json
) -> None:
    link = await make_link(alice, file, max_downloads=1)
    leaving = await exchange(link, leaves_after_bytes=len(DATA) - 300_000).run(world.app)
    assert leaving.got_bytes < len(DATA)
    assert await left(alice, file) == 0


@pytest.mark.parametrize(
    ("failure", "status", "code"),
    [(StoreUnavailable(), 503, "storage-unavailable"), (NoSuchBlob("x"), 500, "content-damaged")],
)
async def test_what_we_can_not_send_is_given_back(
    world: World,
    alice: Person,
    file: Json,
    anybody: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
    status: int,
    code: str,
) -> None:
    link = await make_link(alice, file, max_downloads=1)

    def failing(*_: object, **__: object) -> None:
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(world.parts.store, "open", failing)
        answer = await download(anybody, link)
        assert (answer.status_code, code_of(answer)) == (status, code)
    assert await left(alice, file) == 1
    assert (await download(anybody, link)).content == DATA


async def test_going_on_that_fails_gives_nothing_back(
    world: World, alice: Person, file: Json, anybody: httpx.AsyncClient
) -> None:
    link = await make_link(alice, file, max_downloads=1)
    begun = await download(anybody, link, Range="bytes=0-9")
    leaving = exchange(link)
    leaving.headers["download-claim"] = begun.headers["download-claim"]
    leaving._gone.set()
    await leaving.run(world.app)
    assert leaving.got_bytes == 0
    assert await left(alice, file) == 0


async def test_a_link_that_is_revoked_in_between_sends_nothing(
    world: World,
    alice: Person,
    file: Json,
    anybody: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    link = await make_link(alice, file, max_downloads=1)
    opened = world.parts.store.open

    @asynccontextmanager
    async def slow(*given: Any, **named: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        url = f"/v1/files/{file['id']}/links/{link['id']}"
        assert (await alice.http.delete(url)).status_code == 204
        async with opened(*given, **named) as pieces:
            yield pieces

    monkeypatch.setattr(world.parts.store, "open", slow)
    answer = await download(anybody, link)
    assert (answer.status_code, code_of(answer)) == (410, "link-gone")
