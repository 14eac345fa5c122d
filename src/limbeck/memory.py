"""Memory that a training process frees is kept for its next step."""

import ctypes
import platform

LARGEST = 32 * 2**20  # blocks up to this size come from the heap (glibc allows no more)
KEPT = 512 * 2**20  # free bytes at the heap's end that are not given back
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of malloc.h


def keep_freed() -> bool:
    """Tell glibc's malloc to keep freed memory; says whether that could be done.

    A training step frees all its activations and asks for the same blocks again in the next step. By default
    glibc gives large ones back to the system and page-faults them in again: measured at 5 to 15 % of a step of a
    small convolutional network. The process's commands and workers call this; a library must not, by itself.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    malloc = ctypes.CDLL(None)
    return bool(malloc.mallopt(_MMAP_THRESHOLD, LARGEST)) and bool(malloc.mallopt(_TRIM_THRESHOLD, KEPT))
