"""What a backup copies of the store, and what an operator is told after a restore."""

import argparse
from pathlib import Path

import asyncpg
import pytest

from services.storage.tests.support import CHUNKS, Json, Person, World
from sharezync_shared.db.database import plain_dsn
from sharezync_storage.commands import CHECK_FILES
from sharezync_storage.settings import StorageSettings
from sharezync_storage.usecases.inventory import NeededBlob, needed_blobs
from sharezync_storage.usecases.sweeping import hold_deletions


async def needed(settings: StorageSettings, *things: Json) -> dict[str, NeededBlob]:
    """Return what is needed of these things, by their ids."""
    connection = await asyncpg.connect(plain_dsn(settings.require_database_url()))
    try:
        async with connection.transaction():
            blobs = [blob async for blob in needed_blobs(connection)]
    finally:
        await connection.close()
    keys = {thing["id"].replace("-", ""): thing["id"] for thing in things}
    return {keys[name]: blob for blob in blobs if (name := blob.key.rpartition("/")[2]) in keys}


async def test_files_and_unfinished_uploads_are_needed_and_what_is_gone_is_not(
    world: World, alice: Person, upload: Json, settings: StorageSettings
) -> None:
    kept, deleted = await alice.upload(b"kept"), await alice.upload(b"deleted")
    await alice.http.delete(f"/v1/files/{deleted['id']}")
    await world.put(upload, 1, CHUNKS[1])
    found = await needed(settings, kept, deleted, upload)
    assert found.keys() == {kept["id"], upload["id"]}
    file, unfinished = found[kept["id"]], found[upload["id"]]
    assert (file.finished, file.size_bytes, file.key) == (True, 4, file.successor)
    assert (unfinished.finished, unfinished.size_bytes) == (False, len(CHUNKS[1]))
    for blob in found.values():
        assert (world.folder / blob.key).is_file()

    await world.put_all(upload)
    finished = await world.finish(upload)
    assert finished.is_success, finished.text
    assert not (world.folder / unfinished.key).exists()
    assert (world.folder / unfinished.successor).is_file()


async def test_nothing_is_deleted_while_somebody_holds_deletions(
    world: World, alice: Person, settings: StorageSettings
) -> None:
    file = await alice.upload(b"wanted by a snapshot")
    (path,) = world.blobs()
    connection = await asyncpg.connect(plain_dsn(settings.require_database_url()))
    try:
        await hold_deletions(connection)
        await alice.http.delete(f"/v1/files/{file['id']}")
        await world.sweep()
        assert path.is_file()
    finally:
        await connection.close()
    await world.left(0)


async def test_missing_and_damaged_files_are_told(
    world: World, alice: Person, settings: StorageSettings, capsys: pytest.CaptureFixture[str]
) -> None:
    well, short, damaged, missing = [await alice.upload(text) for text in (b"1", b"22", b"3", b"4")]
    paths = {path.name: path for path in world.blobs()}

    def path_of(file: Json) -> Path:
        return paths[file["id"].replace("-", "")]

    async def check(*, digests: bool) -> tuple[int, set[str]]:
        """Return the exit status, and what is told of these files; others may lack theirs."""
        status = await CHECK_FILES.run(settings, argparse.Namespace(digests=digests))
        told = (line.partition(": ") for line in capsys.readouterr().out.splitlines())
        return status or 0, {what for key, _, what in told if key.rpartition("/")[2] in paths}

    path_of(short).write_bytes(b"2")
    path_of(damaged).write_bytes(b"x")
    path_of(missing).unlink()
    wrong = {"has 1 bytes instead of 2", "is missing"}
    assert await check(digests=False) == (1, wrong)
    assert await check(digests=True) == (1, wrong | {"has another SHA-256"})
    assert path_of(well).read_bytes() == b"1"
