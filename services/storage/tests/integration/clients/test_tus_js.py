"""tus-js-client, which most web frontends use, against the service: see `tests/clients/tus-js`."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from services.storage.tests.storage_process import StorageProcess
from services.storage.tests.tus_service import OF_THIS_MODULE
from sharezync_testkit.tus.client import UPLOADS, Tus

HERE = Path(__file__).parents[5] / "tests" / "clients" / "tus-js"
MIB = 1024 * 1024
FILM = os.urandom(24 * MIB + 5)

pytestmark = [OF_THIS_MODULE, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, with its client installed beside it as the lock says."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("there is no node here: tests with tus-js-client are LEFT OUT")
    folder = tmp_path_factory.mktemp("tus-js")
    for path in HERE.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (
            f"npm can't install tus-js-client: tests with it are LEFT OUT\n{done.stderr[-500:]}"
        )
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}\nwhich CI does not allow")
        pytest.skip(reason)
    return folder / "upload.mjs"


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    path.write_bytes(FILM)
    return path


@dataclass
class Uploading:
    """The program under way."""

    process: asyncio.subprocess.Process
    said: list[dict[str, Any]] = field(default_factory=list)

    async def next(self) -> dict[str, Any] | None:
        """Return what it says next; None at the end."""
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        if not line:
            return None
        self.said.append(json.loads(line))
        return self.said[-1]

    async def until(self, key: str) -> Any:
        """Return the value under `key`, once it says one that has it."""
        while (said := await self.next()) is not None:
            assert "error" not in said, self.said
            if key in said:
                return said[key]
        raise AssertionError(f"it ended before it said {key}: {self.said}")

    def go_on(self) -> None:
        """Let the request that waits go on."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")

    def requests(self, method: str) -> list[dict[str, Any]]:
        """Return what it heard in answer to one method so far."""
        return [said for said in self.said if said.get("method") == method]


@asynccontextmanager
async def uploading(
    program: Path, storage: StorageProcess, token: str, film: Path, **asked: Any
) -> AsyncIterator[Uploading]:
    arguments = {
        "endpoint": storage.url + UPLOADS,
        "token": token,
        "file": str(film),
        **asked,
    }
    process = await asyncio.create_subprocess_exec(
        "node",
        str(program),
        json.dumps(arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Uploading(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def arrived(storage: StorageProcess, token: str, url: str) -> None:
    async with Tus.at(storage.url, token) as tus:
        await tus.became(url, FILM)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunkSize": 5_000_000},
        {"uploadDataDuringCreation": True},
        {"uploadDataDuringCreation": True, "chunkSize": 5_000_000},
        {"overridePatchMethod": True},
    ],
    ids=lambda options: "+".join(options) or "plain",
)
async def test_a_file_arrives(
    program: Path, storage: StorageProcess, film: Path, options: dict[str, Any]
) -> None:
    token = storage.token()
    async with uploading(program, storage, token, film, options=options) as upload:
        url = await upload.until("done")
    await arrived(storage, token, url)
    assert not upload.requests("HEAD")  # nothing had to be tried again


async def test_parts_that_are_sent_at_the_same_time_are_concatenated(
    program: Path, storage: StorageProcess, film: Path
) -> None:
    token = storage.token()
    options = {"parallelUploads": 3}
    async with uploading(program, storage, token, film, options=options) as upload:
        url = await upload.until("done")
    await arrived(storage, token, url)
    async with Tus.at(storage.url, token) as tus:
        assert [file["name"] for file in await tus.files()] == ["film.mp4"]


async def test_a_stream_whose_length_nobody_knows_arrives(
    program: Path, storage: StorageProcess, film: Path
) -> None:
    token = storage.token()
    options = {"uploadLengthDeferred": True, "chunkSize": 5_000_000}
    async with uploading(program, storage, token, film, stream=True, options=options) as upload:
        url = await upload.until("done")
    await arrived(storage, token, url)


async def test_an_upload_is_terminated(program: Path, storage: StorageProcess, film: Path) -> None:
    token = storage.token()
    async with uploading(program, storage, token, film, terminate=True) as upload:
        url = await upload.until("terminated")
    async with Tus.at(storage.url, token) as tus:
        assert (await tus.head(url)).status_code in {404, 410}
        assert await tus.files() == []
        assert await tus.usage() == (0, 0)


async def test_it_goes_on_after_the_service_was_killed(
    program: Path, storage: StorageProcess, film: Path
) -> None:
    token = storage.token()
    asked = {"waits": [4 * MIB, 16 * MIB], "options": {"chunkSize": MIB}}
    async with uploading(program, storage, token, film, **asked) as upload:
        await upload.until("waits")
        upload.go_on()
        await upload.until("stored")  # it is sending again
        await storage.kill()
        told = max(said["stored"] for said in upload.said if "stored" in said)
        upload.go_on()  # should it have come to the second place where it waits
        await storage.start()
        url = await upload.until("done")
    [head, *_] = [said for said in upload.requests("HEAD") if said["status"] == 200]
    assert int(head["offset"]) >= told
    assert len(upload.requests("POST")) == 1  # the same upload, and no other
    await arrived(storage, token, url)


async def test_another_process_goes_on_where_the_first_one_was(
    program: Path, storage: StorageProcess, film: Path, tmp_path: Path
) -> None:
    """As a browser does that was closed and opened again."""
    token = storage.token()
    asked: dict[str, Any] = {
        "urlStorage": str(tmp_path / "urls.json"),
        "options": {"chunkSize": MIB},
    }
    async with uploading(program, storage, token, film, waits=[6 * MIB], **asked) as upload:
        assert await upload.until("waits") == 6 * MIB
        upload.process.kill()
    async with uploading(program, storage, token, film, **asked) as upload:
        url = await upload.until("done")
        assert upload.said[0]["previous"] == url
    [head] = upload.requests("HEAD")
    assert int(head["offset"]) == 6 * MIB
    assert not upload.requests("POST")
    await arrived(storage, token, url)
