"""The chunks of one upload on disk: one file of its full size, written at offsets.

Hashing and writing are one trip to a thread; the sync that makes a chunk durable is shared by all
that were written while the last one ran.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sharezync_shared.db.group_commit import GroupCommit
from sharezync_storage.problems import ChunkCorrupt, ContentDamaged
from sharezync_storage.stores.port import ChunkPlan, NoSuchBlob
from sharezync_storage.stores.threads import IoThreads

_BUFFERS: Final = 512
"""In one call of pwritev; Linux takes 1024."""


class ChunkFile:
    """The file of an upload while somebody writes to it: opened by the first, closed by the last.

    They share one descriptor, because a failed sync is told to a descriptor once: whoever holds
    this object when a sync failed must not be told that a later one went well. `on_idle` is called
    when the last user has let go.
    """

    def __init__(self, path: Path, threads: IoThreads, on_idle: Callable[[], object]) -> None:
        self._path = path
        self._threads = threads
        self._on_idle = on_idle
        self._users = 0
        self._fd: int | None = None
        self._opening = asyncio.Lock()
        self._syncs: GroupCommit[None, None] = GroupCommit(self._sync)
        self._failure: OSError | None = None

    async def write(self, data: Sequence[bytes], offset: int, sha256: bytes) -> None:
        """Write one chunk and return when it is durable; raises as `BlobStore.write_chunk`."""
        with self._used():
            fd = await self._descriptor()
            await self._threads.run(_check_and_write, fd, data, offset, sha256)
            await self._syncs.submit(None)
            if self._failure is not None:
                raise self._failure

    @contextmanager
    def _used(self) -> Generator[None]:
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._on_idle()
                if self._fd is not None:
                    os.close(self._fd)
                    self._fd = None

    async def _descriptor(self) -> int:
        async with self._opening:
            if self._fd is None:
                # Without O_CREAT: a write that comes after the end must not begin it anew.
                try:
                    self._fd = await self._threads.run(
                        os.open, self._path, os.O_WRONLY | os.O_CLOEXEC, undo=os.close
                    )
                except FileNotFoundError as error:
                    raise NoSuchBlob(self._path.name) from error
            return self._fd

    async def _sync(self, waiting: Sequence[None]) -> list[BaseException | None]:
        if self._fd is None:
            return [None] * len(waiting)  # cancelled, all of them: who waits keeps it open
        try:
            with self._used():
                await self._threads.run(os.fdatasync, self._fd)
        except OSError as error:
            # The kernel has dropped the pages and forgets the error: a second sync would succeed
            # without the bytes. So this is returned, which is final, and not raised, which would
            # have each of them tried again alone.
            self._failure = error
        return [self._failure] * len(waiting)


def begin(path: Path, plan: ChunkPlan) -> None:
    """Make the file, as long as the whole upload and without a byte of it."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        os.ftruncate(fd, plan.size_bytes)
        os.fsync(fd)
    finally:
        os.close(fd)


def read(path: Path, plan: ChunkPlan, index: int, sha256: bytes) -> bytes:
    """Return one chunk, its digest checked."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(fd, plan.length(index), plan.offset(index))
    finally:
        os.close(fd)
    if hashlib.sha256(data).digest() != sha256:
        raise ContentDamaged
    return data


def write_all(fd: int, data: Sequence[bytes], offset: int) -> int:
    """Write `data` at `offset` in as few calls as it takes; return the offset behind it."""
    for first in range(0, len(data), _BUFFERS):
        buffers: list[bytes | memoryview] = list(data[first : first + _BUFFERS])
        while buffers:
            written = os.pwritev(fd, buffers, offset)
            offset += written
            while buffers and written >= len(buffers[0]):
                written -= len(buffers.pop(0))
            if buffers and written:
                buffers[0] = memoryview(buffers[0])[written:]
    return offset


def _check_and_write(fd: int, data: Sequence[bytes], offset: int, sha256: bytes) -> None:
    digest = hashlib.sha256()
    for piece in data:
        digest.update(piece)
    if digest.digest() != sha256:
        raise ChunkCorrupt
    write_all(fd, data, offset)
