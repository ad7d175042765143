"""tuspy, the client in Python of those who make tus, against the service."""

import asyncio
import hashlib
import io
import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tusclient.client import TusClient
from tusclient.uploader.uploader import Uploader

from services.storage.tests.storage_process import StorageProcess
from services.storage.tests.tus_service import OF_THIS_MODULE
from sharezync_testkit.tus.client import UPLOADS, Tus
from sharezync_testkit.waiting import wait_until

MIB = 1024 * 1024
FILM = os.urandom(24 * MIB + 5)

pytestmark = [OF_THIS_MODULE, pytest.mark.timeout(120)]


@pytest.fixture
def film() -> io.BytesIO:
    """In memory: tuspy leaves files open."""
    return io.BytesIO(FILM)


@pytest_asyncio.fixture(loop_scope="module")
async def tus(storage: StorageProcess) -> AsyncIterator[Tus]:
    """The same person, to look at what became of it."""
    async with Tus.at(storage.url, storage.token()) as client:
        yield client


@pytest.fixture
def client(storage: StorageProcess, tus: Tus) -> TusClient:
    headers = {"Authorization": tus.http.headers["authorization"]}
    return TusClient(storage.url + UPLOADS, headers=headers)


@pytest.mark.parametrize("upload_checksum", [False, True])
async def test_a_file_arrives(
    tus: Tus, client: TusClient, film: io.BytesIO, upload_checksum: bool
) -> None:
    uploader = client.uploader(
        file_stream=film,
        chunk_size=5 * MIB,
        metadata={"filename": "film.mp4", "filetype": "video/mp4"},
        upload_checksum=upload_checksum,
    )
    await asyncio.to_thread(uploader.upload)
    await tus.became(_url(uploader), FILM)
    [file] = await tus.files()
    assert (file["name"], file["mime"]) == ("film.mp4", "video/mp4")
    assert file["sha256"] == hashlib.sha256(FILM).hexdigest()


async def test_an_empty_file_arrives(tus: Tus, client: TusClient) -> None:
    uploader = client.uploader(file_stream=io.BytesIO())
    await asyncio.to_thread(uploader.upload)
    assert await tus.content(_url(uploader)) == b""


async def test_another_uploader_goes_on_where_the_first_one_was(
    tus: Tus, client: TusClient, film: io.BytesIO
) -> None:
    first = client.uploader(file_stream=film, chunk_size=MIB)
    await asyncio.to_thread(first.upload, stop_at=7 * MIB)
    second = await asyncio.to_thread(_resumed, client, film, _url(first))
    assert second.offset == 7 * MIB
    await asyncio.to_thread(second.upload)
    await tus.became(_url(first), FILM)


def _url(uploader: Uploader) -> str:
    return str(uploader.url)


def _resumed(client: TusClient, film: io.BytesIO, url: str) -> Uploader:
    return client.uploader(file_stream=film, url=url, chunk_size=5 * MIB)


@pytest.mark.parametrize("upload_checksum", [False, True])
async def test_it_goes_on_after_the_service_was_killed(
    storage: StorageProcess, tus: Tus, client: TusClient, film: io.BytesIO, upload_checksum: bool
) -> None:
    uploader = client.uploader(
        file_stream=film,
        chunk_size=MIB,
        retries=100,
        retry_delay=1,
        upload_checksum=upload_checksum,
    )
    await asyncio.to_thread(uploader.upload, stop_at=3 * MIB)
    rest = asyncio.create_task(asyncio.to_thread(uploader.upload))
    await wait_until(lambda: uploader.offset > 3 * MIB)  # it is sending again
    await storage.kill()
    assert not rest.done()
    await storage.start()
    await rest
    await tus.became(_url(uploader), FILM)
    assert len(await tus.files()) == 1
