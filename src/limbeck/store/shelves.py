"""The store of frozen teachers' answers: computed once, on disk, shared by stages, methods, students, seeds, runs.

An answer is kept under everything it is known to depend on: the role's identity, the source that was read, the view (its
steps, seed and number), the data, the storage form. What is found is nevertheless asked again (see `filling`), and of data
that are read item by item, each answer remembers the input it was given to. One folder per key; one safetensors shard per
view number, memory-mapped; a checksum per row, which also says that the row is filled. Letters: n samples.
"""

import hashlib
import json
import os
import secrets
import shutil
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from torch import Tensor

from limbeck.files import atomic_write, cannot_write
from limbeck.store.forms import FORMS


def default_folder() -> Path:
    """$LIMBECK_STORE, else the user's cache folder."""
    if "LIMBECK_STORE" in os.environ:
        return Path(os.environ["LIMBECK_STORE"])
    import platformdirs

    return Path(platformdirs.user_cache_dir("limbeck")) / "knowledge"


class Contents(TypedDict):
    """A shelf's own description of its contents."""

    role: str
    source: str
    data: str
    view: str
    shape: list[int]
    rows: int
    form: str
    views: int
    bytes: int


@dataclass(frozen=True)
class Key:
    """What an answer depends on, as one JSON-able mapping; its hash names the folder."""

    facts: Mapping[str, object]

    @property
    def name(self) -> str:
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True).encode()).hexdigest()[:24]


class Shelf:
    """The answers under one key: (views, n, *shape), rows filled as they become known.

    Opening checks every filled row against its checksum; damaged ones are emptied, counted in `damaged`,
    and will be computed again.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], rows: int, form: str = "float32"):
        self.folder, self.shape, self.rows, self.form, self.damaged = folder, shape, rows, FORMS[form], 0
        self._views: dict[int, tuple[np.memmap, np.memmap]] = {}
        self._fed: dict[int, np.memmap] = {}

    def _view(self, number: int) -> tuple[np.memmap, np.memmap]:
        if number not in self._views:
            values = self.folder / f"view-{number:04d}.safetensors"
            marks = self.folder / f"view-{number:04d}.checksums"
            shape = (self.rows, *self.form.row(self.shape))
            header = _header(self.form.spelling, shape, self.form.kind.itemsize)
            _make(values, header, len(header) + self.rows * self.form.bytes(self.shape))
            _make(marks, b"", self.rows * 4)
            kept = np.memmap(values, self.form.kind, "r+", offset=len(header), shape=shape)
            sums = np.memmap(marks, np.dtype("<u4"), "r+", shape=(self.rows,))
            self.damaged += _empty_damaged(kept, sums)
            self._views[number] = (kept, sums)
        return self._views[number]

    def has(self, index: Tensor, view: int) -> Tensor:
        """(n,) bool: which of these samples are known."""
        return torch.from_numpy(self._view(view)[1][index.numpy()] != 0)

    def get(self, index: Tensor, view: int) -> Tensor:
        """(n, *shape) float32, in the order of `index`; rows that are not known are zero."""
        return self.form.read(self._view(view)[0][index.numpy()], self.shape)

    def put(self, index: Tensor, view: int, values: Tensor, fed: np.ndarray | None = None) -> None:
        """Keep the answers (n, *shape) of these samples; fed: (n,) checksums of the inputs they were given to."""
        kept, sums = self._view(view)
        if fed is not None:
            self.fed(view)[index.numpy()] = fed
        rows = index.numpy()
        stored = self.form.write(values.detach().cpu())
        kept[rows] = stored
        for row, value in zip(rows, stored, strict=True):
            sums[row] = mark(value)

    def fed(self, view: int) -> np.memmap:
        """(rows,) checksums of the inputs that answers were given to, 0 where none was kept."""
        if view not in self._fed:
            path = self.folder / f"view-{view:04d}.inputs"
            _make(path, b"", self.rows * 4)
            self._fed[view] = np.memmap(path, np.dtype("<u4"), "r+", shape=(self.rows,))
        return self._fed[view]

    def forget(self) -> None:
        """Empty all views that are on disk."""
        for number in self.filled():
            self._view(number)[1][:] = 0

    def filled(self) -> dict[int, int]:
        """Known rows by view number, of all views on disk."""
        numbers = sorted(int(p.stem[5:]) for p in self.folder.glob("view-*.safetensors"))
        return {number: int((self._view(number)[1] != 0).sum()) for number in numbers}


def mark(row: np.ndarray) -> int:
    """A row's checksum, never 0."""
    return zlib.crc32(np.ascontiguousarray(row).tobytes()) or 1


