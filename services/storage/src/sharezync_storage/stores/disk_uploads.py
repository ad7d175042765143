"""Uploads on disk: one file for each, written at offsets.

Chunks: hashing and writing are one trip to a thread; the sync that makes a chunk durable is shared
by all that were written while the last one ran.

What is appended: a block is written while the next one is gathered, and what was written is synced
while more is. The file may be longer than the record says, by what a writer left that crashed: that
is written over, or cut off when the blob is made.

Whole blocks go past the page cache where that can be: receivers get chunks from memory, nobody
reads a large upload before it is complete, and what is small stays in the cache.
"""

import asyncio
import errno
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sharezync_shared.db.group_commit import GroupCommit
from sharezync_shared.problems import Problem
from sharezync_shared.threads import IoThreads, settled
from sharezync_storage.errors import ChunkCorrupt, ContentDamaged, StoreUnavailable
from sharezync_storage.settings import MIB
from sharezync_storage.stores.disk_files import (
    BLOCK_BYTES,
    WrittenFile,
    disk_errors,
    replaced,
    sync_folder,
    sync_folders,
)
from sharezync_storage.stores.pieces import Piece, sha256_of
from sharezync_storage.stores.port import ChunkPlan, Extent, Kept, NoSuchBlob
from sharezync_storage.stores.read_ahead import ReadAhead

AHEAD_BYTES: Final = 4 * MIB
_SYNC_BYTES: Final = 8 * MIB
"""Synced together, while the next so many are written."""
_COPY_BYTES: Final = 4 * MIB
_NO_LINKS: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
)

Source = tuple[Path, int]
"""A file, and how many of its bytes count."""


class FileWriter:
    """One writer of one file, from where the record says that the file stands."""

    def __init__(self, path: Path, threads: IoThreads, start: Extent, epoch: int) -> None:
        self.epoch = epoch
        self._path = path
        self._threads = threads
        self._written = self._recorded_bytes = start.size_bytes
        self._on_record = True
        self._recording: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._fenced = False

    async def fence(self) -> None:
        """Have this writer write nothing more; wait for the write that is under way."""
        self._fenced = True
        async with self._writing:
            pass

    async def write(self, read_ahead: ReadAhead, kept: Kept) -> Extent:
        """Write what comes, and have it recorded."""
        with disk_errors(self._path.name):
            file = await self._threads.run(
                _open_at, self._path, self._written, undo=WrittenFile.close
            )
        try:
            while not read_ahead.over:
                # Up to where a block ends, wherever the last writer has ended.
                wanted = BLOCK_BYTES - self._written % BLOCK_BYTES
                block = await read_ahead.read(wanted, hurry=self._recorded_bytes < self._written)
                await self._write_block(file, block, kept)
                if sum(map(len, block)) < wanted:
                    await self._record_all(file, kept)
                else:
                    await self._record_behind(file, kept)
            await self._record_all(file, kept)
            if not self._on_record:
                await kept(Extent(self._recorded_bytes))
        finally:
            if self._recording is not None:
                await settled(self._recording)
            file.close()
        return Extent(self._recorded_bytes)

    async def _write_block(self, file: WrittenFile, block: Sequence[Piece], kept: Kept) -> None:
        await self._settle_recording(wait=False)
        try:
            async with self._writing:
                if self._fenced:
                    raise StoreUnavailable("Another process is writing")
                with disk_errors():
                    self._written = await self._threads.run(file.write, block, self._written)
        except Problem:
            # What was written before it counts, though the disk is full now.
            await self._record_all(file, kept)
            raise

    # --- the record -------------------------------------------------------------------------

    async def _record_all(self, file: WrittenFile, kept: Kept) -> None:
        await self._settle_recording(wait=True)
        if self._recorded_bytes < self._written:
            self._recording = asyncio.create_task(self._record(file, kept), name="record-extent")
            await self._settle_recording(wait=True)

    async def _record_behind(self, file: WrittenFile, kept: Kept) -> None:
        """Sync and record what was written while more of it is, one such round at a time."""
        unrecorded = self._written - self._recorded_bytes
        await self._settle_recording(wait=unrecorded >= 2 * _SYNC_BYTES)
        if self._recording is None and unrecorded >= _SYNC_BYTES:
            self._recording = asyncio.create_task(self._record(file, kept), name="record-extent")

    async def _settle_recording(self, *, wait: bool) -> None:
        """Raise what recording has failed with, which is final: a sync that failed is not made
        good by the next one, and a record that was refused belongs to somebody else.
        """
        if self._recording is not None and (wait or self._recording.done()):
            await self._recording
            self._recording = None

    async def _record(self, file: WrittenFile, kept: Kept) -> None:
        size_bytes = self._written
        with disk_errors():
            await self._threads.run(file.sync)
        self._on_record = await kept(Extent(size_bytes))
        self._recorded_bytes = size_bytes


