"""The store in a folder: the contract, and what only a folder can get wrong."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from services.storage.tests.store_contract import (
    StoreContract,
    pieces_of,
    plan_for,
    read,
    sha256,
    write,
)
from sharezync_shared.ids import uuid7
from sharezync_storage.errors import ContentDamaged, StoreFull, StoreUnavailable
from sharezync_storage.keys import file_key, upload_key
from sharezync_storage.stores.disk import DiskStore, FolderInUse
from sharezync_storage.stores.disk_files import part_of
from sharezync_storage.stores.port import ChunkPlan, NoSuchBlob


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[DiskStore]:
    store = DiskStore(tmp_path / "files")
    await store.start()
    yield store
    await store.aclose()


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def modes_in(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mode for path in folder.rglob("*")}


class TestContract(StoreContract):
    """All of it."""


async def test_folders_and_files_are_closed_to_others(tmp_path: Path) -> None:
    old = tmp_path / "files" / "files"
    old.mkdir(parents=True)
    old.chmod(0o755)  # as earlier versions made it
    store = DiskStore(tmp_path / "files")
    await store.start()
    try:
        await store.put(file_key(uuid7()), pieces_of(b"kept"))
        modes = modes_in(tmp_path / "files")
        assert len(modes) == 5  # files, uploads, a folder in one of them, the blob, the lock
        assert {path for path, mode in modes.items() if mode & 0o007} == set()
    finally:
        await store.aclose()


async def test_folders_are_made_when_something_is_written_there(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders() -> set[str]:
        return {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*/?*/??")}

    key = file_key(uuid7())
    await store.delete(key)  # as of an upload that ended before its first byte
    with pytest.raises(NoSuchBlob):
        await store.size(key)
    assert folders() == set()
    blobs = [f"{key.rpartition('/')[0]}/{uuid7().hex}" for _ in range(20)]
    syncs = counted_syncs(monkeypatch)
    await asyncio.gather(*(store.put(each, pieces_of(b"kept")) for each in blobs))
    assert folders() == {f"files/{blobs[0].rpartition('/')[0]}"}
    assert len(syncs) == 1 + len(blobs)  # the folder's own name once, and each blob's
    assert [await read(store, each) for each in blobs] == [b"kept"] * len(blobs)


async def test_a_folder_is_for_one_process_at_a_time(tmp_path: Path) -> None:
    first, second = DiskStore(tmp_path), DiskStore(tmp_path, lock_seconds=0.1)
    await first.start()
    with pytest.raises(FolderInUse):
        await second.start()
    third = DiskStore(tmp_path)
    waiting = asyncio.create_task(third.start())  # who leaves makes room for who waits
    await first.aclose()
    await waiting
    await third.aclose()


async def test_what_a_killed_process_was_writing_is_tidied_away(
    store: DiskStore, tmp_path: Path
) -> None:
    key, other = file_key(uuid7()), file_key(uuid7())
    for each in (key, other):
        await store.put(each, pieces_of(b"stays"))
    (blob,) = (path for path in files_in(tmp_path) if path.name == key.rpartition("/")[2])
    part_of(blob).write_bytes(b"half a writing")
    for _ in range(2):
        await store.tidy(key)
        assert len(files_in(tmp_path)) == 2
        assert [await read(store, each) for each in (key, other)] == [b"stays"] * 2


async def test_nothing_is_left_of_a_broken_put(store: DiskStore, tmp_path: Path) -> None:
    async def broken() -> AsyncGenerator[bytes]:
        yield bytes(2_000_000)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await store.put(file_key(uuid7()), broken())
    assert files_in(tmp_path) == []


async def test_nothing_of_a_put_can_be_read_before_it_is_done(store: DiskStore) -> None:
    key = file_key(uuid7())
    looked = False

    async def looking() -> AsyncGenerator[bytes]:
        nonlocal looked
        for _ in range(5):
            yield bytes(1_000_000)
            with pytest.raises(NoSuchBlob):
                await store.size(key)
            looked = True

    await store.put(key, looking())
    assert looked
    assert await store.size(key) == 5_000_000


def counted_syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows with each call of fsync(2) from now on."""
    syncs: list[int] = []
    sync = os.fsync

    def counted(fd: int) -> None:
        syncs.append(fd)
        sync(fd)

    monkeypatch.setattr(os, "fsync", counted)
    return syncs


