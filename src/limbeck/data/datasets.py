"""Data by name or path, and from Python."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

from limbeck.data import find, folder, made, masks, npz, published, recordings, sentences, table, voc
from limbeck.data.assemble import Raw, assemble, rank
from limbeck.data.core import Data, Partition, checked
from limbeck.data.splits import size_of, stratified
from limbeck.errors import UserError, unknown
from limbeck.evaluate.detect import Detect
from limbeck.evaluate.segment import Segment
from limbeck.evaluate.tasks import CLASSIFY, Task

_AT_A_PATH = {"folder": folder.read, "npz": npz.read, "csv": table.read}
_AT_A_PATH |= {"recordings": recordings.read, "sentences": sentences.read}


def names() -> list[str]:
    """Return the names that `load` knows, sorted."""
    return sorted((*published.NAMES, *_AT_A_PATH, *made.NAMES, "fsdd", "sst2"))


def load(
    name: str,
    *,
    path: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    validation: float = 0.1,
    test: float | None = None,
    labelled: int | None = None,
    limit: int | None = None,
    split_seed: int = 0,
    size: Sequence[int] | None = None,
    tile: int | None = None,
    void: int | None = None,
    download: bool = True,
    arguments: Mapping[str, Any] | None = None,
    on_progress: find.OnProgress | None = None,
) -> Data:
    """Load data by name, or by the path where it lies.

    Args:
        name: digits, mnist, fashion_mnist, kmnist, cifar10, cifar100; fsdd and sst2 (spoken digits, sentences about films; not
            downloaded); translation, strings, moving (see `arguments`); folder, npz, csv, recordings or sentences with a `path`;
            or a path, whose reader is chosen by what lies there.
        path: the file or folder; without it the cache folder and then the network are tried.
        cache: the cache folder, else `$LIMBECK_DATA`, else the system's.
        validation: share (0 to below 1) or number of the training samples to hold out, stratified; unused where
            the source has a validation part.
        test: share or number of samples to hold out for the end where the source has no test part; None for 0.2, or
            what such data is usually given.
        labelled: how many training samples keep their labels (stratified); the others become "unlabelled".
        limit: use at most so many training samples (with validation), stratified; the test part stays whole.
        split_seed: what the random splits depend on.
        size: (height, width) that the images of folders are scaled to; None for as they are, or `folder`'s own choice.
        tile: side of the squares that images with masks are cut into, after the splits; None for whole images.
        void: the value of masks that is not counted, besides 255.
        download: False forbids the network.
        arguments: of data that is made: `translation` (source, target, longest, vocabulary: line-aligned files at `path`),
            `strings` (of, least, most, gap, ...: sequences one after another, to be transcribed), `moving` (of, frames, ...:
            pictures that become videos). `of` is the data that they are made of, loaded with the other arguments here.
        on_progress: called with (file name, bytes so far, bytes in all or None) while downloading.

    Raises:
        UserError: unknown name, files that are not there or damaged, empty data, labels out of range, ...

    >>> {k: len(v) for k, v in load("digits").partitions.items()}
    {'train': 1132, 'validation': 126, 'test': 539}
    """
    place = Path(path).expanduser() if path is not None else None
    if name in made.NAMES:
        if labelled is not None and name == "translation":
            raise UserError("data 'translation' has no labels that could be hidden; leave out data.labelled")
        split = {"validation": validation, "test": test, "labelled": labelled, "limit": limit, "split_seed": split_seed}
        rest = {"path": path, "cache": cache, "size": size, "download": download, "on_progress": on_progress}
        return made.make(name, place, arguments or {}, limit, split_seed, lambda other: load(other, **split, **rest))  # type: ignore[arg-type]
    if arguments:
        known = f"those are for {', '.join(made.NAMES)}"
        raise UserError(f"data {name!r} takes no arguments, got {', '.join(arguments)}; {known}")
    layout = masks.Layout(None if size is None else (int(size[0]), int(size[1])), void)
    raw, name = _read(name, place, find.cache_folder(cache), download, on_progress, layout)
    if test is not None and "test" not in raw.parts:
        raw.test_share = test
    data = assemble(name, raw, validation=validation, labelled=labelled, limit=limit, split_seed=split_seed)
    return data if tile is None else masks.tiled(data, tile)


def _read(
    name: str, place: Path | None, cache: Path, download: bool, on_progress: find.OnProgress | None, layout: masks.Layout
) -> tuple[Raw, str]:
    """Return what lies there and the name of the data."""
    if name in published.NAMES:
        return published.read(name, place, cache, download, on_progress), name
    if name == "fsdd":
        return _spoken_digits(place or cache / name), name
    if name == "sst2":
        return _sst2(place or cache / name), name
    if name in _AT_A_PATH:
        if place is None or not place.exists():
            where = "no path was given" if place is None else f"{place} does not exist"
            raise UserError(f"data {name!r} needs a path, and {where}; give the path of the file or folder")
        return (_images(place, layout) if name == "folder" else _AT_A_PATH[name](place)), place.stem
    if place is None and Path(name).expanduser().exists():
        place = Path(name).expanduser()
        return _whatever(place, layout), place.resolve().name.partition(".")[0] or place.resolve().name
    if place is None and any(c in name for c in "/\\."):
        raise UserError(f"data {name!r} does not exist; give a path that does, or one of: {', '.join(names())}")
    raise unknown("data", name, names(), "or give the path of a folder, .zip, .npz or .csv")


def _spoken_digits(place: Path) -> Raw:
    if not place.exists() or recordings.find(place) is None:
        wanted = "its recordings (https://github.com/Jakobovski/free-spoken-digit-dataset), as a folder or a .tar"
        raise UserError(f"fsdd is not in {place}; put {wanted} there, or give the path where they are")
    return recordings.read(place)


def _sst2(place: Path) -> Raw:
    if not place.exists():
        raise UserError(f"sst2 is not in {place}; put its train.tsv and dev.tsv (gluebenchmark.com) there, or give the path")
    return sentences.read(place, "sst2")


def _images(path: Path, layout: masks.Layout) -> Raw:
    """Read a folder of images or its zip: with boxes or masks beside them, or sorted by class."""
    files = folder.Files(path)
    noted = voc.pairs(files)
    if noted:
        return voc.read(files, noted, layout.size)
    pairs = masks.pairs(files)
    return masks.read(files, pairs, layout) if pairs else folder.read(path, layout.size)


def _whatever(path: Path, layout: masks.Layout) -> Raw:
    """Read what lies at a path, whichever layout it has."""
    ending = path.suffix.lower()
    if path.is_file() and ending in (".npz", ".csv", ".tsv", ".zip"):
        if ending == ".zip":
            return _images(path, layout)
        return npz.read(path) if ending == ".npz" else table.read(path)
    below = [path, *(path / f"cifar-{k}-batches-{e}" for k in (10,) for e in ("bin", "py")), path / "raw"]
    below += [path / f"cifar-100-{e}" for e in ("binary", "python")]
    for candidate in below:
        if not candidate.exists():
            continue
        place = find.Place(candidate)
        if published.has_idx(place):
            return published.idx(place, ())
        if published.has_cifar10(place):
            return published.cifar("cifar10", place)
        if published.has_cifar100(place):
            return published.cifar("cifar100", place)
    if recordings.find(path) is not None:
        return recordings.read(path)
    if path.is_dir() and (path / "train.csv").is_file():
        return table.read(path)
    if path.is_dir() and folder.holds_images(path):
        return _images(path, layout)
    raise UserError(
        f"{path} holds no data of a known layout; expected image folders by class (or their .zip), .npz, .csv, "
        "IDX files, CIFAR batches or recordings LABEL_*.wav"
    )


def from_datasets(
    train: Any,
    *,
    validation: Any = None,
    test: Any = None,
    classes: Sequence[str] | int | None = None,
    name: str = "custom",
    split_seed: int = 0,
    task: Task | None = None,
    further: Mapping[str, Any] | None = None,
) -> Data:
    """Make `Data` of map-style Datasets that yield (input, label), or of pairs (inputs, labels) of arrays.

    A TensorDataset or a pair becomes tensors; any other Dataset is read item by item when it is needed. Inputs are
    taken as the models shall get them (uint8 becomes 0 .. 1): `mean` and `std` stay empty.

    Args:
        train: the training samples.
        validation: None, a share or number of the training samples to hold out (stratified), or samples.
        test: None or samples.
        classes: their names or number; else `train.classes`, else as many as the labels say.
        task: what is to be answered; without one it is `Segment()` where labels are masks (n, h, w), `Detect()` where they are
            boxes (n, m, 5) as floats, else `Classify()`.
        further: parts of your own by name: samples, or inputs alone (a tensor or an array (n, ...)), which have no labels:
            `further={"unlabelled": x}` for what methods with few labels read.

    Raises:
        UserError: empty, labels out of range, items that are no (input, label), ...

    >>> data = from_datasets((torch.rand(8, 3), torch.arange(8) % 2), validation=0.25)
    >>> data.kind, data.shape, len(data["train"]), len(data["validation"])
    ('table', (3,), 6, 2)
    """
    share = validation if isinstance(validation, (int, float)) else None
    given = {"train": train, "validation": None if share is not None else validation, "test": test}
    given |= further or {}
    found = {k: _samples(f"{name} {k}", v, labelled=k not in (further or {})) for k, v in given.items() if v is not None}
    names = _class_names(classes, train, [labels for _, labels in found.values() if labels is not None])
    task = task or _guessed(found["train"][0], found["train"][1])
    parts = _partitions(name, found, len(names), task)
    if share:
        count = size_of(share, len(parts["train"]), "validation")
        assert parts["train"].labels is not None
        drawn, rest = stratified(task.strata(parts["train"].labels), count, split_seed, "validation")
        parts["train"], parts["validation"] = parts["train"].select(rest), parts["train"].select(drawn, "validation")
    kind, shape = _kind(name, parts["train"])
    parts = {k: parts[k] for k in sorted(parts, key=rank)}
    return Data(name, kind, names, shape, (), (), parts, (), split_seed, task)


def _guessed(inputs: Any, labels: Tensor | None) -> Task:
    """Whole numbers for every pixel are masks, five floats are boxes."""
    if labels is None or labels.dim() != 3:
        return CLASSIFY
    return Detect((inputs.shape[-2], inputs.shape[-1])) if labels.is_floating_point() else Segment()


def _partitions(name: str, found: dict[str, Any], classes: int, task: Task) -> dict[str, Partition]:
    parts, start = {}, 0
    for part, (inputs, labels) in found.items():
        if isinstance(inputs, Tensor):
            checked(f"{name} {part}", inputs, labels, classes, task)
        else:
            task.check_labels(f"{name} {part}", labels, len(labels), classes)
        count = len(inputs if labels is None else labels)
        parts[part] = Partition(part, inputs, labels, torch.arange(start, start + count))
        start += count
    return parts


def _samples(who: str, given: Any, *, labelled: bool = True) -> tuple[Tensor | Dataset[Any], Tensor | None]:
    """Inputs and labels; of a part of the user's own also inputs alone."""
    if isinstance(given, TensorDataset):
        given = given.tensors
    if not labelled and isinstance(given, (tuple, list)) and len(given) == 1:
        given = given[0]
    if not labelled and hasattr(given, "shape"):
        inputs, _ = _samples(who, (given, np.zeros(len(given), np.int64)))
        return inputs, None
    if isinstance(given, (tuple, list)) and len(given) == 2 and all(hasattr(g, "shape") for g in given):
        inputs, labels = (torch.as_tensor(np.asarray(g) if not isinstance(g, Tensor) else g) for g in given)
        if inputs.dim() < 2 or (labels.is_floating_point() and labels.dim() != 3):
            raise UserError(
                f"{who}: expected inputs (n, ...) and whole-number labels (n,), got {tuple(inputs.shape)} and "
                f"{labels.dtype}; convert them first"
            )
        return inputs if inputs.dtype == torch.uint8 and inputs.dim() == 4 else inputs.to(torch.float32), (
            labels.float() if labels.is_floating_point() else labels.long()
        )
    if not hasattr(given, "__getitem__") or not hasattr(given, "__len__") or isinstance(given, (tuple, list, str)):
        raise UserError(f"{who}: expected a map-style Dataset or a pair (inputs, labels), got a {type(given).__name__}")
    if len(given) == 0:
        raise UserError(f"{who} is empty: expected at least one sample")
    if isinstance(given, Subset) and isinstance(given.dataset, TensorDataset):
        rows = torch.as_tensor(list(given.indices))
        return _samples(who, tuple(t[rows] for t in given.dataset.tensors), labelled=labelled)
    return given, _labels(who, given)


