"""Freed memory stays with the process for a while, as far as it is of the size of what bytes travel
in.

glibc maps each block over 128 KiB by itself and unmaps it when it is freed, so that every chunk of
a file is faulted in page by page at each of its stops: measured, that costs more than copying it.
What a burst has left behind is given back some seconds after it: glibc itself gives back only what
lies at the top of the heap.
"""

import ctypes
import mmap
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_MIB: Final = 1024 * 1024
_KEPT_BYTES: Final = 4 * _MIB
"""Blocks up to this: chunks and pieces. Larger ones, such as segments for S3, are given back."""
_SPARE_BYTES: Final = 32 * _MIB
"""How much may lie unused: what a few transfers hold at a time."""
_GROWN_BYTES: Final = 8 * _MIB
"""Grown by less than this, nothing is given back some seconds after a burst."""
_LONGEST_INTERVAL: Final = 64
"""Between two tries to give memory back, in looks."""
_STATM: Final = Path("/proc/self/statm")


class FreedMemory:
    """Gives memory back that was freed, where it is much. Does nothing on anything but glibc.

    Nothing cheap shows what is free: so it is tried, at ever longer intervals, while the process is
    larger than it was; what then still isn't given back is in use. Whenever it has grown again the
    intervals are short again.
    """

    def __init__(self) -> None:
        self._trim = _malloc_trim()
        self._usual_bytes = self._trimmed_bytes = _resident_bytes()
        self._interval = self._left = 1

    def trim(self) -> None:
        """Give back what is free, if the process has grown. To be called every few seconds."""
        resident_bytes = _resident_bytes()
        self._usual_bytes = min(self._usual_bytes, resident_bytes)
        if self._trim is None or resident_bytes < self._usual_bytes + _GROWN_BYTES:
            self._interval = self._left = 1
            return
        if resident_bytes >= self._trimmed_bytes + _GROWN_BYTES:
            self._interval = self._left = 1
        self._left -= 1
        if self._left:
            return
        self._trim(0)
        self._trimmed_bytes = _resident_bytes()
        self._interval *= 2
        if self._interval > _LONGEST_INTERVAL:
            self._usual_bytes, self._interval = self._trimmed_bytes, 1
        self._left = self._interval


def _malloc_trim() -> Callable[[int], int] | None:
    try:
        trim: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # another system, another libc
        return None
    return trim


def _resident_bytes() -> int:
    if not _STATM.exists():
        return 0
    return int(_STATM.read_text().split()[1]) * mmap.PAGESIZE


def keep_freed_memory() -> None:
    """Set it for this process, where it runs on glibc; anywhere else it changes nothing."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):  # another libc
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_TRIM_THRESHOLD, _SPARE_BYTES)