def _empty_damaged(kept: np.ndarray, sums: np.ndarray) -> int:
    bad = [row for row in np.flatnonzero(sums) if mark(kept[row]) != sums[row]]
    sums[bad] = 0
    return len(bad)


def _header(kind: str, shape: tuple[int, ...], itemsize: int) -> bytes:
    """A safetensors header for one tensor called `values`, padded so that the data is aligned."""
    end = int(np.prod(shape, dtype=np.int64)) * itemsize
    text = json.dumps({"values": {"dtype": kind, "shape": list(shape), "data_offsets": [0, end]}}).encode()
    text += b" " * (-len(text) % 64)
    return struct.pack("<Q", len(text)) + text


def _make(path: Path, start: bytes, size: int) -> None:
    """A sparse file of that size, unless it is there; two processes may try at once."""
    if path.exists() and path.stat().st_size == size:
        return
    aside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("xb") as file:
            file.write(start)
            file.truncate(size)
        if path.exists():  # of another size: a damaged shard
            aside.replace(path)
        else:
            _publish(aside, path)
    except FileExistsError:
        pass
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        aside.unlink(missing_ok=True)


def _publish(aside: Path, path: Path) -> None:
    """Give a file its name unless another process has by now; some network folders know no hard links."""
    try:
        os.link(aside, path)
    except FileExistsError:
        raise
    except OSError:
        if not path.exists():
            aside.replace(path)


class Store:
    """A folder of shelves, bounded in bytes."""

    def __init__(self, folder: Path | None = None, *, limit: int = 4 * 2**30):
        self.folder, self.limit = folder or default_folder(), limit

    def shelf(
        self, key: Key, shape: tuple[int, ...], rows: int, views: int, form: str = "float32", used: int | None = None
    ) -> Shelf | None:
        """The shelf of a key, made if there is none; None if it would not fit under the limit.

        rows: sample numbers run below this. used: so many of them will be filled; None means all. Files are sparse.
        """
        folder, size = self.folder / key.name, needed(shape, rows if used is None else used, views, form)
        grows = self.grows(key, size)
        if grows and self.size() + grows > self.limit:
            return None
        if grows:
            facts = dict(key.facts) | {"shape": list(shape), "rows": rows, "form": form, "views": views, "bytes": size}
            with atomic_write(folder / "key.json", text=True) as file:
                json.dump(facts, file, indent=1)
        os.utime(folder)
        return Shelf(folder, shape, rows, form)

    def grows(self, key: Key, size: int) -> int:
        """Bytes by which the store grows if the shelf of a key comes to hold `size`."""
        try:
            has = json.loads((self.folder / key.name / "key.json").read_text(encoding="utf-8"))["bytes"]
        except (OSError, ValueError, KeyError):
            has = 0
        return max(0, size - int(has))

    def size(self) -> int:
        """Bytes that the shelves may come to hold."""
        return sum(facts["bytes"] for _, facts in self.shelves())

    def shelves(self) -> Iterator[tuple[Path, Contents]]:
        """(folder, what it was made for), oldest use first."""
        known = list(self.folder.glob("*/key.json")) if self.folder.exists() else []
        for path in sorted(known, key=lambda p: p.parent.stat().st_mtime):
            try:
                yield path.parent, json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                continue

    def open(self, folder: Path, facts: Contents) -> Shelf:
        return Shelf(folder, tuple(facts["shape"]), facts["rows"], facts["form"])

    def prune(self, limit: int, say: Callable[[str], None] = lambda text: None) -> int:
        """Remove shelves, longest unused first, until at most `limit` bytes remain; returns the bytes removed."""
        total, removed = self.size(), 0
        for folder, facts in list(self.shelves()):
            if total - removed <= limit:
                break
            used = time.strftime("%Y-%m-%d", time.localtime(folder.stat().st_mtime))
            shutil.rmtree(folder, ignore_errors=True)
            removed += facts["bytes"]
            say(f"removed {folder.name}: {facts['source']} of {facts['data']}, last used {used}")
        return removed


def needed(shape: tuple[int, ...], rows: int, views: int, form: str = "float32") -> int:
    """Bytes of a full shelf."""
    return views * rows * (FORMS[form].bytes(shape) + 4)
