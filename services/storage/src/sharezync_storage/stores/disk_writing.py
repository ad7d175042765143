"""A file that is being written on disk, in blocks: by each the fastest way that there is."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from sharezync_storage.settings import MIB
from sharezync_storage.stores.blocks import Piece
from sharezync_storage.stores.direct_io import open_past_cache, write_past_cache

BLOCK_BYTES: Final = MIB
"""From this size on a block goes past the page cache, if it is made of whole blocks of a disk."""
_BUFFERS: Final = 512
"""In one call of pwritev; Linux takes 1024."""


class WrittenFile:
    """A file open for writing, twice where its file system has a way past the page cache.

    What is small stays in the cache, for who reads it soon. Every call here blocks; not more than
    one write may be under way for a range. What was written is durable after `sync`.
    """

    def __init__(self, path: Path, flags: int = 0) -> None:
        """`flags` are more of those of open(2), such as O_CREAT. Raises OSError."""
        self.fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC | flags, 0o640)
        try:
            self._past_cache = open_past_cache(path)
        except BaseException:
            os.close(self.fd)
            raise

    def write(self, data: Sequence[Piece], offset: int) -> int:
        """Write `data` at `offset`; return the offset behind it. Raises OSError."""
        size_bytes = sum(map(len, data))
        is_large = size_bytes >= BLOCK_BYTES
        past_cache = self._past_cache if is_large else None
        if past_cache is not None and write_past_cache(past_cache, data, offset):
            return offset + size_bytes
        end = write_all(self.fd, data, offset)
        if is_large and hasattr(os, "posix_fadvise"):
            # Left to itself the kernel begins seconds later, or when somebody syncs, who then waits
            # for all of it. To let go of pages it has them written; until they are, they stay.
            os.posix_fadvise(self.fd, offset, end - offset, os.POSIX_FADV_DONTNEED)
        return end

    def sync(self) -> None:
        """Make durable what was written. A failure is final: a second sync would succeed without
        the bytes, because the kernel has dropped them and forgets the error.
        """
        os.fdatasync(self.fd)

    def close(self) -> None:
        """Close it. Nobody may be writing."""
        os.close(self.fd)
        if self._past_cache is not None:
            os.close(self._past_cache)


def write_all(fd: int, data: Sequence[Piece], offset: int) -> int:
    """Write `data` at `offset` in as few calls as it takes; return the offset behind it."""
    for first in range(0, len(data), _BUFFERS):
        buffers: list[Piece] = list(data[first : first + _BUFFERS])
        while buffers:
            written = os.pwritev(fd, buffers, offset)
            offset += written
            while buffers and written >= len(buffers[0]):
                written -= len(buffers.pop(0))
            if buffers and written:
                buffers[0] = memoryview(buffers[0])[written:]
    return offset
