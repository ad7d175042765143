"""Keeping the allocator from giving memory back between two chunks."""

import ctypes
import sys
from contextlib import suppress
from typing import Final

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3  # malloc.h of glibc
_MIB: Final = 1024 * 1024


def keep_memory() -> None:
    """Have freed memory stay with the process, where it runs on glibc.

    Without this each chunk of 1 MiB is mapped, faulted in page by page, and unmapped again, several
    times on its way: measured, that costs more than masking and copying it.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):  # another libc
        libc = ctypes.CDLL(None)
        for option, value in (
            (_MMAP_THRESHOLD, 32 * _MIB),
            (_TRIM_THRESHOLD, 256 * _MIB),
            (_TOP_PAD, 16 * _MIB),
        ):
            libc.mallopt(option, value)
