"""Data from Python: map-style Datasets, and pairs of arrays."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset, TensorDataset

from limbeck.data.assemble import numbered, rank
from limbeck.data.core import Data, Partition
from limbeck.data.items import plain
from limbeck.data.readers import npz
from limbeck.data.splits import size_of, stratified
from limbeck.data.unlabelled import labelled_anyhow
from limbeck.errors import UserError
from limbeck.plan.kinds import Value
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.detect import Detect
from limbeck.tasks.registry import known
from limbeck.tasks.segment import Segment
from limbeck.tasks.task import Task

FEW = 50  # different whole floats as labels, up to which classes may have been meant
READ_ALL, COMPARED = 20_000, 500  # items whose labels are all read; items that are compared with `.targets` of more

Samples = Dataset[Value] | tuple[Tensor | np.ndarray, Tensor | np.ndarray]
"""A map-style Dataset of (input, label), or a pair of arrays (inputs, labels)."""


def from_datasets(
    train: "Samples",
    *,
    validation: "float | Samples | None" = None,
    test: "Samples | None" = None,
    classes: Sequence[str] | int | None = None,
    name: str = "custom",
    split_seed: int = 0,
    task: Task | None = None,
    further: "Mapping[str, Samples | Tensor | np.ndarray] | None" = None,
) -> Data:
    """Make `Data` of map-style Datasets that yield (input, label), or of pairs (inputs, labels) of arrays.

    A TensorDataset or a pair becomes tensors; any other Dataset is read item by item when it is needed. Inputs are
    taken as the models shall get them (uint8 pictures become 0 .. 1): `mean` and `std` stay empty. Whole numbers stay whole:
    networks that take no floats, such as embeddings, get int64.

    Args:
        train: the training samples.
        validation: None, a share or number of the training samples to hold out (stratified), or samples.
        test: None or samples.
        classes: their names or number; else `train.classes`, else as many as the labels say.
        task: what is to be answered; with `Embed()` labels may be missing. Without one it is `Segment()` where labels are masks
            (n, h, w), `Detect()` where they are boxes (n, m, 5) as floats, what `limbeck.tasks` has for floats (n,) or (n, k) and
            for rows of true and false, else `Classify()`, also where every row (n, k) of numbers has a single 1.
        further: parts of your own by name: samples, or inputs alone (a tensor or an array (n, ...)), which have no labels:
            `further={"unlabelled": x}` for what methods with few labels read.

    Raises:
        UserError: empty, labels out of range, items that are no (input, label), ...

    >>> data = from_datasets((torch.rand(8, 3), torch.arange(8) % 2), validation=0.25)
    >>> data.kind, data.shape, len(data["train"]), len(data["validation"])
    ('table', (3,), 6, 2)
    """
    share = validation if isinstance(validation, (int, float)) else None
    given: dict[str, Value] = {"train": train, "validation": None if share is not None else validation, "test": test}
    given |= further or {}
    notes: list[str] = []
    headless = task is not None and task.headless
    for part, value in given.items():
        if value is not None:
            given[part], told, named = plain(f"{name} {part}", value, bare=headless)
            given[part] = labelled_anyhow(given[part]) if headless else given[part]
            notes += told
            classes = named if classes is None and part == "train" else classes
    found = {k: _samples(f"{name} {k}", v, task, labelled=k not in (further or {})) for k, v in given.items() if v is not None}
    if headless and all(y is None or bool((y == -100).all()) for _, y in found.values()):
        classes = ()
    if task is None:
        found, told = _classes_of_rows(found)
        notes += told
        _need_no_probabilities(name, found["train"][1])
        notes += _as_numbers(found["train"][1])
    task = task or _guessed(*found["train"])
    found = {k: (x, None if y is None else task.prepared(y)) for k, (x, y) in found.items()}
    names = _class_names(classes, train, [labels for _, labels in found.values() if labels is not None], task)
    parts = numbered(name, found, len(names), task)
    counts = {part: len(each) for part, each in parts.items()}
    if share:
        count = size_of(share, len(parts["train"]), "validation")
        assert parts["train"].labels is not None
        drawn, rest = stratified(task.strata(parts["train"].labels), count, split_seed, "validation")
        parts["train"], parts["validation"] = parts["train"].select(rest), parts["train"].select(drawn, "validation")
    kind, shape = _kind(name, parts["train"])
    notes += _channels_last(shape)
    parts = {k: parts[k] for k in sorted(parts, key=rank)}
    labels = parts["train"].labels
    task = task if labels is None else task.learned(labels)
    source = "as given from Python" if names else ""
    return Data(name, kind, names, shape, (), (), parts, tuple(notes), split_seed, task, labels_from=source, counts=counts)


def _classes_of_rows(
    found: dict[str, tuple[Tensor | Dataset[Value], Tensor | None]],
) -> tuple[dict[str, tuple[Tensor | Dataset[Value], Tensor | None]], list[str]]:
    """Labels that are rows of numbers with a single 1, in every part, as classes; rows of true and false are tags."""
    rows = {part: None if y is None or y.dtype == torch.bool else npz.as_classes(y) for part, (_, y) in found.items()}
    if not all(rows[part] is not None for part, (_, y) in found.items() if y is not None):
        return found, []
    return {part: (x, rows[part]) for part, (x, _) in found.items()}, ["labels are rows with a single 1, and became its place"]


def _as_numbers(labels: Tensor | None) -> list[str]:
    """What is said of floats that may have been meant as classes, or as tags."""
    if labels is None or not labels.is_floating_point() or labels.dim() > 2 or not bool((labels == labels.round()).all()):
        return []
    values = labels.unique().tolist()
    several = labels.dim() == 2 and labels.shape[1] > 1
    if len(values) > FEW or several and len(values) > 2:
        return []
    meant = "tags, give labels.bool()" if several else "classes, give whole numbers (labels.long())"
    which = ", ".join(map(str, values[:4])) + (", ..." if len(values) > 4 else "")
    return [f"labels are floats ({which}), taken as numbers to predict; for {meant}"]


def _channels_last(shape: tuple[int, ...]) -> list[str]:
    """What to say of inputs that look like pictures with their colours last: they are taken as they are, channels first."""
    if len(shape) != 3 or shape[0] in (1, 3, 4) or shape[2] not in (1, 3, 4) or shape[1] == shape[2]:
        return []
    return [
        f"inputs of shape {shape} are taken as {shape[0]} channels of {shape[1]} x {shape[2]}; for pictures with colours last, "
        "move these to the front"
    ]


def _need_no_probabilities(name: str, labels: Tensor | None) -> None:
    """Refuse rows that add up to 1: they would be taken for numbers to predict."""
    if labels is None or labels.dim() != 2 or labels.shape[1] < 2 or not labels.is_floating_point():
        return
    if bool((labels >= 0).all()) and bool(((labels.sum(1) - 1).abs() < 1e-3).all()):
        raise UserError(
            f"{name}: the labels are probabilities of {labels.shape[1]} classes; give class numbers as labels and these as the "
            "teacher (limbeck.distill(probabilities, student, ...), --teacher-answers), or say task=limbeck.tasks.numbers()"
        )


def _guessed(inputs: Value, labels: Tensor | None) -> Task:
    """Whole numbers for every pixel are masks, five floats are boxes; else each task says which labels are its own."""
    if labels is None or labels.dim() != 3:
        return next((kind() for kind in known().values() if labels is not None and kind.takes(labels)), CLASSIFY)
    return Detect((inputs.shape[-2], inputs.shape[-1])) if labels.is_floating_point() else Segment()


def _samples(
    who: str, given: Value, task: Task | None, *, labelled: bool = True
) -> tuple[Tensor | Dataset[Value], Tensor | None]:
    """Inputs and labels; of a part of the user's own also inputs alone."""
    if isinstance(given, TensorDataset):
        given = given.tensors
    if not labelled and isinstance(given, (tuple, list)) and len(given) == 1:
        given = given[0]
    if not labelled and hasattr(given, "shape"):
        inputs, _ = _samples(who, (given, np.zeros(len(given), np.int64)), None)
        return inputs, None
    if isinstance(given, (tuple, list)) and len(given) == 2 and all(hasattr(g, "shape") for g in given):
        inputs, labels = (_numbers(who, what, g) for what, g in zip(("inputs", "labels"), given, strict=True))
        if inputs.dim() < 2 or not labels.dim():
            raise UserError(
                f"{who}: expected inputs (n, ...) and labels (n, ...), got {tuple(inputs.shape)} and {tuple(labels.shape)}; "
                "give one row of each for every sample"
            )
        whole = not (inputs.is_floating_point() or inputs.is_complex() or inputs.dtype == torch.bool)
        picture = inputs.dtype == torch.uint8 and inputs.dim() == 4
        kept = inputs if picture else inputs.to(torch.int64 if whole else torch.float32)
        if labels.dtype == torch.bool:
            return kept, labels
        return kept, labels.float() if labels.is_floating_point() else labels.long()
    if not hasattr(given, "__getitem__") or not hasattr(given, "__len__") or isinstance(given, (tuple, list, str)):
        raise UserError(f"{who}: expected a map-style Dataset or a pair (inputs, labels), got a {type(given).__name__}")
    if len(given) == 0:
        raise UserError(f"{who} is empty: expected at least one sample")
    if isinstance(given, Subset) and isinstance(given.dataset, TensorDataset):
        rows = torch.as_tensor(list(given.indices))
        return _samples(who, tuple(t[rows] for t in given.dataset.tensors), task, labelled=labelled)
    return given, _labels(who, given, task)


