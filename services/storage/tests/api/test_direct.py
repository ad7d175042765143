"""Uploads by signed URLs, where clients can't reach the store: through us, and they can't tell."""

import asyncio
import os
import re
from datetime import timedelta

import httpx
import pytest
from sqlmodel import col, update

from services.storage.tests.direct_client import DirectClient
from services.storage.tests.support import Person, World, code_of, sha256
from sharezync_storage.errors import StoreUnavailable
from sharezync_storage.models import Upload
from sharezync_storage.settings import MIB
from sharezync_testkit.waiting import wait_until

DATA = os.urandom(17 * MIB + 5)


@pytest.fixture
def client(alice: Person, anybody: httpx.AsyncClient) -> DirectClient:
    return DirectClient(alice.http, anybody, DATA)


def small(alice: Person, anybody: httpx.AsyncClient) -> DirectClient:
    return DirectClient(alice.http, anybody, b"small")


async def test_a_file_in_three_parts(world: World, alice: Person, client: DirectClient) -> None:
    upload = await client.begin("naïve/../film.mp4")
    assert [part["size_bytes"] for part in upload["parts"]] == [8 * MIB, 8 * MIB, MIB + 5]
    assert (upload["name"], upload["state"], upload["file_id"]) == ("film.mp4", "created", None)
    assert await alice.usage() == (0, len(DATA))

    await client.send(upload)
    file = await client.complete(upload)

    assert file["id"] == upload["id"]
    assert (file["size_bytes"], file["mime"]) == (len(DATA), "video/mp4")
    assert (await alice.content(file)).content == DATA
    assert await alice.usage() == (len(DATA), 0)
    assert [fact.type for fact in world.told(file)] == ["storage.file.stored.v1"]
    assert (await client.fresh(upload))["parts"] == []
    await world.left(1)


@pytest.mark.parametrize("size", [0, 1, 8 * MIB, 8 * MIB + 1])
async def test_any_size(alice: Person, anybody: httpx.AsyncClient, size: int) -> None:
    client = DirectClient(alice.http, anybody, os.urandom(size))
    file = await client.upload()
    assert (await alice.content(file)).content == client.data


async def test_it_goes_on_in_another_process_with_fresh_urls(
    alice: Person, anybody: httpx.AsyncClient, client: DirectClient
) -> None:
    upload = await client.begin()
    await client.send(upload, but={2})
    assert code_of(await client.try_complete(upload)) == "parts-wrong"

    another_day = DirectClient(alice.http, anybody, DATA, etags=client.etags)
    await another_day.send(await another_day.fresh(upload))
    file = await another_day.complete(upload)

    assert (await alice.content(file)).content == DATA


async def test_an_etag_is_the_digest_and_the_same_part_has_it_again(
    alice: Person, anybody: httpx.AsyncClient
) -> None:
    client = small(alice, anybody)
    upload = await client.begin()
    (part,) = upload["parts"]
    for _ in range(2):
        answer = await client.put(upload, part)
        assert (answer.status_code, answer.headers["etag"]) == (200, f'"{sha256(b"small")}"')
    other = await client.put(upload, part, b"SMALL")
    assert (other.status_code, code_of(other)) == (409, "chunk-conflict")


