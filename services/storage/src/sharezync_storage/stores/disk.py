"""Blobs in a folder.

    files/ab/<id>        a finished blob
    files/ab/<id>.part   one that is being put
    uploads/cd/<id>      an upload: chunks, each at its offset, or written from start to end

For one process at a time, which a lock on the folder sees to.
"""

import asyncio
import contextlib
import fcntl
import functools
import hashlib
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from sharezync_shared.db.group_commit import GroupCommit
from sharezync_shared.threads import IoThreads, settled
from sharezync_storage.errors import StoreUnavailable
from sharezync_storage.keys import checked
from sharezync_storage.stores import disk_uploads
from sharezync_storage.stores.disk_files import (
    BLOCK_BYTES,
    WrittenFile,
    disk_errors,
    move,
    part_of,
    read_blob,
    remove,
    replaced,
    sync_folder,
    sync_folders,
)
from sharezync_storage.stores.disk_uploads import AHEAD_BYTES, ChunkFile, FileWriter
from sharezync_storage.stores.pieces import Piece, blocks
from sharezync_storage.stores.port import ChunkPlan, Extent, Kept, StoredBlob
from sharezync_storage.stores.read_ahead import written

LOCK_SECONDS: Final = 15.0
"""How long to wait for a process that is just leaving the folder."""
_FOLDER_MODE: Final = 0o750


class FolderInUse(RuntimeError):
    """Another process has this folder."""


