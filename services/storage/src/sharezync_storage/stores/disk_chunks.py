"""The chunks of one upload on disk: one file of its full size, written at offsets.

Hashing and writing are one trip to a thread; the sync that makes a chunk durable is shared by all
that were written while the last one ran. Chunks are written past the page cache where that can be
(`direct_io.py`): receivers get them from memory, and who comes later reads the disk.
"""

import asyncio
import hashlib
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sharezync_shared.db.group_commit import GroupCommit
from sharezync_shared.threads import IoThreads
from sharezync_storage.problems import ChunkCorrupt, ContentDamaged
from sharezync_storage.stores.disk_files import sync_folders
from sharezync_storage.stores.disk_writing import WrittenFile
from sharezync_storage.stores.port import ChunkPlan, NoSuchBlob


class ChunkFile:
    """The file of an upload while somebody writes to it: opened by the first, closed by the last.

    They share descriptors, because a failed sync is told to a descriptor once: whoever holds this
    object when a sync failed must not be told that a later one went well. `on_idle` is called when
    the last user has let go.
    """

    def __init__(self, path: Path, threads: IoThreads, on_idle: Callable[[], object]) -> None:
        self._path = path
        self._threads = threads
        self._on_idle = on_idle
        self._users = 0
        self._file: WrittenFile | None = None
        self._opening = asyncio.Lock()
        self._syncs: GroupCommit[None, None] = GroupCommit(self._sync)
        self._failure: OSError | None = None

    async def write(self, data: Sequence[bytes], offset: int, sha256: bytes) -> None:
        """Write one chunk and return when it is durable; raises as `BlobStore.write_chunk`."""
        with self._used():
            file = await self._opened()
            await self._threads.run(_check_and_write, file, data, offset, sha256)
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
                if self._file is not None:
                    self._file.close()
                    self._file = None

    async def _opened(self) -> WrittenFile:
        async with self._opening:
            if self._file is None:
                try:
                    # Without O_CREAT: a write that comes after the end must not begin it anew.
                    self._file = await self._threads.run(
                        WrittenFile, self._path, undo=WrittenFile.close
                    )
                except FileNotFoundError as error:
                    raise NoSuchBlob(self._path.name) from error
            return self._file

    async def _sync(self, waiting: Sequence[None]) -> list[BaseException | None]:
        if self._file is None:
            return [None] * len(waiting)  # cancelled, all of them: who waits keeps it open
        try:
            with self._used():
                await self._threads.run(self._file.sync)
        except OSError as error:
            # Returned, which is final, and not raised, which would have each tried again alone.
            self._failure = error
        return [self._failure] * len(waiting)


def begin(places: Sequence[tuple[Path, ChunkPlan]]) -> None:
    """Make a file for each upload, as long as it will be and without a byte of it.

    Only the names are made durable. A file that a crash left shorter grows by the first chunk that
    is written behind its end, and the sync of that chunk makes its length durable.
    """
    for path, plan in places:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.ftruncate(fd, plan.size_bytes)
        finally:
            os.close(fd)
    sync_folders(dict.fromkeys(path.parent for path, _ in places))


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


def _check_and_write(file: WrittenFile, data: Sequence[bytes], offset: int, sha256: bytes) -> None:
    digest = hashlib.sha256()
    for piece in data:
        digest.update(piece)
    if digest.digest() != sha256:
        raise ChunkCorrupt
    file.write(data, offset)