def _labels(who: str, dataset: Any) -> Tensor:
    """Return all labels; from `.targets` or `.labels` where those agree with the items, else by reading every item."""
    first = dataset[0]
    if isinstance(first, (tuple, list)) and len(first) == 2 and len(getattr(first[1], "shape", ())) == 2:
        return torch.stack([torch.as_tensor(dataset[k][1]).long() for k in range(len(dataset))])  # masks
    rows = [0, len(dataset) // 2, len(dataset) - 1]
    few = [_label(who, dataset[k], k) for k in rows]
    known = getattr(dataset, "targets", getattr(dataset, "labels", None))
    if known is not None and hasattr(known, "__len__") and len(known) == len(dataset):
        try:
            labels = torch.as_tensor(known).long()
        except (TypeError, ValueError, RuntimeError):
            labels = torch.empty(0)
        if labels.shape == (len(dataset),) and labels[rows].tolist() == few:
            return labels
    return torch.tensor([_label(who, dataset[k], k) for k in range(len(dataset))])


def _label(who: str, item: Any, row: int) -> int:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise UserError(f"{who}: item {row} is a {type(item).__name__}; expected a pair (input, label)")
    try:
        label = float(item[1])
        if label == int(label):
            return int(label)
    except (TypeError, ValueError):
        pass
    raise UserError(f"{who}: the label of item {row} must be a whole number, got {item[1]!r}")


def _class_names(classes: Sequence[str] | int | None, train: Any, labels: list[Tensor]) -> tuple[str, ...]:
    if classes is None:
        classes = getattr(train, "classes", None)
    if classes is None:
        classes = max((int(y.max()) + 1 for y in labels if len(y)), default=0)
    names = tuple(str(k) for k in range(classes)) if isinstance(classes, int) else tuple(map(str, classes))
    if len(names) < 2:
        raise UserError(f"a classifier needs at least 2 classes, got {len(names)}; name them with classes=")
    return names


def _kind(name: str, train: Partition) -> tuple[str, tuple[int, ...]]:
    from limbeck.data.batches import gather

    rows = torch.arange(len(train)) if isinstance(train.inputs, Tensor) else torch.arange(min(16, len(train)))
    inputs = gather(train, rows)
    if not isinstance(inputs, Tensor):
        return "other", ()
    return npz.kind_of(inputs), tuple(inputs.shape[1:])