def _numbers(who: str, what: str, given: Value) -> Tensor:
    """An array of numbers as a tensor. Raises `UserError` for words, objects and complex numbers."""
    array = given if isinstance(given, Tensor) else np.asarray(given)
    if not isinstance(array, Tensor) and array.dtype.kind not in "uifb" or isinstance(array, Tensor) and array.is_complex():
        advice = "number the classes from 0 and name them with classes=" if what == "labels" else "convert them first"
        raise UserError(f"{who}: {what} must be numbers, got {array.dtype}; {advice}")
    return torch.as_tensor(array)


def _labels(who: str, dataset: Value, task: Task | None) -> Tensor:
    """Return all labels as the items say them. Of more than `READ_ALL` items, `.targets` or `.labels` are taken where they agree
    with `COMPARED` items, and nothing changes targets on the way."""
    first = dataset[0]
    if isinstance(first, (tuple, list)) and len(first) == 2:
        wide = len(getattr(first[1], "shape", ()))
        if wide == 2:
            return torch.stack([torch.as_tensor(dataset[k][1]).long() for k in range(len(dataset))])  # masks
        if wide == 1 or (task is not None and not task.whole):
            return torch.stack([torch.as_tensor(dataset[k][1]) for k in range(len(dataset))])
    listed = getattr(dataset, "targets", getattr(dataset, "labels", None))
    many = len(dataset) > READ_ALL and getattr(dataset, "target_transform", None) is None
    if many and listed is not None and hasattr(listed, "__len__") and len(listed) == len(dataset):
        rows = torch.linspace(0, len(dataset) - 1, COMPARED).round().long().tolist()
        few = [_label(who, dataset[k], k) for k in rows]
        try:
            labels = torch.as_tensor(listed).long()
        except (TypeError, ValueError, RuntimeError):
            labels = torch.empty(0)
        if labels.shape == (len(dataset),) and labels[rows].tolist() == few:
            return labels
    return torch.tensor([_label(who, dataset[k], k) for k in range(len(dataset))])


