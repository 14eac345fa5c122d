"""Published data sets: digits and photographs inside scikit-learn, the MNIST family (IDX), CIFAR-10 and CIFAR-100."""

from pathlib import Path

import numpy as np
import torch

from limbeck.data import photographs
from limbeck.data.assemble import Raw
from limbeck.data.find import OnProgress, Remote, locate
from limbeck.data.readers.cifar import cifar, has_cifar10, has_cifar100
from limbeck.data.readers.idx import FILES, has_idx, idx

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
_CIFAR_REMOTE = {
    "cifar10": Remote("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
    "cifar100": Remote("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
}

NAMES = ("digits", "photographs", *_IDX, *_CIFAR_REMOTE)


def read(name: str, path: Path | None, cache: Path, download: bool, on_progress: OnProgress | None) -> Raw:
    """Read a data set of `NAMES` from `path`, the cache folder or the network."""
    if name == "digits":
        return _digits()
    if name == "photographs":
        return photographs.read()
    where = {"path": path, "cache": cache, "download": download, "on_progress": on_progress}
    if name in _IDX:
        url, classes, mean, std, sums = _IDX[name]
        files = [f for pair in FILES.values() for f in pair]
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
