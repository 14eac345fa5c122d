"""IDX files of bytes, as MNIST is published: four files, packed with gzip or not."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from limbeck.data.assemble import Raw
from limbeck.data.find import DataFiles
from limbeck.data.reader import How, Reader
from limbeck.errors import UserError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


class Idx(Reader):
    """Images and labels of a training and a test part."""

    name = "idx"
    layout = "IDX files"
    order = 30

    def recognises(self, path: Path) -> bool:
        return _place(path) is not None

    def read(self, path: Path, how: How) -> Raw:
        place = _place(path)
        if place is None:
            raise UserError(f"{path} holds no IDX files; expected {', '.join(f for pair in FILES.values() for f in pair)}")
        if not has_idx(place) and not how.unlabelled:
            lacking = [file for pair in FILES.values() for file in pair if _idx_name(place, file) not in place]
            raise UserError(f"{path} lacks {', '.join(lacking)}; put them there, or set data.task = embed, which needs no labels")
        return idx(place, ()) if has_idx(place) else _unlabelled(place)


def _place(path: Path) -> DataFiles | None:
    train = FILES["train"][0]
    found = [DataFiles(below) for below in (path, path / "raw") if below.exists()]
    return next((place for place in found if has_idx(place) or _idx_name(place, train) in place), None)


def _unlabelled(place: DataFiles) -> Raw:
    """The images of whatever parts are there, without labels."""
    there = {part: _idx_name(place, files[0]) for part, files in FILES.items()}
    images = {part: _idx_array(place, file) for part, file in there.items() if file in place}
    return Raw({part: (x[:, None] if x.dim() == 3 else x, None) for part, x in images.items()}, (), "image")


def has_idx(place: DataFiles) -> bool:
    """Whether all four IDX files are there, packed or not."""
    return all(_idx_name(place, f) in place for pair in FILES.values() for f in pair)


def _idx_name(place: DataFiles, file: str) -> str:
    spellings = (file + ".gz", file, file.replace("-idx", ".idx"))
    return next((s for s in spellings if s in place), file)


def idx(place: DataFiles, classes: tuple[str, ...], mean: tuple[float, ...] = (), std: tuple[float, ...] = ()) -> Raw:
    """Read the four IDX files; without `classes` they are numbered."""
    parts = {}
    for part, files in FILES.items():
        inputs, labels = (_idx_array(place, _idx_name(place, f)) for f in files)
        parts[part] = (inputs[:, None] if inputs.dim() == 3 else inputs, labels.to(torch.int64))
    classes = classes or tuple(str(k) for k in range(int(max(p[1].max() for p in parts.values())) + 1))
    return Raw(parts, classes, "image", mean, std, labels_from="the files of labels")


def _idx_array(place: DataFiles, name: str) -> Tensor:
    data = place.read(name)
    try:
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        if data[:3] != b"\x00\x00\x08":
            raise ValueError(f"starts with {data[:3].hex()} instead of 000008 (IDX of bytes)")
        sizes = [int(v) for v in np.frombuffer(data, ">u4", count=data[3], offset=4)]
        start, need = 4 + 4 * data[3], math.prod(sizes)
        if len(data) - start != need:
            raise ValueError(f"holds {len(data) - start} values where its header promises {need}")
        return torch.from_numpy(np.frombuffer(data, np.uint8, offset=start).reshape(sizes).copy())
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"{place.path / name} is not a complete IDX file: {error}; replace it") from error
