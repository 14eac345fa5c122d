"""Processes: several that train one run together (`torchrun`, `accelerate launch`: all compute, the first one writes), and the
memory that one of them keeps."""

import ctypes
import os
import platform
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from limbeck.errors import UserError

Made = TypeVar("Made")
LARGEST = 32 * 2**20  # blocks up to this size come from the heap (glibc allows no more)
KEPT = 512 * 2**20  # free bytes at the heap's end that are not given back
_MMAP_THRESHOLD, _TRIM_THRESHOLD = -3, -1  # of malloc.h


def several() -> bool:
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def first() -> bool:
    """Whether this process is the one that writes and prints; the only one always is."""
    return not several() or int(os.environ.get("RANK", "0")) == 0


def agreed(make: Callable[[], Made], *, cpu: bool) -> Made:
    """What the first process makes, in all of them. If it cannot (`UserError`), the others end quietly.

    cpu: whether the processes talk to one another on the CPU although there may be an accelerator.
    """
    if not several():
        return make()
    from accelerate import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState(cpu=cpu)
    said: list[Any] = [None, None]
    error: UserError | None = None
    if first():
        try:
            said = [make(), None]
        except UserError as refused:
            error, said = refused, [None, str(refused)]
    broadcast_object_list(said)
    if error is not None:
        raise error
    if said[1] is not None:
        sys.exit(2)
    return said[0]  # type: ignore[no-any-return]


def alone(command: str, instead: str) -> None:
    """Refuse to be started by torchrun. Raises `UserError`."""
    if several():
        raise UserError(f"{command} was started in several processes, which only works for training one run; {instead}")


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
