"""A process that may have far less memory than a file has bytes takes it in and hands it out."""

import asyncio
import hashlib
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.storage.tests.integration.test_kill import Served, served
from sharezync_shared.ids import UserId, uuid7
from sharezync_testkit.servers import S3Server

MIB = 1024 * 1024
FILE_BYTES = 192 * MIB
HEADROOM_BYTES = 128 * MIB
"""Beyond what it has when it idles; stacks of threads that only begin then count too."""
_BLOCK = os.urandom(MIB)
TUS = {"tus-resumable": "1.0.0"}


async def blocks() -> AsyncIterator[bytes]:
    """The file: no two of its blocks are alike."""
    for number in range(FILE_BYTES // MIB):
        yield number.to_bytes(8, "big") + _BLOCK[8:]


async def digest_of(pieces: AsyncIterator[bytes]) -> str:
    digest = hashlib.sha256()
    async for piece in pieces:
        await asyncio.to_thread(digest.update, piece)
    return digest.hexdigest()


def restrict(storage: Served) -> None:
    """Allow the process so much more than it has now: what goes past it is a MemoryError there."""
    status = Path(f"/proc/{storage.process.pid}/status").read_text()
    [data] = [line for line in status.splitlines() if line.startswith("VmData:")]
    limit = int(data.split()[1]) * 1024 + HEADROOM_BYTES
    resource.prlimit(storage.process.pid, resource.RLIMIT_DATA, (limit, limit))


async def by_form(http: httpx.AsyncClient) -> str:
    async def form() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
        async for block in blocks():
            yield block
        yield b"\r\n--b--\r\n"

    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = await http.post("/v1/files", content=form(), headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def by_tus(http: httpx.AsyncClient) -> str:
    headers = {**TUS, "upload-length": str(FILE_BYTES)}
    created = await http.post("/v1/uploads", headers=headers)
    url = created.headers["location"]
    headers = {**TUS, "upload-offset": "0", "content-type": "application/offset+octet-stream"}
    answer = await http.patch(url, content=blocks(), headers=headers)
    assert answer.status_code == 204, answer.text
    file_id = url.rpartition("/")[2]
    async with asyncio.timeout(60):  # it is verified, and becomes a file
        while (await http.get(f"/v1/files/{file_id}")).status_code != 200:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)
    return str(file_id)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("store", ["disk", "s3"])
async def test_files_are_larger_than_the_memory_they_go_through(
    storage_database_url: str, tmp_path: Path, s3_server: S3Server, store: str
) -> None:
    environment = {"QUOTA_BYTES": str(4 * FILE_BYTES)}
    if store == "s3":
        environment |= {
            "S3_BUCKET_NAME": s3_server.bucket(),
            "S3_ENDPOINT_URL": s3_server.endpoint_url,
            "AWS_DEFAULT_REGION": s3_server.region,
            "AWS_ACCESS_KEY_ID": s3_server.access_key_id,
            "AWS_SECRET_ACCESS_KEY": s3_server.secret_access_key,
        }
    expected = await digest_of(blocks())
    alice = UserId(uuid7())
    async with served(storage_database_url, tmp_path, alice, **environment) as storage:
        restrict(storage)
        storage.alice.timeout = httpx.Timeout(120)
        for bring in (by_form, by_tus):
            file_id = await bring(storage.alice)
            assert (await storage.alice.get(f"/v1/files/{file_id}")).json()["sha256"] == expected
            async with storage.alice.stream("GET", f"/v1/files/{file_id}/content") as answer:
                assert await digest_of(answer.aiter_bytes()) == expected
            await storage.alice.delete(f"/v1/files/{file_id}")
        assert storage.process.returncode is None
