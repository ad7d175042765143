"""Freed memory stays with the process, as far as it is of the size of what bytes travel in.

glibc maps each block over 128 KiB by itself and unmaps it when it is freed, so that every chunk of
a file is faulted in page by page at each of its stops: measured, that costs more than copying it.
"""

import ctypes
import sys
from contextlib import suppress
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h of glibc
_MIB: Final = 1024 * 1024
_KEPT_BYTES: Final = 4 * _MIB
"""Blocks up to this: chunks and pieces. Larger ones, such as segments for S3, are given back."""
_SPARE_BYTES: Final = 32 * _MIB
"""How much may lie unused at the top of the heap: what a few transfers hold at a time."""


def keep_freed_memory() -> None:
    """Set it for this process, where it runs on glibc; anywhere else it changes nothing."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):  # another libc
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_TRIM_THRESHOLD, _SPARE_BYTES)
