"""Data for encoders, which need no labels: every training sample teaches, and classes, where there are some, only judge."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset

from limbeck.data.assemble import Raw
from limbeck.plan.kinds import Value
from limbeck.tasks.classify import Classify
from limbeck.tasks.embed import Embed
from limbeck.tasks.task import Task

UNKNOWN = int(Task.unknown)


def judged(raw: Raw) -> Raw:
    """What a reader found, as samples of an encoder: classes stay, other labels and those that are missing are -100."""
    usable = isinstance(raw.task, Classify)
    labels = {part: y if usable and y is not None else _unknown(len(x)) for part, (x, y) in raw.parts.items()}
    parts = {part: (x, labels[part]) for part, (x, _) in raw.parts.items()}
    notes = list(raw.notes)
    known = usable and any(bool((y != UNKNOWN).any()) for y in labels.values())
    if known:
        notes.append("labels only judge the encoders (linear probe, neighbours) and train the baseline")
    elif raw.classes:
        notes.append(f"labels of a task of {raw.task.name} are not used")
    classes = raw.classes if known else ()
    task = Embed(classes=len(classes))
    where = raw.labels_from if known else ""
    return replace(raw, parts=parts, notes=notes, classes=classes, task=task, labels_from=where)


def _unknown(count: int) -> Tensor:
    return torch.full((count,), UNKNOWN)


class Bare(Dataset[Value]):
    """The items of a Dataset as inputs, with a label that is unknown."""

    def __init__(self, items: Value):
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> Value:
        item = self.items[row]
        return (item[0] if isinstance(item, tuple | list) and len(item) == 1 else item), UNKNOWN


def labelled_anyhow(given: Value) -> Value:
    """Samples from Python with labels: unknown ones for a single array, and for items that are no (input, class)."""
    if isinstance(given, TensorDataset) and len(given.tensors) == 1:
        given = given.tensors[0]
    if isinstance(given, tuple | list) and len(given) == 1 and hasattr(given[0], "shape"):
        given = given[0]
    if isinstance(given, Tensor | np.ndarray):
        return given, np.full(len(given), UNKNOWN, np.int64)
    if isinstance(given, TensorDataset) or (isinstance(given, tuple) and all(hasattr(one, "shape") for one in given)):
        return given
    if not hasattr(given, "__getitem__") or not hasattr(given, "__len__") or not len(given):
        return given
    return given if _has_class(given[0]) else Bare(given)


def _has_class(item: Value) -> bool:
    """Whether an item is a pair of an input and a whole number."""
    if not isinstance(item, tuple | list) or len(item) != 2 or isinstance(item[1], Mapping | str):
        return False
    try:
        return np.ndim(item[1]) == 0 and float(item[1]) == int(item[1])
    except (TypeError, ValueError):
        return False
