"""Uploads by signed URLs on S3: straight to the bucket, or through us, and a client can't tell.

On moto, and on a server that holds signatures and what they sign against what really came.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from services.storage.tests.direct_client import DirectClient
from services.storage.tests.support import Json, Person, World, code_of, sha256
from sharezync_shared.tokens.issuer import TokenIssuer
from sharezync_storage.app import create_app
from sharezync_storage.keys import file_key
from sharezync_storage.models import Upload, UploadId
from sharezync_storage.settings import MIB, StorageSettings
from sharezync_storage.stores.s3 import S3Store
from sharezync_storage.usecases import direct_uploads
from sharezync_storage.usecases.direct_uploads import direct_store
from sharezync_testkit.servers import S3Server
from sharezync_testkit.service import platform_for_tests, running
from sharezync_testkit.strict_s3 import StrictS3Server
from sharezync_testkit.waiting import GIVE_UP_SECONDS

Server = S3Server | StrictS3Server
SMALL = b"small"
LARGE = os.urandom(17 * MIB + 5)


@pytest.fixture(params=["s3_server", "strict_s3_server"], ids=["moto", "strict"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    server: Server = request.getfixturevalue(request.param)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)
    monkeypatch.setattr(direct_uploads, "WHOLE_BYTES", MIB)  # or each file in parts would be 64 MiB
    return server


def on(server: Server, settings: StorageSettings, *, public: bool) -> StorageSettings:
    """Return settings for a bucket that clients reach, or can't."""
    return settings.model_copy(
        update={
            "s3_bucket_name": server.bucket(),
            "s3_endpoint_url": server.endpoint_url,
            "aws_default_region": server.region,
            "s3_public_endpoint_url": server.endpoint_url if public else None,
        }
    )


@asynccontextmanager
async def world_on(settings: StorageSettings, issuer: TokenIssuer) -> AsyncIterator[World]:
    app = create_app(settings, platform_for_tests("storage", issuer))
    world = await World.enter(app, issuer, Path("/nonexistent"))
    async with running(app):
        yield world
        await world.leave()


@pytest.fixture
async def world(
    server: Server, settings: StorageSettings, issuer: TokenIssuer
) -> AsyncIterator[World]:
    """Where clients reach the bucket themselves."""
    async with world_on(on(server, settings, public=True), issuer) as world:
        yield world


