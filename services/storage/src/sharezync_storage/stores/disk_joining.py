"""Files of uploads made into one blob, on disk."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sharezync_shared.threads import IoThreads
from sharezync_storage.problems import ContentDamaged
from sharezync_storage.settings import MIB
from sharezync_storage.stores.disk_files import part_of, rename, sync_folder
from sharezync_storage.stores.disk_writing import WrittenFile

_COPY_BYTES: Final = 4 * MIB
_NO_LINKS: Final = frozenset(
    {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
)

Source = tuple[Path, int]
"""A file, and how many of its bytes count."""


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
    part = part_of(target)
    into = await threads.run(WrittenFile, part, os.O_CREAT | os.O_TRUNC, undo=WrittenFile.close)
    try:
        offset = 0
        for path, size in sources:
            fd = await threads.run(_opened, path, size, undo=os.close)
            try:
                for start in range(0, size, _COPY_BYTES):
                    count = min(_COPY_BYTES, size - start)
                    await threads.run(_copy_block, fd, start, count, into, offset + start)
            finally:
                os.close(fd)
            offset += size
        await threads.run(into.sync)
    except BaseException:
        into.close()
        part.unlink(missing_ok=True)
        raise
    into.close()
    await threads.run(rename, part, target)


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


def _opened(path: Path, size: int) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    if os.fstat(fd).st_size < size:
        os.close(fd)
        raise ContentDamaged
    return fd