def _open_at(path: Path, size_bytes: int) -> WrittenFile:
    """Open a file that must have so many bytes; without any, it may not be there yet."""
    # Otherwise without O_CREAT: a write that comes after the end must not begin it anew.
    file = WrittenFile(path, 0 if size_bytes else os.O_CREAT)
    try:
        if not size_bytes:
            sync_folder(path.parent)
        if os.fstat(file.fd).st_size < size_bytes:
            raise ContentDamaged
    except BaseException:
        file.close()
        raise
    return file


class ChunkFile:
    """The file of an upload while somebody writes to it: opened by the first, closed by the last.

    They share descriptors, because a descriptor reports a failed sync once: whoever holds this
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


def make_files(places: Sequence[tuple[Path, ChunkPlan]]) -> None:
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


def read_chunk(path: Path, plan: ChunkPlan, index: int, sha256: bytes) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.pread(fd, plan.length(index), plan.offset(index))
    finally:
        os.close(fd)
    if sha256_of([data]) != sha256:
        raise ContentDamaged
    return data


def _check_and_write(file: WrittenFile, data: Sequence[bytes], offset: int, sha256: bytes) -> None:
    if sha256_of(data) != sha256:
        raise ChunkCorrupt
    file.write(data, offset)


async def join(threads: IoThreads, sources: Sequence[Source], target: Path) -> None:
    """Make `target` of these files, one behind the other, durably; a repetition changes nothing.

    By a second name where it is one file. One call for a target at a time.
    """
    sources = [(path, size) for path, size in sources if size]
    whole = sum(size for _, size in sources)
    if await threads.run(_has, target, whole):
        # The name may be there and not yet durable.
        await threads.run(sync_folder, target.parent)
        return
    if len(sources) == 1 and await threads.run(_link, *sources[0], target):
        return
    await _copy(threads, sources, target)


async def _copy(threads: IoThreads, sources: Sequence[Source], target: Path) -> None:
    async with replaced(threads, target) as into:
        offset = 0
        for path, size in sources:
            fd = await threads.run(_open_whole, path, size, undo=os.close)
            try:
                for start in range(0, size, _COPY_BYTES):
                    count = min(_COPY_BYTES, size - start)
                    await threads.run(_copy_block, fd, start, count, into, offset + start)
            finally:
                os.close(fd)
            offset += size


def _copy_block(fd: int, start: int, count: int, into: WrittenFile, offset: int) -> None:
    while count:
        data = os.pread(fd, count, start)
        if not data:
            raise ContentDamaged
        offset = into.write([data], offset)
        start += len(data)
        count -= len(data)


def _link(source: Path, size: int, target: Path) -> bool:
    """Give the file a second name; False where this file system can't."""
    fd = os.open(source, os.O_WRONLY | os.O_CLOEXEC)
    try:
        found = os.fstat(fd).st_size
        if found < size:
            raise ContentDamaged
        if found > size:  # what a writer left that crashed, which nobody recorded
            os.ftruncate(fd, size)
            os.fsync(fd)
    finally:
        os.close(fd)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    sync_folder(target.parent)
    return True


def _has(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _open_whole(path: Path, size: int) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if os.fstat(fd).st_size < size:
        os.close(fd)
        raise ContentDamaged
    return fd
