"""Blobs in a folder.

    files/ab/<id>        a finished blob
    files/ab/<id>.part   one that is being put
    uploads/cd/<id>      the chunks of an upload, each at its offset; renamed when it is sealed

For one process at a time, which a lock on the folder sees to.
"""

import asyncio
import contextlib
import errno
import fcntl
import functools
import hashlib
import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from sharezync_storage.keys import checked
from sharezync_storage.problems import ContentDamaged, StoreFull, StoreUnavailable
from sharezync_storage.stores import disk_chunks
from sharezync_storage.stores.blocks import blocks
from sharezync_storage.stores.disk_chunks import ChunkFile, write_all
from sharezync_storage.stores.port import PIECE_BYTES, ChunkPlan, NoSuchBlob, Stored
from sharezync_storage.stores.threads import IoThreads, settled

_BLOCK_BYTES: Final = 1024 * 1024
_LOCK_SECONDS: Final = 15.0
"""How long to wait for a process that is just leaving the folder."""
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class FolderInUse(RuntimeError):
    """Another process has this folder."""


class DiskStore:
    """The store in a folder; see `BlobStore` for what it promises."""

    def __init__(self, folder: Path, *, lock_seconds: float = _LOCK_SECONDS) -> None:
        self._folder = folder
        self._lock_seconds = lock_seconds
        self._lock_fd: int | None = None
        self._threads = IoThreads("storage-disk")
        self._writing: dict[str, ChunkFile] = {}

    async def start(self) -> None:
        """Make the folder where it is absent, and take it. Raises FolderInUse."""
        await self._threads.run(self._make_folders)
        self._lock_fd = os.open(
            self._folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640
        )
        deadline = asyncio.get_running_loop().time() + self._lock_seconds
        while not _locked(self._lock_fd):
            if asyncio.get_running_loop().time() > deadline:
                await self.aclose()
                raise FolderInUse(f"{self._folder} is in use by another process")
            await asyncio.sleep(0.1)

    async def aclose(self) -> None:
        """Give the folder back."""
        await asyncio.to_thread(self._threads.close)
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    async def ready(self) -> bool:
        return await self._threads.run(os.access, self._folder, os.R_OK | os.W_OK | os.X_OK)

    # --- whole blobs ------------------------------------------------------------------------

    async def put(self, key: str, pieces: AsyncIterable[bytes]) -> Stored:
        path = self._path(key)
        part = _part(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with _told():
            fd = await self._threads.run(os.open, part, flags, 0o640, undo=os.close)
        try:
            stored = await self._fill(fd, pieces)
        except BaseException:
            os.close(fd)
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        os.close(fd)
        with _told(key):
            await self._threads.run(_rename, part, path)
        return stored

    async def _fill(self, fd: int, pieces: AsyncIterable[bytes]) -> Stored:
        """Write and hash one block while the next one is gathered; end with a sync."""
        digest = hashlib.sha256()
        size = 0
        writing: asyncio.Future[int] | None = None

        def write(block: list[bytes], offset: int) -> int:
            for piece in block:
                digest.update(piece)
            return write_all(fd, block, offset)

        try:
            async with contextlib.aclosing(blocks(pieces, _BLOCK_BYTES)) as gathered:
                async for block in gathered:
                    if writing is not None:
                        with _told():
                            size = await asyncio.shield(writing)
                    writing = self._threads.submit(write, block, size)
            if writing is not None:
                with _told():
                    size = await asyncio.shield(writing)
        finally:
            # The descriptor is closed next: nobody may be writing to it then.
            if writing is not None:
                await settled(writing)
        with _told():
            await self._threads.run(os.fsync, fd)
        return Stored(size, digest.digest())

    @asynccontextmanager
    async def open(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        with _told(key):
            fd = await self._threads.run(
                os.open, self._path(key), os.O_RDONLY | os.O_CLOEXEC, undo=os.close
            )
        reading = _Reading(self._threads, fd, offset, length)
        try:
            yield reading
        finally:
            await reading.settle()
            os.close(fd)

    async def size(self, key: str) -> int:
        with _told(key):
            return (await self._threads.run(os.stat, self._path(key))).st_size

    async def delete(self, key: str) -> None:
        path = self._path(key)
        with _told():
            await self._threads.run(_remove, path, _part(path))

    async def link(
        self, key: str, *, expires_in_seconds: int, content_type: str, disposition: str
    ) -> None:
        """Nobody reaches this folder but through us."""

    # --- chunks -----------------------------------------------------------------------------

    async def begin_chunks(self, plan: ChunkPlan) -> None:
        path = self._path(plan.key)
        with _told():
            await self._threads.run(disk_chunks.begin, path, plan)
            await self._threads.run(_sync_folder, path.parent)

    async def write_chunk(
        self, plan: ChunkPlan, index: int, data: Sequence[bytes], sha256: bytes
    ) -> None:
        file = self._writing.get(plan.key)
        if file is None:
            forget = functools.partial(self._writing.pop, plan.key)
            file = ChunkFile(self._path(plan.key), self._threads, forget)
            self._writing[plan.key] = file
        with _told():
            await file.write(data, plan.offset(index), sha256)

    async def read_chunk(self, plan: ChunkPlan, index: int, sha256: bytes) -> bytes:
        with _told(plan.key):
            return await self._threads.run(
                disk_chunks.read, self._path(plan.key), plan, index, sha256
            )

    async def seal(self, plan: ChunkPlan, key: str, digests: Sequence[bytes]) -> None:  # noqa: ARG002 - every chunk lies where it belongs already
        with _told(plan.key):
            await self._threads.run(_rename, self._path(plan.key), self._path(key))

    async def discard_chunks(self, key: str) -> None:
        await self.delete(key)

    # ----------------------------------------------------------------------------------------

    def _path(self, key: str) -> Path:
        return self._folder / checked(key)

    def _make_folders(self) -> None:
        for kind in ("files", "uploads"):
            for shard in range(256):
                (self._folder / kind / f"{shard:02x}").mkdir(parents=True, exist_ok=True)
            _sync_folder(self._folder / kind)
        _sync_folder(self._folder)


class _Reading:
    """The pieces of one blob, the next always on its way while the last is being sent."""

    def __init__(self, threads: IoThreads, fd: int, offset: int, length: int | None) -> None:
        self._threads = threads
        self._fd = fd
        self._offset = offset
        self._left = os.fstat(fd).st_size - offset if length is None else length
        self._next: asyncio.Future[bytes] | None = None

    def __aiter__(self) -> "_Reading":
        return self

    async def __anext__(self) -> bytes:
        if self._next is None:
            self._next = self._ahead()
            if self._next is None:
                raise StopAsyncIteration
        with _told():
            piece = await asyncio.shield(self._next)
        if not piece:
            raise ContentDamaged
        self._offset += len(piece)
        self._left -= len(piece)
        self._next = self._ahead()
        return piece

    def _ahead(self) -> "asyncio.Future[bytes] | None":
        if self._left <= 0:
            return None
        return self._threads.submit(os.pread, self._fd, min(PIECE_BYTES, self._left), self._offset)

    async def settle(self) -> None:
        """Wait until nobody reads from the descriptor any more."""
        if self._next is not None:
            await settled(self._next)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.part")


def _rename(old: Path, new: Path) -> None:
    """Move a finished file to its name, durably. Repeating it after a success changes nothing."""
    try:
        old.rename(new)
    except FileNotFoundError:
        if not new.exists():
            raise
    _sync_folder(new.parent)
    _sync_folder(old.parent)


def _remove(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    _sync_folder(paths[0].parent)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _told(key: str = "") -> Generator[None]:
    """Turn errors of the file system into those of the port."""
    try:
        yield
    except FileNotFoundError as error:
        if key:
            raise NoSuchBlob(key) from error
        raise StoreUnavailable from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise StoreFull from error
        raise StoreUnavailable from error
