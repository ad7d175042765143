"""`python -m sharezync_storage collect` and `renew-epoch`, as operators call them."""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from services.storage.tests.integration.test_kill import Served, served
from sharezync_shared.db.database import Database
from sharezync_shared.ids import UserId, uuid7
from sharezync_storage.migrations import MIGRATIONS
from sharezync_testkit.servers import Databases
from sharezync_testkit.waiting import GIVE_UP_SECONDS


@pytest.fixture
def migrated_url(databases: Databases) -> str:
    """A database with the tables of storage, and nothing of other tests."""
    return databases.migrated(MIGRATIONS)


async def collect(database_url: str, data_dir: Path, *arguments: str) -> tuple[int | None, str]:
    """Run `collect`; return its exit status and what it printed."""
    return await run("collect", database_url, data_dir, *arguments)


async def run(
    command: str, database_url: str, data_dir: Path, *arguments: str
) -> tuple[int | None, str]:
    """Run a command; return its exit status and what it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sharezync_storage", command, *arguments,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "DATABASE_URL": database_url,
            "DATA_DIR": str(data_dir),
        },
        cwd=data_dir,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    printed, _ = await process.communicate()
    return process.returncode, printed.decode()


async def begun(storage: Served, alice: UserId, size: int) -> str:
    answer = await storage.inside.post(
        "/internal/uploads/begin",
        json={
            "owner_id": str(alice),
            "chunk_size_bytes": 1000,
            "files": [{"name": "x", "size_bytes": size}],
        },
    )
    return str(answer.json()["uploads"][0]["id"])


async def expire(database_url: str, upload_id: str) -> None:
    database = Database(database_url, "storage", pool_size=1)
    try:
        await (await database.pool()).execute(
            "UPDATE storage.uploads SET expires_at = now() - $2::interval WHERE id = $1",
            upload_id,
            timedelta(seconds=1),
        )
    finally:
        await database.aclose()


async def test_what_would_go_is_told_and_goes_when_no_server_runs(
    migrated_url: str, tmp_path: Path
) -> None:
    url, alice = migrated_url, UserId(uuid7())
    async with served(url, tmp_path, alice) as storage:
        upload = await begun(storage, alice, 3000)
        status, printed = await collect(url, tmp_path, "--dry-run")
        assert (status, printed) == (0, "Nothing to delete.\n")
        await storage.kill()
    await expire(url, upload)

    status, printed = await collect(url, tmp_path, "--dry-run")
    assert status == 0
    assert f"upload {upload} (chunks, created): 0 bytes; expired at" in printed
    assert "1 uploads, 0 bytes" in printed
    blobs = [path for path in (tmp_path / "files").rglob("*") if path.name == upload_hex(upload)]
    assert len(blobs) == 1  # only looked

    status, printed = await collect(url, tmp_path)
    assert status == 0, printed
    assert "Collected; 0 objects could not be deleted." in printed
    assert not blobs[0].exists()
    status, printed = await collect(url, tmp_path, "--dry-run")
    assert printed == "Nothing to delete.\n"


async def test_beside_a_server_on_a_folder_it_leaves_that_alone(
    migrated_url: str, tmp_path: Path
) -> None:
    url = migrated_url
    async with served(url, tmp_path, UserId(uuid7())):
        status, printed = await collect(url, tmp_path)
    assert status == 2
    assert "A server uses the folder" in printed


def upload_hex(upload: str) -> str:
    """Return an id as it stands in keys."""
    return upload.replace("-", "")


async def test_an_epoch_is_renewed_by_hand_only_while_no_server_runs(
    migrated_url: str, tmp_path: Path
) -> None:
    async def epoch() -> str:
        database = Database(migrated_url, "storage", pool_size=1)
        try:
            found: str = await (await database.pool()).fetchval(
                "SELECT epoch FROM storage.stream_epoch"
            )
            return found
        finally:
            await database.aclose()

    async with served(migrated_url, tmp_path, UserId(uuid7())) as storage:
        before = await epoch()
        status, said = await run("renew-epoch", migrated_url, tmp_path)
        assert (status, await epoch()) == (2, before)
        assert said.endswith("stop all its processes first.\n")
        await storage.kill()
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + GIVE_UP_SECONDS
    # The server may take a moment to notice that its client was killed.
    while (await run("renew-epoch", migrated_url, tmp_path))[0] != 0:
        assert loop.time() < give_up_at
    assert await epoch() != before
