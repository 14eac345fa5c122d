"""The store of frozen teachers' answers: computed once, on disk, shared by stages, methods, students, seeds, runs.

An answer is kept under everything it is known to depend on: the role's identity, the source that was read, the view (its
steps, seed and number), the data, the storage form. What is found is nevertheless asked again (see `filling`), and of data
that are read item by item, each answer remembers the input it was given to. One folder per key; one safetensors shard per
view number; a checksum per row, which also says that the row is filled. Letters: n samples.
"""

import contextlib
import functools
import gc
import hashlib
import json
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NotRequired

import numpy as np
import torch
from torch import Tensor
from typing_extensions import TypedDict

from limbeck.files import CannotWrite, aside, write_json
from limbeck.files.locks import Use, sweep, used_by
from limbeck.store.forms import FORMS
from limbeck.store.rows import Rows, header

if TYPE_CHECKING:
    from pydantic import TypeAdapter

KEY = "key.json"


def default_folder() -> Path:
    """$LIMBECK_STORE, else the user's cache folder."""
    if "LIMBECK_STORE" in os.environ:
        return Path(os.environ["LIMBECK_STORE"])
    import platformdirs

    return Path(platformdirs.user_cache_dir("limbeck")) / "knowledge"


class Contents(TypedDict):
    """A shelf's own description of its contents."""

    role: NotRequired[str]
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

    def __init__(self, folder: Path, shape: tuple[int, ...], rows: int, form: str = "float32", use: "Use | None" = None):
        self.folder, self.shape, self.rows, self.form, self.damaged = folder, shape, rows, FORMS[form], 0
        self.use = use  # held as long as the shelf is
        self._views: dict[int, tuple[Rows, Rows]] = {}
        self._fed: dict[int, Rows] = {}

    def _view(self, number: int) -> tuple[Rows, Rows]:
        if number not in self._views:
            name = f"view-{number:04d}"
            shape = (self.rows, *self.form.row(self.shape))
            start = header(self.form.spelling, shape, self.form.kind.itemsize)
            kept = Rows(self.folder / f"{name}.safetensors", self.form.kind, shape, start, whole=False)
            sums = Rows(self.folder / f"{name}.checksums", np.dtype("<u4"), (self.rows,))
            bad = np.array([row for row in np.flatnonzero(sums.seen) if mark(kept.seen[row]) != sums.seen[row]], int)
            if len(bad):
                sums.clear(bad)
                self.damaged += len(bad)
            self._views[number] = (kept, sums)
        return self._views[number]

    def has(self, index: Tensor, view: int) -> Tensor:
        """(n,) bool: which of these samples are known."""
        return torch.from_numpy(self._view(view)[1].seen[index.numpy()] != 0)

    def get(self, index: Tensor, view: int) -> Tensor:
        """(n, *shape) float32, in the order of `index`, of samples that are known."""
        return self.form.read(self._view(view)[0].seen[index.numpy()], self.shape)

    def put(self, index: Tensor, view: int, values: Tensor, fed: np.ndarray | None = None) -> None:
        """Keep the answers (n, *shape) of these samples; fed: (n,) checksums of the inputs they were given to.

        Raises `CannotWrite` if the disk is full or read-only.
        """
        kept, sums = self._view(view)
        rows, stored = index.numpy(), self.form.write(values.detach().cpu())
        if fed is not None:
            self._inputs(view).write(rows, fed)
        kept.write(rows, stored)
        sums.write(rows, np.array([mark(value) for value in stored], np.uint32))

    def fed(self, view: int) -> np.ndarray:
        """(rows,) checksums of the inputs that answers were given to, 0 where none was kept."""
        return self._inputs(view).seen

    def _inputs(self, view: int) -> Rows:
        if view not in self._fed:
            self._fed[view] = Rows(self.folder / f"view-{view:04d}.inputs", np.dtype("<u4"), (self.rows,))
        return self._fed[view]

    def forget(self) -> None:
        """Empty all views that are on disk."""
        for number in self.filled():
            self._view(number)[1].clear()

    def filled(self) -> dict[int, int]:
        """Known rows by view number, of all views on disk."""
        numbers = sorted(int(p.stem[5:]) for p in self.folder.glob("view-*.safetensors") if p.stem[5:].isdigit())
        return {number: int((self._view(number)[1].seen != 0).sum()) for number in numbers}


