"""Freed memory stays with the process while it trains, so that the next step finds it warm.

The C library of most Linux systems (glibc) gives blocks of 32 MiB and more back to the system as soon as they are
freed. A step that makes such blocks again, as the gradient of a table of words, then waits for the system to clear
every page of them before it can write to them. The bits of what is computed do not depend on where it lies.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # parameters of mallopt(3)
LARGE = 32 << 20  # bytes; where glibc's own threshold ends after a large block was freed


@contextmanager
def kept() -> Iterator[None]:
    """Keep what is freed until the end, when all that is unused goes back; without glibc, do nothing."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    libc = ctypes.CDLL(None)
    libc.mallopt(MMAP_MAX, 0)
    libc.mallopt(TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        for parameter, value in ((MMAP_MAX, 65536), (MMAP_THRESHOLD, LARGE), (TRIM_THRESHOLD, 2 * LARGE)):
            libc.mallopt(parameter, value)
        libc.malloc_trim(0)
