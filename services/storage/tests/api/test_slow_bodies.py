"""Bodies that come too slowly, or not at all, from every source: what came is kept if it can be."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from services.storage.tests.support import (
    CHUNKS,
    FORM_TAIL,
    Person,
    World,
    code_of,
    form_head,
    sha256,
)

TUS = {"tus-resumable": "1.0.0"}


@pytest.fixture(autouse=True)
def _short_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is a minute for others is a moment here."""
    monkeypatch.setattr("sharezync_storage.api.bodies.WINDOW_SECONDS", 0.2)
    monkeypatch.setattr("sharezync_storage.api.bodies.IDLE_SECONDS", 0.5)


async def dripping(head: bytes = b"") -> AsyncIterator[bytes]:
    """Come byte by byte, each long before the idle timeout."""
    if head:
        yield head
    while True:
        yield b"."
        await asyncio.sleep(0.05)


async def silent(head: bytes) -> AsyncIterator[bytes]:
    """Begin, and say no more."""
    yield head
    await asyncio.Event().wait()


def refused(answer: httpx.Response) -> dict[str, object]:
    assert (answer.status_code, code_of(answer)) == (408, "body-too-slow")
    document: dict[str, object] = answer.json()
    return document


@pytest.mark.parametrize("manner", ["drips", "falls silent"])
async def test_a_form_that_stalls_is_refused_and_leaves_nothing(
    world: World, alice: Person, manner: str
) -> None:
    headers, head = form_head()
    body = dripping(head) if manner == "drips" else silent(head + b"some of it")
    answer = await alice.http.post("/v1/files", headers=headers, content=body)
    document = refused(answer)
    expected = "min_bytes_per_second" if manner == "drips" else "idle_seconds"
    assert document[expected]
    assert await alice.usage() == (0, 0)
    await world.left(0)


@pytest.mark.parametrize("manner", ["drips", "falls silent"])
async def test_a_chunk_that_stalls_is_refused_and_can_be_sent_again(
    world: World, alice: Person, manner: str
) -> None:
    upload = await world.begin(alice, 4500)
    body = dripping() if manner == "drips" else silent(CHUNKS[0][:100])
    url = f"/internal/uploads/{upload['id']}/chunks/0"
    headers = {"x-chunk-sha256": sha256(CHUNKS[0])}
    refused(await world.inside.put(url, content=body, headers=headers))
    assert (await world.put(upload, 0, CHUNKS[0])).status_code == 200


@pytest.mark.parametrize("manner", ["drips", "falls silent"])
async def test_of_a_resumable_upload_that_stalls_what_came_is_kept(
    world: World, alice: Person, manner: str
) -> None:
    created = await alice.http.post("/v1/uploads", headers={**TUS, "upload-length": "4500"})
    url = created.headers["location"]
    body = dripping(CHUNKS[0]) if manner == "drips" else silent(CHUNKS[0])
    headers = {**TUS, "upload-offset": "0", "content-type": "application/offset+octet-stream"}
    answer = await alice.http.patch(url, headers=headers, content=body)
    # Not 408: clients of tus forget an upload at a refusal of their own doing, and come back here.
    assert (answer.status_code, code_of(answer)) == (503, "upload-interrupted")
    looked = await alice.http.head(url, headers=TUS)
    assert int(looked.headers["upload-offset"]) >= len(CHUNKS[0])


async def test_a_slow_store_is_not_the_clients_fault(
    world: World, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers, head = form_head()

    async def pieces() -> AsyncIterator[bytes]:
        yield head
        for _ in range(5):
            yield b"quick"
        yield FORM_TAIL

    real = world.parts.store.put

    async def slow(key: str, coming: AsyncIterator[bytes]) -> object:
        async def delayed() -> AsyncIterator[bytes]:
            async for piece in coming:
                await asyncio.sleep(0.15)
                yield piece

        return await real(key, delayed())

    monkeypatch.setattr(world.parts.store, "put", slow)
    answer = await alice.http.post("/v1/files", headers=headers, content=pieces())
    assert answer.status_code == 201, answer.text
