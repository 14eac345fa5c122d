"""Published data sets: handwritten digits, the MNIST family (IDX files), CIFAR-10 and CIFAR-100 (both layouts)."""

import gzip
import io
import math
import pickle
import zlib
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limbeck.data.assemble import Raw
from limbeck.data.readers.find import OnProgress, Place, Remote, locate
from limbeck.errors import UserError

_IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_DIGITS = tuple("0123456789")
_CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
_IDX: dict[str, tuple[str, tuple[str, ...], float, float, tuple[str, str, str, str]]] = {
    "mnist": (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        _DIGITS,
        0.1307,
        0.3081,
        (
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "d53e105ee54ea40749a09fcbcd1e9432",
            "9fb629c4189551a2d022fa330f9573f3",
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
    "fashion_mnist": (
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        _CLOTHES,
        0.2860,
        0.3530,
        (
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79",
            "bb300cfdad3c16e7a12a480ee83cd310",
        ),
    ),
    "kmnist": (
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        _KUZUSHIJI,
        0.1918,
        0.3483,
        (
            "bdb82020997e1d708af4cf47b453dcf7",
            "e144d726b3acfaa3e44228e80efcd344",
            "5c965bf0a639b31b8f53240b1b52f4d7",
            "7320c461ea6c1c855c0b718fb2a4b134",
        ),
    ),
}
_CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_CIFAR_REMOTE = {
    "cifar10": Remote("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
    "cifar100": Remote("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
}
_CIFAR_SCALE = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}

NAMES = ("digits", *_IDX, *_CIFAR_REMOTE)


def read(name: str, path: Path | None, cache: Path, download: bool, on_progress: OnProgress | None) -> Raw:
    """Read a data set of `NAMES` from `path`, the cache folder or the network."""
    if name == "digits":
        return _digits()
    where = {"path": path, "cache": cache, "download": download, "on_progress": on_progress}
    if name in _IDX:
        url, classes, mean, std, sums = _IDX[name]
        files = [f for pair in _IDX_FILES.values() for f in pair]
        remotes = [Remote(f"{url}{f}.gz", s) for f, s in zip(files, sums, strict=True)]
        below = (name, "raw", f"{name}/raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw")
        return idx(locate(name, has_idx, below=below, remotes=remotes, **where), classes, (mean,), (std,))  # type: ignore[arg-type]
    stem = name.replace("cifar", "cifar-")
    places = (f"{stem}-batches-bin", f"{stem}-batches-py", f"{stem}-binary", f"{stem}-python", name)
    has = has_cifar10 if name == "cifar10" else has_cifar100
    return cifar(name, locate(name, has, below=places, remotes=[_CIFAR_REMOTE[name]], **where))  # type: ignore[arg-type]


def _digits() -> Raw:
    """1,797 scans of 8 x 8 pixels inside scikit-learn; their 17 grey levels become 0 .. 255."""
    from importlib.util import find_spec

    place = find_spec("sklearn")  # found, not imported: that takes a second, and its own loader reads this very file
    assert place is not None and place.origin is not None
    found = np.loadtxt(Path(place.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    pixels = torch.from_numpy(found[:, :64]).reshape(-1, 1, 8, 8).mul(255 / 16).round().to(torch.uint8)
    labels = torch.from_numpy(found[:, 64]).to(torch.int64)
    return Raw({"train": (pixels, labels)}, _DIGITS, "image", test_share=0.3, test_seed=0)


def has_idx(place: Place) -> bool:
    """Whether all four IDX files are there, packed or not."""
    return all(_idx_name(place, f) in place for pair in _IDX_FILES.values() for f in pair)


def _idx_name(place: Place, file: str) -> str:
    spellings = (file + ".gz", file, file.replace("-idx", ".idx"))
    return next((s for s in spellings if s in place), file)


def idx(place: Place, classes: tuple[str, ...], mean: tuple[float, ...] = (), std: tuple[float, ...] = ()) -> Raw:
    """Read the four IDX files; without `classes` they are numbered."""
    parts = {}
    for part, files in _IDX_FILES.items():
        inputs, labels = (_idx_array(place, _idx_name(place, f)) for f in files)
        parts[part] = (inputs[:, None] if inputs.dim() == 3 else inputs, labels.to(torch.int64))
    classes = classes or tuple(str(k) for k in range(int(max(p[1].max() for p in parts.values())) + 1))
    return Raw(parts, classes, "image", mean, std)


def _idx_array(place: Place, name: str) -> Tensor:
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
        raise UserError(f"{place.path / name} is no whole IDX file: {error}; replace it") from error


def has_cifar10(place: Place) -> bool:
    """Whether CIFAR-10 is there: at least one training batch and the test batch, binary or python."""
    return bool(_batches(place, ".bin") and "test_batch.bin" in place) or bool(_batches(place, "") and "test_batch" in place)


def has_cifar100(place: Place) -> bool:
    """Whether CIFAR-100 is there, binary or python."""
    return ("train.bin" in place and "test.bin" in place) or ("train" in place and "test" in place)


def _batches(place: Place, ending: str) -> list[str]:
    return [f"data_batch_{k}{ending}" for k in range(1, 6) if f"data_batch_{k}{ending}" in place]


def cifar(name: str, place: Place) -> Raw:
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
    return Raw(parts, classes, "image", *_CIFAR_SCALE[name], notes=notes)


def _binary(place: Place, file: str, ten: bool) -> tuple[Tensor, Tensor]:
    head = 1 if ten else 2
    data = np.frombuffer(place.read(file), np.uint8)
    if not len(data) or len(data) % (head + 3072):
        raise UserError(f"{place.path / file}: {len(data)} bytes are no whole records of {head + 3072}; replace it")
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
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array")


def _plain(place: Place, file: str) -> dict[str, Any]:
    try:
        found = _Arrays(io.BytesIO(place.read(file)), encoding="latin1").load()
        return {k.decode() if isinstance(k, bytes) else str(k): v for k, v in found.items()}
    except UserError:
        raise
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise UserError(f"{place.path / file} is no python batch of CIFAR: {error}; replace it") from error


def _pickled(place: Place, file: str, ten: bool) -> tuple[Tensor, Tensor]:
    found = _plain(place, file)
    pixels: Any = found.get("data")
    labels: Any = found.get("labels" if ten else "fine_labels")
    good = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8 and pixels.ndim == 2 and pixels.shape[1] == 3072
    if not good or not isinstance(labels, (list, np.ndarray)) or len(labels) != len(pixels):
        raise UserError(f"{place.path / file} is no python batch of CIFAR: expected data (n, 3072) and n labels; replace it")
    return torch.from_numpy(pixels.reshape(-1, 3, 32, 32).copy()), torch.tensor([int(v) for v in labels])


def _fine_names(place: Place) -> tuple[str, ...]:
    names: list[str] = []
    if "fine_label_names.txt" in place:
        names = place.read("fine_label_names.txt").decode().split()
    elif "meta" in place:
        names = [str(v) for v in _plain(place, "meta").get("fine_label_names", [])]
    return tuple(names) if len(names) == 100 else tuple(str(k) for k in range(100))
