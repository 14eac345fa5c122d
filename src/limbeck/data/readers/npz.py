"""Arrays in a .npz file, never unpickled.

Keys: `x` and `y`; or `x_train`, `y_train` with `x_test`, `y_test` and `x_val`, `y_val` where there are such
(`inputs` and `images` mean x, `labels` means y). Any other ending is a part of your own: `x_clean` with `y_clean`, and
`x_unlabelled` without labels. `classes`, if there, names the classes.
x: uint8 images (n, h, w), (n, h, w, c) or (n, c, h, w); float images; a table (n, features); other numbers.
y: whole numbers from 0, words, or rows with a single 1.
"""

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from limbeck.data.assemble import Raw
from limbeck.data.reader import How, Reader
from limbeck.errors import UserError

MANY = 1000  # classes, beyond which there must be a sample for each
_INPUTS, _LABELS = ("x", "inputs", "images"), ("y", "labels")
_PARTS = {"": "train", "_train": "train", "_val": "validation", "_validation": "validation", "_test": "test"}
_PARTS |= dict.fromkeys(("_unlabelled", "_unlabeled"), "unlabelled")


class Npz(Reader):
    """Arrays by name in one file."""

    name = "npz"
    layout = ".npz with x and y"
    order = 10

    def recognises(self, path: Path) -> bool:
        return path.is_file() and path.suffix.lower() == ".npz"

    def read(self, path: Path, how: How) -> Raw:
        return read(path, unlabelled=how.unlabelled)


def read(path: Path, *, unlabelled: bool = False) -> Raw:
    """Read a .npz file; see the module for its keys. unlabelled: labels may be missing."""
    arrays = _arrays(path)
    found: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
    own = {f"_{name}": name for kind, _, name in (key.partition("_") for key in arrays) if kind in _LABELS and name}
    for ending, part in (own | _PARTS).items():
        x = next((arrays[k + ending] for k in _INPUTS if k + ending in arrays), None)
        y = next((arrays[k + ending] for k in _LABELS if k + ending in arrays), None)
        if x is not None and part not in found and (y is not None or unlabelled or part == "unlabelled"):
            found[part] = (x, y)
    if "train" not in found:
        keys = ", ".join(map(repr, arrays)) or "nothing"
        raise UserError(f"{path} holds {keys}; expected the keys x and y, or x_train and y_train (x_test, y_test)")
    classes = tuple(str(c) for c in arrays["classes"].tolist()) if "classes" in arrays else ()
    labels = {part: _labels(path, part, y) for part, (_, y) in found.items() if y is not None}
    classes = classes or (_classes(path, labels) if labels else ())
    inputs = {part: tensor(f"{path} {part}", x) for part, (x, _) in found.items()}
    kind = kind_of(*inputs.values())
    parts = {part: (inputs[part], _numbers(path, labels[part], classes) if part in labels else None) for part in found}
    return Raw(parts, classes, kind, labels_from="y, or labels" if labels else "")


def _arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as loaded:
            if isinstance(loaded, np.ndarray):
                raise UserError(f"{path} holds a single array; expected a .npz with the keys x and y")
            return {key: loaded[key] for key in loaded.files}
    except UserError:
        raise
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise UserError(f"{path} is not a .npz file, or a damaged one; save it with numpy.savez") from error
        raise UserError(
            f"{path} holds Python objects, and loading those would run code; save plain arrays of numbers or words"
        ) from error
    except (OSError, EOFError, zipfile.BadZipFile, AttributeError) as error:
        raise UserError(f"{path} is not a .npz file, or a damaged one; save it with numpy.savez") from error


