"""Chunks past the page cache: where that can be done, and what becomes of them where it can't."""

import errno
import fcntl
import os
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import pytest

from services.storage.tests.store_support import MIB, cut, plan_for, sha256, write
from sharezync_storage.errors import StoreFull
from sharezync_storage.stores.disk import DiskStore
from sharezync_storage.stores.disk_files import open_direct, write_direct


@pytest.fixture
async def store(tmp_path: Path) -> AsyncGenerator[DiskStore]:
    store = DiskStore(tmp_path / "files")
    await store.start()
    yield store
    await store.aclose()


@pytest.fixture
def fd(tmp_path: Path) -> int:
    path = tmp_path / "blob"
    path.touch()
    fd = open_direct(path)
    if fd is None:
        pytest.skip("this file system has no way past its cache")
    return fd


def passes_cache(fd: int) -> bool:
    return bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_DIRECT)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def test_bytes_are_written_in_whatever_pieces_they_come(fd: int, tmp_path: Path) -> None:
    data = os.urandom(2 * MIB + 4096)
    with os.fdopen(fd, "wb", buffering=0):
        assert write_direct(fd, [b"", *pieces(data, 77_777)], 8192)
    assert (tmp_path / "blob").read_bytes() == bytes(8192) + data


@pytest.mark.parametrize(("size", "offset"), [(4095, 0), (4097, 4096), (4096, 512), (1, 0)])
def test_only_whole_blocks_can_go_that_way(fd: int, tmp_path: Path, size: int, offset: int) -> None:
    with os.fdopen(fd, "wb", buffering=0):
        assert not write_direct(fd, [bytes(size)], offset)
    assert (tmp_path / "blob").stat().st_size == 0


async def test_whole_blocks_go_past_the_cache_and_the_tail_through_it(
    store: DiskStore, fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.close(fd)
    real, ways = os.pwritev, []

    def noting(fd: int, buffers: Sequence[bytes], offset: int) -> int:
        ways.append((passes_cache(fd), offset))
        return real(fd, buffers, offset)

    monkeypatch.setattr(os, "pwritev", noting)
    data = os.urandom(MIB + 5)
    plan = plan_for(data, MIB)
    await store.begin_chunks(plan)
    for index, chunk in enumerate(cut(plan, data)):
        await write(store, plan, index, chunk)
        assert await store.read_chunk(plan, index, sha256(chunk)) == chunk
    assert ways == [(True, 0), (False, MIB)]


@pytest.mark.parametrize("call", ["open", "pwritev"])
async def test_where_the_file_system_refuses_it_goes_through_the_cache(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    real_open, real_write = os.open, os.pwritev

    def refusing_open(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "no way past the cache")
        return real_open(path, flags, mode)

    def refusing_write(fd: int, buffers: Sequence[bytes], offset: int) -> int:
        if passes_cache(fd):
            raise OSError(errno.EINVAL, "no way past the cache")
        return real_write(fd, buffers, offset)

    data = os.urandom(MIB)
    plan = plan_for(data, MIB)
    await store.begin_chunks(plan)
    with monkeypatch.context() as refusing:
        refusing.setattr(os, call, {"open": refusing_open, "pwritev": refusing_write}[call])
        await write(store, plan, 0, data)
    assert await store.read_chunk(plan, 0, sha256(data)) == data


async def test_a_short_write_is_made_good_through_the_cache(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwritev

    def short(fd: int, buffers: Sequence[bytes], offset: int) -> int:
        if passes_cache(fd):
            return real(fd, [memoryview(buffers[0])[:4096]], offset)
        return real(fd, buffers, offset)

    data = os.urandom(MIB)
    plan = plan_for(data, MIB)
    await store.begin_chunks(plan)
    with monkeypatch.context() as shortening:
        shortening.setattr(os, "pwritev", short)
        await write(store, plan, 0, data)
    assert await store.read_chunk(plan, 0, sha256(data)) == data


async def test_a_full_disk_is_told_as_such(
    store: DiskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    plan = plan_for(bytes(MIB), MIB)
    await store.begin_chunks(plan)
    monkeypatch.setattr(os, "pwritev", full)
    with pytest.raises(StoreFull):
        await write(store, plan, 0, bytes(MIB))


async def test_descriptors_are_given_back(store: DiskStore) -> None:
    data = os.urandom(2 * MIB)
    plan = plan_for(data, MIB)
    await store.begin_chunks(plan)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - iterdir would hold one itself
    for index, chunk in enumerate(cut(plan, data)):
        await write(store, plan, index, chunk)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - as above
