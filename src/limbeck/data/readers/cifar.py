"""CIFAR-10 and CIFAR-100 in their published forms: binary records, or pickles of arrays, which are read without running code."""

import io
import pickle
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limbeck.data.assemble import Raw
from limbeck.data.find import DataFiles
from limbeck.data.reader import How, Reader
from limbeck.errors import UserError

_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR_SCALE = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}


class Cifar10(Reader):
    """Batches of 10 classes."""

    name = "cifar10"
    layout = "CIFAR batches"
    order = 31
    below = ("", "cifar-10-batches-bin", "cifar-10-batches-py")

    def recognises(self, path: Path) -> bool:
        return self._place(path) is not None

    def read(self, path: Path, how: How) -> Raw:
        place = self._place(path)
        if place is None:
            raise UserError(f"{path} holds no batches of {self.name}; give the folder or .tar.gz that does")
        return cifar(self.name, place)

    def _place(self, path: Path) -> DataFiles | None:
        places = (path / below for below in self.below)
        return next((place for at in places if at.exists() and self._has(place := DataFiles(at))), None)

    def _has(self, place: DataFiles) -> bool:
        return has_cifar10(place)


class Cifar100(Cifar10):
    """The two files of 100 classes."""

    name = "cifar100"
    order = 32
    below = ("", "cifar-100-binary", "cifar-100-python")

    def _has(self, place: DataFiles) -> bool:
        return has_cifar100(place)


def has_cifar10(place: DataFiles) -> bool:
    """Whether CIFAR-10 is there: at least one training batch and the test batch, binary or python."""
    return bool(_batches(place, ".bin") and "test_batch.bin" in place) or bool(_batches(place, "") and "test_batch" in place)


def has_cifar100(place: DataFiles) -> bool:
    """Whether CIFAR-100 is there, binary or python."""
    return ("train.bin" in place and "test.bin" in place) or ("train" in place and "test" in place)


def _batches(place: DataFiles, ending: str) -> list[str]:
    return [f"data_batch_{k}{ending}" for k in range(1, 6) if f"data_batch_{k}{ending}" in place]


def cifar(name: str, place: DataFiles) -> Raw:
    """Read CIFAR-10 or CIFAR-100 (fine labels); fewer training batches than published are said in the notes."""
    ten, notes = name == "cifar10", []
    binary = ("test_batch.bin" if ten else "test.bin") in place
    end = ".bin" if binary else ""
    train, test = (_batches(place, end), f"test_batch{end}") if ten else ([f"train{end}"], f"test{end}")
    pieces = [(_binary if binary else _pickled)(place, file, ten) for file in train]
    inputs, labels = (torch.cat(column) for column in zip(*pieces, strict=True))
    if ten and len(train) < 5:
        missing = ", ".join(str(k) for k in range(1, 6) if f"data_batch_{k}{end}" not in train)
        notes.append(f"{len(inputs):,} training images: of the published 5 batches, {missing} are not there")
    parts = {"train": (inputs, labels), "test": (_binary if binary else _pickled)(place, test, ten)}
    classes = _CIFAR10 if ten else _fine_names(place)
    return Raw(parts, classes, "image", *_CIFAR_SCALE[name], notes=notes, labels_from="beside the pixels")


def _binary(place: DataFiles, file: str, ten: bool) -> tuple[Tensor, Tensor]:
    head = 1 if ten else 2
    data = np.frombuffer(place.read(file), np.uint8)
    if not len(data) or len(data) % (head + 3072):
        raise UserError(f"{place.path / file}: {len(data)} bytes are not whole records of {head + 3072}; replace it")
    rows = torch.from_numpy(data.reshape(-1, head + 3072).copy())
    return rows[:, head:].reshape(-1, 3, 32, 32).contiguous(), rows[:, head - 1].to(torch.int64)


class _Arrays(pickle.Unpickler):
    """Unpickles numpy arrays inside plain containers, and refuses every other name."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return import_module("numpy._core.multiarray" if hasattr(np, "_core") else "numpy.core.multiarray")._reconstruct
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if (module, name) == ("_codecs", "encode"):
            return lambda text, encoding="latin1": text.encode("latin1")
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is not an array")


def _plain(place: DataFiles, file: str) -> dict[str, Any]:
    try:
        found = _Arrays(io.BytesIO(place.read(file)), encoding="latin1").load()
        return {k.decode() if isinstance(k, bytes) else str(k): v for k, v in found.items()}
    except UserError:
        raise
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise UserError(f"{place.path / file} is not a Python batch of CIFAR: {error}; replace it") from error


def _pickled(place: DataFiles, file: str, ten: bool) -> tuple[Tensor, Tensor]:
    found = _plain(place, file)
    pixels: Any = found.get("data")
    labels: Any = found.get("labels" if ten else "fine_labels")
    good = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim == 2 and pixels.shape[1] == 3072
    if not good or not isinstance(labels, (list, np.ndarray)) or len(labels) != len(pixels):
        raise UserError(f"{place.path / file} is not a Python batch of CIFAR: expected data (n, 3072) and n labels; replace it")
    return torch.from_numpy(pixels.reshape(-1, 3, 32, 32).copy()), torch.tensor([int(v) for v in labels])


def _fine_names(place: DataFiles) -> tuple[str, ...]:
    names: list[str] = []
    if "fine_label_names.txt" in place:
        names = place.read("fine_label_names.txt").decode().split()
    elif "meta" in place:
        names = [str(v) for v in _plain(place, "meta").get("fine_label_names", [])]
    return tuple(names) if len(names) == 100 else tuple(str(k) for k in range(100))