def tensor(who: str, array: np.ndarray) -> Tensor:
    """Return inputs as uint8 images (n, c, h, w), or of whatever shape as int64 where they are whole numbers, else float32.

    Raises:
        UserError: not numbers, or no dimension besides the samples.
    """
    if array.dtype.kind not in "uifb" or array.ndim < 2:
        raise UserError(f"{who}: inputs must be numbers of shape (n, ...), got {array.dtype} {array.shape}; convert them first")
    if array.ndim == 4 and array.shape[-1] in (1, 3, 4) and array.shape[1] not in (1, 3, 4):
        array = array.transpose(0, 3, 1, 2)
    if array.dtype == np.uint8 and array.ndim in (3, 4):
        return torch.from_numpy(array.copy().reshape(len(array), array.shape[1] if array.ndim == 4 else 1, *array.shape[-2:]))
    if array.dtype.kind in "ui":
        return torch.from_numpy(array.astype(np.int64))
    with np.errstate(over="ignore"):  # what overflows is refused as not finite, with its place
        floats = array.astype(np.float32)
    grey = array.ndim == 3 and array.dtype.kind == "f" and array.size and array.min() >= 0 and array.max() <= 1
    return torch.from_numpy(floats[:, None] if grey else floats)


def as_classes(labels: Tensor) -> Tensor | None:
    """The classes (n,) that rows (n, k) with a single 1 among zeros stand for; None where labels are something else.

    >>> as_classes(torch.tensor([[0, 1], [1, 0]]))
    tensor([1, 0])
    """
    if labels.dim() != 2 or labels.shape[1] < 2 or not len(labels):
        return None
    single = bool(((labels == 0) | (labels == 1)).all()) and bool((labels.long().sum(1) == 1).all())
    return labels.long().argmax(1) if single else None


def kind_of(*inputs: Tensor) -> str:
    """Return "image" for uint8 (n, c, h, w) or floats on 0 .. 1 of that shape, "table" for (n, d), else "other"."""
    if all(x.dim() == 2 for x in inputs):
        return "table"
    unit = all(x.dtype == torch.uint8 or (x.numel() and x.min() >= 0 and x.max() <= 1) for x in inputs)
    return "image" if unit and all(x.dim() == 4 for x in inputs) else "other"


def _labels(path: Path, part: str, labels: np.ndarray) -> np.ndarray:
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    hot = as_classes(torch.from_numpy(labels)) if labels.dtype.kind in "uifb" and labels.ndim == 2 else None
    if hot is not None:
        return hot.numpy()
    finite = labels.dtype.kind != "f" or bool(np.isfinite(labels).all())
    whole = labels.dtype.kind in "uib" or (labels.dtype.kind == "f" and finite and bool((labels == np.floor(labels)).all()))
    if labels.ndim != 1 or not (whole or labels.dtype.kind in "US"):
        raise UserError(
            f"{path} {part}: labels must be whole numbers or words of shape (n,), got {labels.dtype} {labels.shape}"
            "; give one class for each sample"
        )
    return labels if labels.dtype.kind in "US" else labels.astype(np.int64)


def _classes(path: Path, labels: dict[str, np.ndarray]) -> tuple[str, ...]:
    together = np.concatenate(list(labels.values()))
    if together.dtype.kind in "US":
        return tuple(sorted({str(v) for v in together.tolist()}))
    count = max(0, int(together.max(initial=-1)) + 1)
    need_classes(f"{path}: the labels", count, len(together))
    return tuple(str(k) for k in range(count))


def need_classes(who: str, classes: int, labels: int) -> None:
    """Refuse numbers that are no classes but ids: more than a thousand, and more than there are labels."""
    if classes > max(MANY, labels):
        raise UserError(
            f"{who} reach {classes - 1:,} in {labels:,} samples, as ids do; number the classes from 0, or name them all"
        )


def _numbers(path: Path, labels: np.ndarray, classes: tuple[str, ...]) -> Tensor:
    if labels.dtype.kind not in "US":
        return torch.from_numpy(labels)
    strange = next((str(v) for v in labels.tolist() if str(v) not in classes), None)
    if strange is not None:
        raise UserError(f"{path}: label {strange!r} is not one of its classes ({', '.join(classes[:6])}); add it to classes")
    return torch.tensor([classes.index(str(v)) for v in labels.tolist()])