def _label(who: str, item: Value, row: int) -> int:
    if not isinstance(item, (tuple, list)) or len(item) != 2:
        raise UserError(
            f"{who}: item {row} is a {type(item).__name__}; expected a pair (input, label), or task embed, which needs none"
        )
    try:
        label = float(item[1])
        if label == int(label):
            return int(label)
    except (TypeError, ValueError):
        pass
    raise UserError(f"{who}: the label of item {row} must be a whole number, got {item[1]!r}; say which task has such labels")


def _class_names(classes: Sequence[str] | int | None, train: Value, labels: list[Tensor], task: Task) -> tuple[str, ...]:
    if classes is None:
        classes = getattr(train, "classes", None)
    if classes is None:
        classes = max((task.width(y) for y in labels if len(y)), default=0)
        npz.need_classes("the labels", classes, sum(y.numel() for y in labels))
    names = tuple(str(k) for k in range(classes)) if isinstance(classes, int) else tuple(map(str, classes))
    if len(names) < task.fewest:
        need = f"a task of {task.name} needs at least {task.fewest} {task.item}es"
        raise UserError(f"{need}, got {len(names)}; name them with classes=")
    return names


def _kind(name: str, train: Partition) -> tuple[str, tuple[int, ...]]:
    from limbeck.data.batches import gather

    rows = torch.arange(len(train)) if isinstance(train.inputs, Tensor) else torch.arange(min(16, len(train)))
    inputs = gather(train, rows)
    if not isinstance(inputs, Tensor):
        return "other", ()
    return npz.kind_of(inputs), tuple(inputs.shape[1:])