def mark(row: np.ndarray) -> int:
    """A row's checksum, never 0."""
    return zlib.crc32(np.ascontiguousarray(row).tobytes()) or 1


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
        shelf = Shelf(folder, shape, rows, form, used_by(folder))
        if self.grows(key, size):  # looked at again: it may have been pruned before it was held
            facts = dict(key.facts) | {"shape": list(shape), "rows": rows, "form": form, "views": views, "bytes": size}
            write_json(folder / KEY, facts)
        with contextlib.suppress(OSError):  # of a read-only disk: when it was last used is not kept
            sweep(folder)
            os.utime(folder)
        return shelf

    def grows(self, key: Key, size: int) -> int:
        """Bytes by which the store grows if the shelf of a key comes to hold `size`."""
        known = contents_of(self.folder / key.name)
        return max(0, size - (known["bytes"] if known else 0))

    def size(self) -> int:
        """Bytes that the shelves may come to hold."""
        return sum(facts["bytes"] for _, facts in self.shelves())

    def shelves(self) -> Iterator[tuple[Path, Contents]]:
        """(folder, what it was made for), oldest use first; what cannot be read is passed over."""
        for folder in self._folders():
            facts = contents_of(folder)
            if facts is not None:
                yield folder, facts

    def _folders(self) -> list[Path]:
        found = []
        for path in self.folder.glob("*/") if self.folder.is_dir() else ():
            with contextlib.suppress(OSError):  # removed meanwhile
                found.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(found)]

    def open(self, folder: Path, facts: Contents) -> Shelf:
        return Shelf(folder, tuple(facts["shape"]), facts["rows"], facts["form"])

    def prune(self, limit: int, say: Callable[[str], None] = lambda text: None) -> int:
        """Remove shelves, longest unused first, until at most `limit` bytes remain, and those that cannot be read; returns the
        bytes removed. A shelf that a run uses stays.

        Raises `CannotWrite` if one could not be removed.
        """
        total, removed = self.size(), 0
        gc.collect()  # a run of this process that is over may still hold its shelves
        for folder in self._folders():
            facts = contents_of(folder)
            if facts is not None and total - removed <= limit:
                continue
            if facts is None and not any(folder.glob("view-*")) and not (folder / KEY).exists():
                continue  # it is not ours, or just being made
            used = time.strftime("%Y-%m-%d", time.localtime(folder.stat().st_mtime))
            named = f"{facts['source']} of {facts['data']}" if facts else "its description cannot be read"
            if _removed(folder):
                removed += facts["bytes"] if facts else 0
                say(f"removed {folder.name}: {named}, last used {used}")
            else:
                say(f"kept {folder.name}: {named}, which a run is using")
        return removed


def contents_of(folder: Path) -> Contents | None:
    """A shelf's description of itself; None where it is missing or of another shape."""
    try:
        found = _shape().validate_python(json.loads((folder / KEY).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None
    sizes = (found["rows"], found["views"], found["bytes"], *found["shape"])
    return found if found["form"] in FORMS and min(sizes) >= 0 and found["rows"] > 0 else None


@functools.cache
def _shape() -> "TypeAdapter[Contents]":
    from pydantic import TypeAdapter

    return TypeAdapter(Contents)


def _removed(folder: Path) -> bool:
    """Remove a shelf, out of sight first; False if a run uses it."""
    with used_by(folder, alone=True) as mine:
        if not mine:
            return False
        try:
            gone = folder.rename(aside(folder))
            shutil.rmtree(gone)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise CannotWrite(f"cannot remove {folder}: {why}; check that the store's folder is writable") from error
    return True


def needed(shape: tuple[int, ...], rows: int, views: int, form: str = "float32") -> int:
    """Bytes of a full shelf."""
    return views * rows * (FORMS[form].bytes(shape) + 4)