async def test_completing_again_leads_to_the_same_file(
    world: World, alice: Person, anybody: httpx.AsyncClient
) -> None:
    client = small(alice, anybody)
    upload = await client.begin()
    await client.send(upload)
    answers = await asyncio.gather(*(client.try_complete(upload) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["id"] for answer in answers} == {upload["id"]}
    assert len(world.told(upload)) == 1
    assert await alice.usage() == (5, 0)


@pytest.mark.parametrize(
    "etags",
    [{}, {1: '"0"'}, {1: "right", 2: '"0"'}, {2: "right"}],
    ids=["none", "another", "one too many", "another number"],
)
async def test_only_the_parts_that_came_can_be_completed(
    alice: Person, anybody: httpx.AsyncClient, etags: dict[int, str]
) -> None:
    client = small(alice, anybody)
    upload = await client.begin()
    await client.send(upload)
    right = client.etags
    client.etags = {n: right[1] if etag == "right" else etag for n, etag in etags.items()}
    answer = await client.try_complete(upload)
    assert (answer.status_code, code_of(answer)) == (409, "parts-wrong")
    client.etags = {1: right[1].strip('"')}  # as some libraries give it
    await client.complete(upload)


async def test_naming_a_part_twice_is_refused(alice: Person, anybody: httpx.AsyncClient) -> None:
    client = small(alice, anybody)
    upload = await client.begin()
    await client.send(upload)
    twice = [{"number": 1, "etag": client.etags[1]}] * 2
    url = f"/v1/files/presigned/{upload['id']}/complete"
    answer = await alice.http.post(url, json={"parts": twice})
    assert (answer.status_code, code_of(answer)) == (409, "parts-wrong")


@pytest.mark.parametrize("wrong", [b"smal", b"small!", b""])
async def test_a_part_has_the_length_that_was_said(
    alice: Person, anybody: httpx.AsyncClient, wrong: bytes
) -> None:
    client = small(alice, anybody)
    upload = await client.begin()
    answer = await client.put(upload, upload["parts"][0], wrong)
    assert (answer.status_code, code_of(answer)) == (422, "chunk-length")


async def test_an_upload_is_nobody_elses(
    world: World, alice: Person, anybody: httpx.AsyncClient
) -> None:
    client, eve = small(alice, anybody), await world.person()
    upload = await client.begin()
    await client.send(upload)
    stranger = DirectClient(eve.http, anybody, b"small", etags=client.etags)
    assert (await eve.http.get(f"/v1/files/presigned/{upload['id']}")).status_code == 404
    assert (await stranger.try_complete(upload)).status_code == 404
    assert (await stranger.abort(upload)).status_code == 404
    await client.complete(upload)


# --- signatures ----------------------------------------------------------------------------------


async def test_no_url_but_ours_takes_a_part(alice: Person, anybody: httpx.AsyncClient) -> None:
    client = small(alice, anybody)
    upload, other = await client.begin(), await client.begin()
    url = upload["parts"][0]["url"]
    assert re.fullmatch(
        rf"/v1/files/presigned/{upload['id']}/parts/1\?expires=\d+&signature=[\w-]+", url
    )
    path, _, query = url.partition("?")
    forged = [
        f"{path}?{query[:-1]}{'A' if query[-1] != 'A' else 'B'}",
        f"{path}?{re.sub(r'expires=(.)', 'expires=9', query)}",
        f"/v1/files/presigned/{other['id']}/parts/1?{query}",
        f"/v1/files/presigned/{upload['id']}/parts/2?{query}",
    ]
    for forgery in forged:
        answer = await anybody.put(forgery, content=b"small")
        assert (answer.status_code, code_of(answer)) == (403, "signature-invalid")
    answer = await anybody.get(f"/v1/files/{upload['id']}/content?{query}")
    assert (answer.status_code, code_of(answer)) == (403, "signature-invalid")
    assert (await anybody.put(path, content=b"small")).status_code == 422
    assert (await anybody.put(url, content=b"small")).status_code == 200


async def test_a_url_runs_out_and_the_upload_has_fresh_ones(
    world: World, alice: Person, anybody: httpx.AsyncClient
) -> None:
    client = small(alice, anybody)
    upload = await client.begin()
    past = world.parts.signer.part_path(upload["id"], 1, 1_000_000_000)
    answer = await anybody.put(past, content=b"small")
    assert (answer.status_code, code_of(answer)) == (403, "signature-expired")
    await client.send(await client.fresh(upload))
    await client.complete(upload)


# --- the digest of the whole ---------------------------------------------------------------------


async def test_a_digest_that_was_said_is_checked_and_the_file_has_it(
    alice: Person, anybody: httpx.AsyncClient
) -> None:
    data = os.urandom(8 * MIB + 1)
    for said in (sha256(data), sha256(data).upper(), None):
        file = await DirectClient(alice.http, anybody, data, sha256=said).upload()
        assert file["sha256"] == (sha256(data) if said else None)


async def test_what_has_another_digest_than_was_said_is_given_up(
    alice: Person, anybody: httpx.AsyncClient
) -> None:
    client = DirectClient(alice.http, anybody, b"hello", sha256=sha256(b"another"))
    upload = await client.begin()
    await client.send(upload)
    answer = await client.try_complete(upload)
    assert code_of(answer) == "digest-mismatch"
    assert answer.json()["actual_sha256"] == sha256(b"hello")
    assert await alice.usage() == (0, 0)
    answer = await client.try_complete(upload)
    assert (answer.status_code, code_of(answer)) == (410, "upload-gone")


# --- beginning -----------------------------------------------------------------------------------


async def test_the_same_key_begins_the_same_upload(
    world: World, alice: Person, anybody: httpx.AsyncClient
) -> None:
    client = small(alice, anybody)
    begun = await asyncio.gather(*(client.begin(Idempotency_Key="k") for _ in range(8)))
    assert len({upload["id"] for upload in begun}) == 1
    assert await alice.usage() == (0, 5)
    others = [
        DirectClient(alice.http, anybody, b"another"),
        DirectClient(alice.http, anybody, client.data, sha256=sha256(client.data)),
    ]
    for other in others:
        answer = await other.try_begin(Idempotency_Key="k")
        assert (answer.status_code, code_of(answer)) == (409, "conflict")
    bob = await world.person()
    theirs = await DirectClient(bob.http, anybody, b"small").begin(Idempotency_Key="k")
    assert theirs["id"] != begun[0]["id"]


async def test_what_does_not_fit_is_refused_before_anything_comes(
    alice: Person, anybody: httpx.AsyncClient
) -> None:
    async def begin(size: int) -> tuple[int, str]:
        body = {"name": "x", "size_bytes": size}
        answer = await alice.http.post("/v1/files/presigned", json=body)
        return answer.status_code, code_of(answer)

    assert await begin(80_000_001) == (413, "file-too-large")
    await DirectClient(alice.http, anybody, bytes(30_000_000)).begin()
    assert await begin(75_000_000) == (507, "quota-exceeded")
    assert await alice.usage() == (0, 30_000_000)


async def test_uploads_of_one_user_are_bounded(
    world: World, alice: Person, anybody: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = small(alice, anybody)
    limits = world.parts.settings
    object.__setattr__(limits, "max_uploads_per_user", 3)
    try:
        begun = [await client.begin() for _ in range(3)]
        answer = await client.try_begin()
        assert (answer.status_code, code_of(answer)) == (429, "too-many-uploads")
        assert "retry-after" in answer.headers
        await client.abort(begun[0])
        await client.begin()
    finally:
        object.__setattr__(limits, "max_uploads_per_user", 1000)


async def test_a_store_that_is_away_leaves_nothing_behind(
    world: World, alice: Person, anybody: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = small(alice, anybody)

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(world.parts.store, "begin_chunks", away)
        answer = await client.try_begin(Idempotency_Key="k")
        assert (answer.status_code, code_of(answer)) == (503, "storage-unavailable")
        assert await alice.usage() == (0, 0)
    assert await client.begin(Idempotency_Key="k")


async def test_what_a_crash_left_unopened_is_opened_by_who_asks_next(
    world: World, alice: Person, anybody: httpx.AsyncClient
) -> None:
    client = small(alice, anybody)
    upload = await client.begin()
    async with world.app.state.work.begin() as unit:
        row = await unit.get(Upload, upload["id"], lock=True)
        assert row is not None
        row.chunk_size_bytes, row.store_key = None, row.store_key.replace("uploads", "files")
    assert code_of(await client.try_complete(upload)) == "parts-wrong"
    await client.send(await client.fresh(upload))
    file = await client.complete(upload)
    assert (await alice.content(file)).content == b"small"


# --- endings -------------------------------------------------------------------------------------


async def test_what_was_given_up_leaves_nothing_and_takes_nothing(
    world: World, alice: Person, client: DirectClient
) -> None:
    upload = await client.begin()
    await client.send(upload, but={3})
    for _ in range(2):
        assert (await client.abort(upload)).status_code == 204
    assert await alice.usage() == (0, 0)
    answer = await client.put(upload, upload["parts"][2])
    assert (answer.status_code, code_of(answer)) == (409, "upload-closed")
    answer = await alice.http.get(f"/v1/files/presigned/{upload['id']}")
    assert (answer.status_code, code_of(answer)) == (410, "upload-gone")
    answer = await client.try_complete(upload)
    assert (answer.status_code, code_of(answer)) == (410, "upload-gone")
    await world.left(0)


async def test_what_is_a_file_is_deleted_as_files_are(
    world: World, alice: Person, anybody: httpx.AsyncClient
) -> None:
    client = small(alice, anybody)
    upload = await client.begin()
    await client.send(upload)
    await client.complete(upload)
    answer = await client.abort(upload)
    assert (answer.status_code, code_of(answer)) == (409, "upload-closed")
    assert (await alice.http.delete(f"/v1/files/{upload['id']}")).status_code == 204
    answer = await client.try_complete(upload)
    assert (answer.status_code, code_of(answer)) == (410, "upload-gone")
    await world.left(0)


async def test_what_nobody_goes_on_with_expires(
    world: World, alice: Person, client: DirectClient
) -> None:
    upload = await client.begin()
    await client.send(upload, but={1})
    async with world.app.state.work.begin() as unit:
        past = unit.now - timedelta(seconds=1)
        mine = col(Upload.id) == upload["id"]
        await unit.session.exec(update(Upload).where(mine).values(expires_at=past))
    world.parts.sweeper.wake()

    async def given_up() -> bool:
        return await alice.usage() == (0, 0)

    for _ in range(500):
        if await given_up():
            break
        await asyncio.sleep(0.02)  # the sweeper tells nobody
    answer = await alice.http.get(f"/v1/files/presigned/{upload['id']}")
    assert (answer.status_code, code_of(answer)) == (410, "upload-gone")
    await wait_until(lambda: not world.blobs())