class DiskStore:
    """The store in a folder: `UploadStore` and `LocalFiles`."""

    def __init__(self, folder: Path, *, lock_seconds: float = LOCK_SECONDS) -> None:
        self._folder = folder
        self._lock_seconds = lock_seconds
        self._lock_fd: int | None = None
        self._threads = IoThreads("storage-disk")
        self._writing: dict[str, ChunkFile] = {}
        self._appending: dict[str, FileWriter] = {}
        self._names: GroupCommit[tuple[Path, ...], None] = GroupCommit(self._sync_names)
        self._joining: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._shards: set[Path] = set()
        """Those of `files/ab` and `uploads/cd` that are known to be there."""
        self._making_shards = asyncio.Lock()

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
        await asyncio.to_thread(self._threads.close)
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    async def ready(self) -> bool:
        return await self._threads.run(os.access, self._folder, os.R_OK | os.W_OK | os.X_OK)

    # --- whole blobs ------------------------------------------------------------------------

    async def put(self, key: str, pieces: AsyncIterable[bytes]) -> StoredBlob:
        (path,) = await self._places(key)
        async with replaced(self._threads, path) as file:
            return await self._fill(file, pieces)

    async def _fill(self, file: WrittenFile, pieces: AsyncIterable[bytes]) -> StoredBlob:
        """Write and hash one block while the next one is gathered."""
        digest = hashlib.sha256()
        size = 0
        writing: asyncio.Future[int] | None = None

        def write(block: list[Piece], offset: int) -> int:
            for piece in block:
                digest.update(piece)
            return file.write(block, offset)

        try:
            async with contextlib.aclosing(blocks(pieces, BLOCK_BYTES)) as gathered:
                async for block in gathered:
                    if writing is not None:
                        with disk_errors():
                            size = await asyncio.shield(writing)
                    writing = self._threads.submit(write, block, size)
            if writing is not None:
                with disk_errors():
                    size = await asyncio.shield(writing)
        finally:
            # The descriptor is closed next: nobody may be writing to it then.
            if writing is not None:
                await settled(writing)
        return StoredBlob(size, digest.digest())

    @asynccontextmanager
    async def open(
        self, key: str, *, offset: int = 0, length: int | None = None
    ) -> AsyncGenerator[AsyncIterator[bytes]]:
        with disk_errors(key):
            fd = await self._threads.run(
                os.open, self._path(key), os.O_RDONLY | os.O_CLOEXEC, undo=os.close
            )
        reading = read_blob(self._threads, fd, offset, length)
        try:
            yield reading
        finally:
            await reading.aclose()
            os.close(fd)

    @asynccontextmanager
    async def open_file(self, key: str) -> AsyncGenerator[FileIO]:
        with disk_errors(key):
            file = await self._threads.run(FileIO, self._path(key), undo=FileIO.close)
        with file:
            yield file

    async def size(self, key: str) -> int:
        with disk_errors(key):
            return (await self._threads.run(os.stat, self._path(key))).st_size

    async def delete(self, key: str) -> None:
        path = self._path(key)
        with disk_errors():
            await self._threads.run(remove, path, part_of(path))

    async def tidy(self, key: str) -> None:
        with disk_errors():
            await self._threads.run(remove, part_of(self._path(key)))

    # --- chunks -----------------------------------------------------------------------------

    async def begin_chunks(self, *plans: ChunkPlan) -> None:
        paths = await self._places(*(plan.key for plan in plans))
        with disk_errors():
            await self._threads.run(disk_uploads.make_files, list(zip(paths, plans, strict=True)))

    async def write_chunk(
        self, plan: ChunkPlan, index: int, data: Sequence[bytes], sha256: bytes
    ) -> None:
        file = self._writing.get(plan.key)
        if file is None:
            forget = functools.partial(self._writing.pop, plan.key)
            file = ChunkFile(self._path(plan.key), self._threads, forget)
            self._writing[plan.key] = file
        with disk_errors():
            await file.write(data, plan.offset(index), sha256)

    async def read_chunk(self, plan: ChunkPlan, index: int, sha256: bytes) -> bytes:
        with disk_errors(plan.key):
            return await self._threads.run(
                disk_uploads.read_chunk, self._path(plan.key), plan, index, sha256
            )

    async def assemble_chunks(
        self,
        plan: ChunkPlan,
        key: str,
        digests: Sequence[bytes],  # noqa: ARG002 - every chunk lies where it belongs already
    ) -> None:
        old, (new,) = self._path(plan.key), await self._places(key)
        with disk_errors(plan.key):
            await self._threads.run(move, old, new)
            await self._names.submit((new.parent, old.parent))

    # --- from start to end ------------------------------------------------------------------

    async def append(
        self, key: str, pieces: AsyncIterable[bytes], *, start: Extent, epoch: int, kept: Kept
    ) -> Extent:
        (path,) = await self._places(key)
        writer = FileWriter(path, self._threads, start, epoch)
        earlier = self._appending.get(key)
        if earlier is not None:
            if earlier.epoch >= epoch:
                raise StoreUnavailable("Another process is writing")
            await earlier.fence()
        self._appending[key] = writer
        try:
            return await written(
                pieces, AHEAD_BYTES, lambda read_ahead: writer.write(read_ahead, kept)
            )
        finally:
            if self._appending.get(key) is writer:
                del self._appending[key]

    async def assemble(self, sources: Sequence[tuple[str, Extent]], key: str) -> None:
        files = [(self._path(source), extent.size_bytes) for source, extent in sources]
        (target,) = await self._places(key)
        async with self._joining.setdefault(key, asyncio.Lock()):
            with disk_errors(key):
                await disk_uploads.join(self._threads, files, target)

    async def discard(self, key: str) -> None:
        await self.delete(key)

    # ----------------------------------------------------------------------------------------

    async def _sync_names(self, waiting: Sequence[tuple[Path, ...]]) -> list[BaseException | None]:
        """Make names durable that were given at the same time: each folder is synced once."""
        folders = list(dict.fromkeys(folder for each in waiting for folder in each))
        await self._threads.run(sync_folders, folders)
        return [None] * len(waiting)

    def _path(self, key: str) -> Path:
        return self._folder / checked(key)

    async def _places(self, *keys: str) -> list[Path]:
        """Return where these may be written: in folders that are there, durably."""
        paths = [self._path(key) for key in keys]
        if not self._shards.issuperset(path.parent for path in paths):
            async with self._making_shards:  # those who need the same one have it made once
                new = {path.parent for path in paths} - self._shards
                with disk_errors():
                    await self._threads.run(_make_shards, new)
                self._shards |= new
        return paths

    def _make_folders(self) -> None:
        if not self._folder.exists():
            self._folder.parent.mkdir(parents=True, exist_ok=True)
            self._folder.mkdir(_FOLDER_MODE, exist_ok=True)
        for kind in ("files", "uploads"):
            _make_closed(self._folder / kind)
        sync_folder(self._folder)


def _make_shards(shards: Collection[Path]) -> None:
    for shard in shards:
        _make_closed(shard)
    sync_folders({shard.parent for shard in shards})


def _make_closed(folder: Path) -> None:
    """Make a folder that others can't enter, or close one that an earlier version made."""
    folder.mkdir(_FOLDER_MODE, exist_ok=True)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o007:
        with suppress(PermissionError):  # on some volumes it is not ours to change
            folder.chmod(mode & ~0o007)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
