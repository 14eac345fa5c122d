"""Files of rows of a fixed length: read through a memory map, written by calls that say when the disk is full.

A write through a memory map to a disk without room ends the process (SIGBUS), and so may a read of what was never written on some
file systems: values are read only where they were written, and small files are written out in full when they are made.
"""

import json
import os
import struct
from pathlib import Path

import numpy as np

from limbeck.files import aside, cannot_write


class Rows:
    """Rows (n, *shape) in a file; a file of another size is replaced by an empty one.

    whole: write all of it when it is made; else it is sparse.
    """

    def __init__(self, path: Path, kind: np.dtype[np.generic], shape: tuple[int, ...], header: bytes = b"", whole: bool = True):
        self.path, self.start, self.row = path, len(header), int(np.prod(shape[1:], dtype=np.int64)) * kind.itemsize
        _make(path, header, self.start + shape[0] * self.row, whole)
        self.seen = np.memmap(path, kind, "r", offset=self.start, shape=shape)

    def write(self, numbers: np.ndarray, values: np.ndarray) -> None:
        """Put values (k, *shape) at row numbers (k,). Raises `CannotWrite`."""
        order = np.argsort(numbers, kind="stable")
        numbers, values = numbers[order], np.ascontiguousarray(values[order])
        cuts = [0, *(np.flatnonzero(np.diff(numbers) != 1) + 1), len(numbers)]
        try:
            file = os.open(self.path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
            try:
                for first, end in zip(cuts, cuts[1:]):
                    if end > first:
                        os.lseek(file, self.start + int(numbers[first]) * self.row, os.SEEK_SET)
                        _all(file, values[first:end].tobytes())
            finally:
                os.close(file)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def clear(self, numbers: np.ndarray | None = None) -> None:
        """Make rows zero, all of them by default. Raises `CannotWrite`."""
        chosen = np.arange(len(self.seen)) if numbers is None else numbers
        self.write(chosen, np.zeros((len(chosen), *self.seen.shape[1:]), self.seen.dtype))


def _all(file: int, content: bytes) -> None:
    while content:
        content = content[os.write(file, content) :]


def header(kind: str, shape: tuple[int, ...], itemsize: int) -> bytes:
    """A safetensors header for one tensor called `values`, padded so that the data is aligned."""
    end = int(np.prod(shape, dtype=np.int64)) * itemsize
    text = json.dumps({"values": {"dtype": kind, "shape": list(shape), "data_offsets": [0, end]}}).encode()
    text += b" " * (-len(text) % 64)
    return struct.pack("<Q", len(text)) + text


def _make(path: Path, start: bytes, size: int, whole: bool) -> None:
    """A file of that size, unless it is there; two processes may try at once."""
    try:
        if path.exists() and path.stat().st_size == size:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        hidden = aside(path)
        try:
            with hidden.open("xb") as file:
                file.write(start)
                file.write(bytes(size - len(start)) if whole else b"")
                file.flush()
                file.truncate(size)
            if path.exists():  # of another size: a damaged shard
                hidden.replace(path)
            else:
                _publish(hidden, path)
        finally:
            hidden.unlink(missing_ok=True)
    except FileExistsError:
        pass
    except OSError as error:
        raise cannot_write(path, error) from error


def _publish(hidden: Path, path: Path) -> None:
    """Give a file its name unless another process has by now; some network folders know no hard links."""
    try:
        os.link(hidden, path)
    except FileExistsError:
        raise
    except OSError:
        if not path.exists():
            hidden.replace(path)
