"""What all of the store in a folder is made of: renames and deletions that last, reads, errors."""

import asyncio
import errno
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sharezync_shared.threads import IoThreads, settled
from sharezync_storage.problems import ContentDamaged, StoreFull, StoreUnavailable
from sharezync_storage.stores.port import PIECE_BYTES, NoSuchBlob

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class BlobReader:
    """The pieces of one blob, the next always on its way while the last is being sent."""

    def __init__(self, threads: IoThreads, fd: int, offset: int, length: int | None) -> None:
        self._threads = threads
        self._fd = fd
        self._offset = offset
        self._left = os.fstat(fd).st_size - offset if length is None else length
        self._next: asyncio.Future[bytes] | None = None

    def __aiter__(self) -> "BlobReader":
        return self

    async def __anext__(self) -> bytes:
        if self._next is None:
            self._next = self._ahead()
            if self._next is None:
                raise StopAsyncIteration
        with told():
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


def part_of(path: Path) -> Path:
    """Return the name of what is to become `path`."""
    return path.with_name(f"{path.name}.part")


def rename(old: Path, new: Path) -> None:
    """Move a finished file to its name, durably. Repeating it after a success changes nothing."""
    move(old, new)
    sync_folders([new.parent, old.parent])


def move(old: Path, new: Path) -> None:
    """Do the same, but for durability: both folders are still to be synced."""
    try:
        old.rename(new)
    except FileNotFoundError:
        if not new.exists():
            raise


def remove(*paths: Path) -> None:
    """Remove files of one folder, durably, as far as they are there."""
    for path in paths:
        path.unlink(missing_ok=True)
    sync_folder(paths[0].parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_folders(folders: Iterable[Path]) -> None:
    """Make the names in each of these folders durable, in this order."""
    for folder in folders:
        sync_folder(folder)


@contextmanager
def told(key: str = "") -> Generator[None]:
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
