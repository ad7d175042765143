"""The whole service on a real S3 API server: files, chunks, links, sweeping."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.storage.tests.support import World, code_of, cut, root_of, sha256
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_storage.app import create_app
from sharezync_storage.settings import StorageSettings
from sharezync_storage.stores.s3 import S3Store
from sharezync_testkit.servers import S3Server
from sharezync_testkit.service import platform_for_tests, running
from sharezync_testkit.waiting import GIVE_UP_SECONDS

MIB = 1024 * 1024


@pytest.fixture
def s3_settings(settings: StorageSettings, s3_server: S3Server) -> StorageSettings:
    return settings.model_copy(
        update={
            "s3_bucket_name": s3_server.bucket(),
            "s3_endpoint_url": s3_server.endpoint_url,
            "aws_default_region": s3_server.region,
        }
    )


@pytest.fixture(autouse=True)
def _credentials(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    # By the environment of the SDK, as a role would give them.
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_access_key)


async def world_on(settings: StorageSettings, issuer: TokenIssuer) -> AsyncIterator[World]:
    app = create_app(settings, platform_for_tests("storage", issuer))
    world = await World.enter(app, issuer, Path("/nonexistent"))
    async with running(app):
        yield world
        await world.leave()


@pytest.fixture
async def s3_world(s3_settings: StorageSettings, issuer: TokenIssuer) -> AsyncIterator[World]:
    async for world in world_on(s3_settings, issuer):
        yield world


@pytest.fixture
async def public_world(s3_settings: StorageSettings, issuer: TokenIssuer) -> AsyncIterator[World]:
    """Where clients reach the bucket themselves."""
    public = (s3_settings.s3_endpoint_url or "").replace("127.0.0.1", "localhost")
    settings = s3_settings.model_copy(update={"s3_public_endpoint_url": public})
    async for world in world_on(settings, issuer):
        yield world


async def left(world: World, count: int) -> None:
    """Sweep, and see that so many objects are left; the sweeper of the service may help."""
    await world.sweep()
    store = world.parts.store
    assert isinstance(store, S3Store)
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while len(await store._bucket.keys("")) > count:  # noqa: ASYNC110 - buckets tell nobody
            await asyncio.sleep(0.02)
    assert len(await store._bucket.keys("")) == count


async def test_a_file_in_one_piece(s3_world: World) -> None:
    alice, eve = await s3_world.person(), await s3_world.person()
    data = os.urandom(9 * MIB + 3)
    file = await alice.upload(data, "a.zip", "application/zip")
    assert file["sha256"] == sha256(data)
    assert (await alice.content(file)).content == data
    answer = await alice.content(file, Range="bytes=8388600-8388700")
    assert (answer.status_code, answer.content) == (206, data[8388600:8388701])
    assert (await eve.content(file)).status_code == 404
    await alice.http.delete(f"/v1/files/{file['id']}")
    await left(s3_world, 0)


async def test_chunks_become_a_file(s3_world: World) -> None:
    alice = await s3_world.person()
    data = os.urandom(9 * MIB + 77)
    chunks = cut(data, MIB)
    upload = await s3_world.begin(alice, len(data), MIB, sha256=sha256(data))
    answers = await asyncio.gather(
        *(s3_world.put(upload, i, chunk) for i, chunk in reversed(list(enumerate(chunks))))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert (await s3_world.chunk(upload, 4)).content == chunks[4]
    assert code_of(await s3_world.put(upload, 4, bytes(MIB))) == "chunk-conflict"
    answer = await s3_world.finish(upload)
    assert answer.json()["root"] == root_of(chunks)
    assert (await s3_world.chunk(upload, 4)).content == chunks[4]
    await left(s3_world, 1)  # the chunks have gone into the file
    assert (await s3_world.chunk(upload, 4)).content == chunks[4]
    file = (await alice.http.get(f"/v1/files/{upload['id']}")).json()
    assert (await alice.content(file)).content == data


async def test_an_aborted_upload_leaves_nothing(s3_world: World) -> None:
    alice = await s3_world.person()
    upload = await s3_world.begin(alice, 2000)
    await s3_world.put(upload, 0, bytes(1000))
    await s3_world.abort(upload)
    await left(s3_world, 0)


async def test_two_replicas_agree_on_every_chunk(
    s3_world: World, s3_settings: StorageSettings, issuer: TokenIssuer
) -> None:
    """Different contents for one place, at the same time, in two processes."""
    alice = await s3_world.person()
    async for other in world_on(s3_settings, issuer):
        upload = await s3_world.begin(alice, 20_000)
        ours, theirs = ([os.urandom(1000) for _ in range(20)] for _ in range(2))
        jobs = [s3_world.put(upload, i, chunk) for i, chunk in enumerate(ours)]
        jobs += [other.put(upload, i, chunk) for i, chunk in enumerate(theirs)]
        answers = await asyncio.gather(*jobs)
        winners = []
        for index in range(20):
            pair = answers[index].status_code, answers[20 + index].status_code
            assert sorted(pair) == [200, 409]
            winners.append(ours[index] if pair[0] == 200 else theirs[index])
        finished = await asyncio.gather(s3_world.finish(upload), other.finish(upload))
        assert [answer.json()["root"] for answer in finished] == [root_of(winners)] * 2
        file = (await alice.http.get(f"/v1/files/{upload['id']}")).json()
        assert (await alice.content(file)).content == b"".join(winners)
        assert await alice.usage() == (20_000, 0)


async def test_links_lead_through_us_where_clients_can_not_reach_the_bucket(
    s3_world: World,
) -> None:
    alice = await s3_world.person()
    file = await alice.upload(b"x")
    url = (await s3_world.link(file, alice)).json()["url"]
    assert url.startswith("/v1/files/")
    assert (await alice.http.get(url)).content == b"x"


async def test_links_lead_straight_to_the_bucket_where_clients_can(public_world: World) -> None:
    alice = await public_world.person()
    file = await alice.upload(b"<script>", "naïve.html", "text/html")
    url = (await public_world.link(file, alice)).json()["url"]
    assert url.startswith("http://localhost:")
    async with httpx.AsyncClient() as anybody:
        answer = await anybody.get(url)
    assert answer.content == b"<script>"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"na_ve.html\"; filename*=UTF-8''na%C3%AFve.html"
    )


async def test_it_is_not_ready_without_its_bucket(
    s3_settings: StorageSettings, issuer: TokenIssuer
) -> None:
    settings = s3_settings.model_copy(update={"s3_bucket_name": "nowhere"})
    async for world in world_on(settings, issuer):
        alice = await world.person()
        ready = await alice.http.get("/ready")
        assert (ready.status_code, ready.json()["blocked_by"]) == (503, ["store"])
        store = ready.json()["dependencies"]["store"]
        assert store["detail"].startswith("the bucket nowhere doesn't exist at http://")
        answer = await alice.try_upload(b"x")
        assert (answer.status_code, code_of(answer)) == (503, "storage-unavailable")
        assert await alice.usage() == (0, 0)