@asynccontextmanager
async def anybody(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token, that follows paths to us and whole URLs to wherever they lead."""
    ours, anywhere = httpx.ASGITransport(world.app), httpx.AsyncHTTPTransport()
    mounts = {"all://test": ours, "all://": anywhere}
    async with httpx.AsyncClient(mounts=mounts, base_url="http://test") as client:
        yield client


async def left(world: World, count: int) -> None:
    """Sweep, and see that so many objects are left; the sweeper of the service may help."""
    await world.sweep()
    store = world.parts.store
    assert isinstance(store, S3Store)
    async with asyncio.timeout(GIVE_UP_SECONDS):
        while len(await store._bucket.keys("")) > count:  # noqa: ASYNC110 - buckets tell nobody
            await asyncio.sleep(0.02)
    assert len(await store._bucket.keys("")) == count


async def begun(world: World, alice: Person, http: httpx.AsyncClient) -> tuple[DirectClient, Json]:
    client = DirectClient(alice.http, http, LARGE)
    return client, await client.begin()


@pytest.mark.parametrize("public", [True, False], ids=["straight", "through us"])
@pytest.mark.parametrize("data", [b"", SMALL, LARGE], ids=["empty", "small", "large"])
async def test_one_client_does_it_wherever_the_bytes_go(
    server: Server, settings: StorageSettings, issuer: TokenIssuer, *, public: bool, data: bytes
) -> None:
    async with world_on(on(server, settings, public=public), issuer) as world:
        alice = await world.person()
        async with anybody(world) as http:
            client = DirectClient(alice.http, http, data)
            upload = await client.begin("naïve.mp4")
            straight = [part["url"].startswith(server.endpoint_url) for part in upload["parts"]]
            assert set(straight) <= {public}
            await client.send(upload)
            file = await client.complete(upload)
            assert await client.complete(upload) == file

        assert (file["name"], file["mime"], file["size_bytes"]) == (
            "naïve.mp4", "video/mp4", len(data),
        )  # fmt: skip
        assert (await alice.content(file)).content == data
        assert await alice.usage() == (len(data), 0)
        await left(world, 1)
        await alice.http.delete(f"/v1/files/{file['id']}")
        await left(world, 0)


async def test_what_went_straight_to_the_bucket_is_checked_where_its_digest_was_said(
    world: World,
) -> None:
    alice = await world.person()
    async with anybody(world) as http:
        file = await DirectClient(alice.http, http, SMALL, sha256=sha256(SMALL)).upload()
        assert file["sha256"] == sha256(SMALL)
        assert (await DirectClient(alice.http, http, SMALL).upload())["sha256"] is None
        client = DirectClient(alice.http, http, SMALL, sha256=sha256(b"another"))
        upload = await client.begin()
        await client.send(upload)
        assert code_of(await client.try_complete(upload)) == "digest-mismatch"
        await left(world, 2)


async def test_it_goes_on_with_fresh_urls_and_wrong_parts_can_be_mended(world: World) -> None:
    alice = await world.person()
    async with anybody(world) as http:
        client, upload = await begun(world, alice, http)
        await client.send(upload, but={2})
        assert code_of(await client.try_complete(upload)) == "parts-wrong"
        right = dict(client.etags)
        client.etags = {**right, 2: '"0123456789abcdef0123456789abcdef"'}
        assert code_of(await client.try_complete(upload)) == "parts-wrong"

        another_day = DirectClient(alice.http, http, LARGE, etags=right)
        await another_day.send(await another_day.fresh(upload))
        file = await another_day.complete(upload)
    assert (await alice.content(file)).content == LARGE


async def test_no_url_changes_what_is_a_file(world: World, server: Server) -> None:
    alice = await world.person()
    async with anybody(world) as http:
        client = DirectClient(alice.http, http, SMALL)
        upload = await client.begin()
        await client.send(upload)
        file = await client.complete(upload)
        again = await client.put(upload, upload["parts"][0], b"SMALL")
    content = await alice.content(file)
    if isinstance(server, StrictS3Server) and again.status_code == 200:
        # Swift lets parts be written over for as long as their URL holds, and then refuses to put
        # together what does not fit any more: the owner can break their file so, and no more.
        assert content.status_code == 503
    else:
        assert content.content == SMALL


async def test_what_was_given_up_leaves_nothing(world: World) -> None:
    alice = await world.person()
    async with anybody(world) as http:
        client, upload = await begun(world, alice, http)
        await client.send(upload, but={3})
        assert (await client.abort(upload)).status_code == 204
        await left(world, 0)
        assert (await client.put(upload, upload["parts"][2])).status_code >= 400
        assert code_of(await client.try_complete(upload)) == "upload-gone"
    assert await alice.usage() == (0, 0)
    await left(world, 0)


async def test_what_was_completed_before_a_crash_is_completed_by_who_asks_again(
    world: World,
) -> None:
    alice = await world.person()
    async with anybody(world) as http:
        client, upload = await begun(world, alice, http)
        await client.send(upload)
        async with world.app.state.work.read() as unit:
            row = await unit.get(Upload, UploadId(upload["id"]))
        assert row is not None
        etags = [client.etags[number] for number in (1, 2, 3)]
        await direct_store(world.parts.store).complete_direct(
            file_key(row.id), row.direct_id or "", etags, size_bytes=len(LARGE)
        )
        file = await client.complete(upload)
    assert (await alice.content(file)).content == LARGE


async def test_many_ask_for_completion_at_once(world: World) -> None:
    alice = await world.person()
    async with anybody(world) as http:
        client, upload = await begun(world, alice, http)
        await client.send(upload)
        answers = await asyncio.gather(*(client.try_complete(upload) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert await alice.usage() == (len(LARGE), 0)


# --- what a signature holds (moto looks at none) -------------------------------------------------


@pytest.mark.parametrize("server", ["strict_s3_server"], indirect=True, ids=["strict"])
async def test_the_bucket_takes_only_what_was_signed(world: World) -> None:
    alice = await world.person()
    async with anybody(world) as http:
        client = DirectClient(alice.http, http, SMALL)
        upload = await client.begin()
        (part,) = upload["parts"]
        url = part["url"]
        for wrong in (b"smal", b"small!", b""):
            assert (await client.put(upload, part, wrong)).status_code == 403
        other = url.replace(url.split("X-Amz-Signature=")[1][:8], "00000000")
        refused = [
            await http.put(other, content=SMALL),
            await http.put(url.replace("partNumber=1", "partNumber=2"), content=SMALL),
            await http.put(url.split("?")[0], content=SMALL),
            await http.get(url),
            await http.delete(url),
        ]
        assert {answer.status_code for answer in refused} <= {400, 403}
        await client.send(upload)
        assert (await alice.content(await client.complete(upload))).content == SMALL


@pytest.mark.parametrize("server", ["strict_s3_server"], indirect=True, ids=["strict"])
async def test_a_url_that_has_run_out_takes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await world.person()
    monkeypatch.setattr(direct_uploads, "URL_LIFETIME", timedelta(seconds=1))
    async with anybody(world) as http:
        client = DirectClient(alice.http, http, SMALL)
        upload = await client.begin()
        monkeypatch.undo()
        async with asyncio.timeout(GIVE_UP_SECONDS):
            while (await client.put(upload, upload["parts"][0])).status_code != 403:  # noqa: ASYNC110 - the server's clock tells nobody
                await asyncio.sleep(0.2)
        assert (await client.put(upload, upload["parts"][0])).status_code == 403
        fresh = await client.fresh(upload)
        assert (await client.put(fresh, fresh["parts"][0])).status_code == 200
