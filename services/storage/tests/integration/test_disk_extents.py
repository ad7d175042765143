"""What comes from its start to its end, in a folder: crashes, a full disk, writers in the way."""

import asyncio
import errno
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path

import pytest

from services.storage.tests.store_support import (
    MIB,
    Interrupted,
    PreEmpted,
    Record,
    append,
    interrupted,
    pieces_of,
    read,
    read_extent,
)
from sharezync_shared.ids import uuid7
from sharezync_storage.errors import ContentDamaged, StoreFull, StoreUnavailable
from sharezync_storage.keys import file_key, upload_key
from sharezync_storage.stores import disk_uploads as writing
from sharezync_storage.stores.disk import DiskStore
from sharezync_storage.stores.port import Extent, NoSuchBlob

CALLS = ("open", "pwritev", "fsync", "fdatasync", "ftruncate", "link", "pread", "rename")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[DiskStore]:
    store = DiskStore(tmp_path)
    await store.start()
    yield store
    await store.aclose()


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have many steps in few bytes: none of what is shown here depends on their size."""
    monkeypatch.setattr(writing, "BLOCK_BYTES", 20_000)
    monkeypatch.setattr(writing, "_SYNC_BYTES", 40_000)
    monkeypatch.setattr(writing, "_COPY_BYTES", 30_000)


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


class Death:
    """The process dies at the call number `at` of the operating system, or never.

    Every later call fails too, so nothing more reaches the disk. With `once`, only this one fails.
    """

    def __init__(self, patch: pytest.MonkeyPatch, at: int, *, once: bool = False) -> None:
        self.calls = 0
        self.happened = False
        self._at = at
        self._once = once
        for name in CALLS:
            holder = Path if name == "rename" else os
            patch.setattr(holder, name, self._mortal(getattr(holder, name)))

    def _mortal(self, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **more: object) -> object:
            dead = self.happened and not self._once
            if self.calls == self._at and not self.happened:
                self.happened = dead = True
            self.calls += 1
            if dead:
                raise OSError(errno.EIO, "the process died here")
            return real(*args, **more)

        return call


@pytest.mark.parametrize("once", [False, True])
async def test_an_append_that_ends_at_any_call_loses_nothing_that_was_told(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, once: bool
) -> None:
    data, more = os.urandom(95_000), os.urandom(12_345)
    for at in range(200):
        key, record = upload_key(uuid7()), Record()
        await append(store, key, data[:7_000], record)
        with monkeypatch.context() as patch:
            death = Death(patch, at, once=once)
            try:
                await store.append(
                    key, pieces_of(data[7_000:], 3_000), start=record.extent, epoch=2,
                    kept=record.keep,
                )  # fmt: skip
            except StoreUnavailable:
                assert death.happened
            else:
                assert not death.happened
        # Somebody goes on from the record, over whatever lies behind it.
        begun = record.extent.size_bytes
        assert begun >= 7_000
        await append(store, key, more, record, epoch=3)
        expected = data[:begun] + more
        assert await read_extent(store, key, record.extent) == expected
        blob = file_key(uuid7())
        await store.assemble([(key, record.extent)], blob)
        assert await read(store, blob) == expected
        await store.discard(key)
        await store.delete(blob)
        assert files_in(tmp_path) == []
        if not death.happened:
            assert at > 5
            return
    pytest.fail("it never came to its end")


@pytest.mark.parametrize("sizes", [[50_000], [50_000, 70_000, 1]])
async def test_an_assembly_that_dies_at_any_call_can_be_repeated(
    store: DiskStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sizes: list[int]
) -> None:
    for at in range(200):
        data = [os.urandom(size) for size in sizes]
        sources, blob = [], file_key(uuid7())
        for part in data:
            key = upload_key(uuid7())
            record = await append(store, key, part)
            with (tmp_path / key).open("ab") as file:
                file.write(b"of a writer that crashed")
            sources.append((key, record.extent))
        with monkeypatch.context() as patch:
            death = Death(patch, at)
            try:
                await store.assemble(sources, blob)
            except StoreUnavailable:
                assert death.happened
        try:
            assert await read(store, blob) == b"".join(data)
        except NoSuchBlob:
            assert death.happened
        await store.assemble(sources, blob)
        assert await read(store, blob) == b"".join(data)
        for key, _ in sources:
            await store.discard(key)
        assert files_in(tmp_path) == [tmp_path / blob]
        await store.delete(blob)
        if not death.happened:
            assert at > 4
            return
    pytest.fail("it never came to its end")


async def test_a_full_disk_keeps_what_went_in(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, key, record = os.urandom(95_000), upload_key(uuid7()), Record()
    real, left = os.pwritev, 42_000

    def small(fd: int, buffers: list[bytes], offset: int) -> int:
        nonlocal left
        if not left:
            raise OSError(errno.ENOSPC, "no space left on device")
        whole = b"".join(buffers)[:left]
        left -= len(whole)
        return real(fd, [whole], offset)

    monkeypatch.setattr(os, "pwritev", small)
    with pytest.raises(StoreFull):
        await append(store, key, data, record)
    monkeypatch.undo()
    assert record.extent.size_bytes == 40_000  # in whole blocks
    await append(store, key, data[40_000:], record, epoch=2)
    assert await read_extent(store, key, record.extent) == data


async def test_a_disk_that_is_full_when_it_syncs_keeps_what_was_told(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, key, record = os.urandom(95_000), upload_key(uuid7()), Record()
    real, syncs = os.fdatasync, 0

    def full(fd: int) -> None:
        nonlocal syncs
        syncs += 1
        if syncs == 2:
            raise OSError(errno.ENOSPC, "no space left on device")
        real(fd)

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(StoreFull):
        await append(store, key, data, record)
    assert syncs == 2  # a third would go well, and without the bytes
    assert len(record.steps) == 1
    begun = record.extent.size_bytes
    await append(store, key, data[begun:], record, epoch=2)
    assert await read_extent(store, key, record.extent) == data


async def test_a_writer_that_goes_on_behind_the_next_one_writes_nothing(store: DiskStore) -> None:
    """The record would refuse it anyway; but by then its bytes would lie over the other's."""
    key, record, late = upload_key(uuid7()), Record(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"A" * 30_000
        await late.wait()
        yield b"A" * 500_000

    kept = asyncio.Event()

    async def keep(extent: Extent) -> bool:
        recorded = await record.keep(extent)
        kept.set()
        return recorded

    first = asyncio.create_task(store.append(key, slow(), start=Extent(), epoch=1, kept=keep))
    await kept.wait()
    second = Record(extent=record.extent)
    going = record.extent.size_bytes

    async def others() -> AsyncIterator[bytes]:
        yield b"B" * 30_000
        late.set()
        with pytest.raises(StoreUnavailable):
            await first
        yield b"B" * 30_000

    extent = await store.append(key, others(), start=second.extent, epoch=2, kept=second.keep)
    expected = b"A" * going + b"B" * 60_000
    assert await read_extent(store, key, extent) == expected
    with pytest.raises(StoreUnavailable):
        await asyncio.gather(
            append(store, key, b"x" * 20_000, Record(extent=extent), epoch=4),
            append(store, key, b"y" * 20_000, Record(extent=extent), epoch=3),
        )


async def test_a_file_shorter_than_its_record_is_noticed(store: DiskStore, tmp_path: Path) -> None:
    key = upload_key(uuid7())
    record = await append(store, key, os.urandom(50_000))
    os.truncate(tmp_path / key, 40_000)
    with pytest.raises(ContentDamaged):
        await append(store, key, b"more", record, epoch=2)
    with pytest.raises(ContentDamaged):
        await read_extent(store, key, record.extent)
    for sources in ([(key, record.extent)], [(key, record.extent), (key, record.extent)]):
        blob = file_key(uuid7())
        with pytest.raises(ContentDamaged):
            await store.assemble(sources, blob)
        with pytest.raises(NoSuchBlob):
            await store.size(blob)


async def test_where_a_file_can_not_have_two_names_it_is_copied(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    data, key, blob = os.urandom(100_000), upload_key(uuid7()), file_key(uuid7())
    record = await append(store, key, data)
    monkeypatch.setattr(os, "link", refused)
    await store.assemble([(key, record.extent)], blob)
    assert await read(store, blob) == data
    assert await read_extent(store, key, record.extent) == data


async def test_descriptors_and_tasks_are_given_back(store: DiskStore) -> None:
    def open_now() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - iterdir would hold one itself

    before, tasks = open_now(), len(asyncio.all_tasks())
    key, record = upload_key(uuid7()), Record(refuses=60_000)
    with pytest.raises(Interrupted):
        await store.append(
            key, interrupted(bytes(50_000)), start=Extent(), epoch=1, kept=record.keep
        )
    with pytest.raises(PreEmpted):
        await append(store, key, bytes(MIB), record, epoch=2)
    await store.assemble([(key, record.extent)], file_key(uuid7()))
    assert (open_now(), len(asyncio.all_tasks())) == (before, tasks)