async def test_uploads_that_begin_together_share_what_makes_their_names_durable(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [uuid7() for _ in range(100)]
    plans = [ChunkPlan(upload_key(each, beside=ids[0]), 1000, 1000) for each in ids]
    syncs = counted_syncs(monkeypatch)
    await store.begin_chunks(*plans[:50])
    assert len(syncs) == 2  # the folder is new: its own name as well
    await store.begin_chunks(*plans[50:])
    assert len(syncs) == 3
    await write(store, plans[-1], 0, bytes(1000))
    assert await store.read_chunk(plans[-1], 0, sha256(bytes(1000))) == bytes(1000)


async def test_uploads_assembled_at_the_same_time_share_what_makes_their_names_durable(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [uuid7() for _ in range(100)]
    plans = [ChunkPlan(upload_key(each, beside=ids[0]), 0, 1000) for each in ids]
    await store.begin_chunks(*plans)
    syncs = counted_syncs(monkeypatch)
    # All blobs in one folder here, as the names of real ones are spread by chance.
    blobs = [f"files/00/{each.hex}" for each in ids]
    await asyncio.gather(
        *(store.assemble_chunks(*each, []) for each in zip(plans, blobs, strict=True))
    )
    assert len(syncs) < len(ids)
    assert [await store.size(blob) for blob in blobs] == [0] * len(ids)


Crash = Callable[[str], None]


@pytest.fixture
def crash_at(monkeypatch: pytest.MonkeyPatch) -> Crash:
    """Make the process die at a call of the operating system: it raises, as do all after it."""

    def crash(name: str) -> None:
        def dead(*_: object, **__: object) -> None:
            for call in ("fsync", "fdatasync", "pwritev", "rename", "unlink"):
                monkeypatch.setattr(os, call, dead)
            for call in ("rename", "unlink"):
                monkeypatch.setattr(Path, call, dead)
            raise OSError(errno.EIO, "the process died here")

        monkeypatch.setattr(Path if name in {"rename", "unlink"} else os, name, dead)

    return crash


@pytest.mark.parametrize("step", ["pwritev", "fdatasync", "rename"])
async def test_a_put_that_dies_at_any_step_is_invisible_and_can_be_deleted(
    store: DiskStore, tmp_path: Path, crash_at: Crash, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    key = file_key(uuid7())
    with monkeypatch.context() as dying:
        crash_at(step)
        with pytest.raises(StoreUnavailable):
            await store.put(key, pieces_of(os.urandom(100_000)))
        del dying
    monkeypatch.undo()
    with pytest.raises(NoSuchBlob):
        await store.size(key)
    await store.delete(key)
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("step", ["pwritev", "fdatasync"])
async def test_a_chunk_that_dies_at_any_step_is_not_acknowledged_and_can_be_repeated(
    store: DiskStore, crash_at: Crash, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    data = os.urandom(200_000)
    plan = plan_for(data, 100_000)
    await store.begin_chunks(plan)
    crash_at(step)
    results = await asyncio.gather(
        write(store, plan, 0, data[:100_000]),
        write(store, plan, 1, data[100_000:]),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [StoreUnavailable] * 2
    monkeypatch.undo()
    await write(store, plan, 0, data[:100_000])
    await write(store, plan, 1, data[100_000:])
    key = file_key(uuid7())
    await store.assemble_chunks(plan, key, [])
    assert await read(store, key) == data


async def test_a_failed_sync_is_final_for_all_who_wrote_before_it(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux reports a lost page once, and calls the file clean after that."""
    data = os.urandom(400_000)
    plan = plan_for(data, 100_000)
    await store.begin_chunks(plan)
    real, calls = os.fdatasync, 0

    def fails_once(fd: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError(errno.EIO, "the disk lost it")
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fails_once)
    results = await asyncio.gather(
        *(write(store, plan, i, data[i * 100_000 : (i + 1) * 100_000]) for i in range(4)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [StoreUnavailable] * 4
    await write(store, plan, 0, data[:100_000])


@pytest.mark.parametrize("step", ["rename", "fsync"])
async def test_an_assembly_that_dies_at_any_step_can_be_repeated(
    store: DiskStore, crash_at: Crash, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    data, key = os.urandom(100_000), file_key(uuid7())
    plan = plan_for(data, 100_000)
    await store.begin_chunks(plan)
    await write(store, plan, 0, data)
    crash_at(step)
    with pytest.raises(StoreUnavailable):
        await store.assemble_chunks(plan, key, [sha256(data)])
    monkeypatch.undo()
    await store.assemble_chunks(plan, key, [sha256(data)])
    assert await read(store, key) == data


async def test_a_full_disk_is_told_as_such(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    plan = plan_for(bytes(1000), 1000)
    await store.begin_chunks(plan)
    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(StoreFull):
        await store.put(file_key(uuid7()), pieces_of(b"x"))
    with pytest.raises(StoreFull):
        await write(store, plan, 0, bytes(1000))


async def test_short_writes_are_continued(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwritev
    monkeypatch.setattr(
        os, "pwritev", lambda fd, buffers, offset: real(fd, [memoryview(buffers[0])[:777]], offset)
    )
    data, key = os.urandom(100_000), file_key(uuid7())
    await store.put(key, pieces_of(data, 5000))
    assert await read(store, key) == data


async def test_a_late_chunk_does_not_bring_a_discarded_upload_back(
    store: DiskStore, tmp_path: Path
) -> None:
    plan = plan_for(bytes(1000), 1000)
    await store.begin_chunks(plan)
    await store.discard(plan.key)
    with pytest.raises(NoSuchBlob):
        await write(store, plan, 0, bytes(1000))
    assert files_in(tmp_path) == []


async def test_a_flipped_bit_in_a_chunk_is_noticed(store: DiskStore, tmp_path: Path) -> None:
    data = os.urandom(1000)
    plan = plan_for(data, 1000)
    await store.begin_chunks(plan)
    await write(store, plan, 0, data)
    path = tmp_path / "files" / plan.key
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    with pytest.raises(ContentDamaged):
        await store.read_chunk(plan, 0, sha256(data))


async def test_a_blob_that_was_cut_short_is_noticed(store: DiskStore, tmp_path: Path) -> None:
    key = file_key(uuid7())
    await store.put(key, pieces_of(bytes(1000)))
    os.truncate(tmp_path / "files" / key, 500)
    with pytest.raises(ContentDamaged):
        await read(store, key, 0, 1000)


async def test_descriptors_are_given_back(store: DiskStore) -> None:
    data = os.urandom(50_000)
    plan = plan_for(data, 10_000)
    await store.begin_chunks(plan)
    await store.put(key := file_key(uuid7()), pieces_of(data))
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - iterdir would hold one itself
    await asyncio.gather(*(write(store, plan, i, data[i * 10_000 :][:10_000]) for i in range(5)))
    async with store.open(key) as pieces:
        await anext(pieces)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above
