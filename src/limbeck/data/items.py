"""What samples from Python look like, brought to one form: a pair of arrays, or a map-style Dataset of (input, label)."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from torch.utils.data._utils.collate import default_collate

from limbeck.data.assemble import Raw
from limbeck.data.tables import LabelColumns, Table, from_table
from limbeck.errors import UserError
from limbeck.plan.kinds import Value

LABELS = ("label", "labels", "target", "targets", "y", "class")
MOST = 5_000_000  # items of an iterable that are read into memory


def plain(who: str, given: Value, *, bare: bool = False) -> tuple[Value, list[str], tuple[str, ...] | None]:
    """Samples in a form that `from_datasets` takes, sentences on what was done, and names of classes that they bring.

    A DataLoader counts as its Dataset (and its collate function), an iterable is read to its end, a list of items is a Dataset,
    items that are mappings are split into their label and the rest. bare: there need be no label.

    Raises `UserError` where that cannot be done.
    """
    notes: list[str] = []
    collate: Callable[[list[Value]], Value] | None = None
    if isinstance(given, DataLoader):
        collate = None if given.collate_fn is default_collate else given.collate_fn
        notes.append(f"{who}: of the DataLoader its Dataset was taken" + (" with its collate function" if collate else ""))
        given = given.dataset
    if isinstance(given, IterableDataset) or (isinstance(given, Iterable) and not hasattr(given, "__len__")):
        given = _read(who, given)
        notes.append(f"{who}: {len(given):,} items were read into memory")
    if collate is not None:
        given = _Collated(given, collate)
    if isinstance(given, TensorDataset) or _is_pair(given):
        return given, notes, None
    classes = classes_of(given)
    if isinstance(given, (list, tuple)) and given and isinstance(given[0], (list, tuple, Mapping)):
        given = _Listed(given)
    if not hasattr(given, "__getitem__") or not hasattr(given, "__len__") or not len(given):
        return given, notes, classes
    first = given[0]
    if isinstance(first, Mapping):
        label = next((key for key in LABELS if key in first), None)
        rest = [str(key) for key in first if key != label]
        if label is None and bare:
            return given, notes, classes
        if label is None or not rest:
            raise UserError(
                f"{who}: items are mappings with {', '.join(map(str, first))[:80]}; call the label one of {', '.join(LABELS)}"
            )
        notes.append(f"{who}: {label!r} is the label, {' and '.join(map(repr, rest[:4]))} the input")
        return _Split(given, label, rest), notes, classes
    return given, notes, classes


def rows_as_table(name: str, parts: Mapping[str, Value]) -> Raw | None:
    """Parts whose rows are mappings with words in them, or data frames, as a table or as texts; None where they are neither.

    Raises `UserError` where a row has other keys, or what no cell can hold.
    """
    frame = hasattr(parts["train"], "iloc")
    rows = {part: given.to_dict("records") if hasattr(given, "iloc") else _named_texts(given) for part, given in parts.items()}
    train = rows["train"]
    if not hasattr(train, "__getitem__") or not hasattr(train, "__len__") or not len(train) or _is_pair(train):
        return None
    first = train[0]
    if not isinstance(first, Mapping) or not (frame or any(isinstance(first[key], str) for key in first if key not in LABELS)):
        return None
    names = [str(key) for key in first]
    label = next((key for key in LABELS if key in first), names[-1])
    classes = classes_of(parts["train"])
    cells = {
        part: [[_cell(name, part, row, key, classes if key == label else None) for key in names] for row in own]
        for part, own in rows.items()
    }
    return from_table(Table(Path(name), names, cells), LabelColumns(label=(label,)))


def _named_texts(given: Value) -> Value:
    """A list of (text, label) as rows with names."""
    if not isinstance(given, list) or not all(
        isinstance(row, tuple) and len(row) == 2 and isinstance(row[0], str) for row in given
    ):
        return given
    return [{"text": text, "label": label} for text, label in given]


def _cell(name: str, part: str, row: Value, key: str, classes: tuple[str, ...] | None) -> str:
    """A value as a table's cell: "" where it is missing, the name of a numbered class."""
    if key not in row:
        raise UserError(f"data {name!r}: a row of {part} lacks {key!r}, which the first has; give all rows the same keys")
    value = row[key]
    if value is None or value != value:  # NaN
        return ""
    if not isinstance(value, (str, int, float, bool, np.generic)):
        raise UserError(f"data {name!r}: {key!r} holds a {type(value).__name__} in a row of {part}; expected words and numbers")
    if classes is not None and not isinstance(value, str):
        return classes[int(value)] if 0 <= int(value) < len(classes) else ""
    return str(value)


def _is_pair(given: Value) -> bool:
    return isinstance(given, (tuple, list)) and len(given) in (1, 2) and all(hasattr(one, "shape") for one in given)


def _read(who: str, given: Iterable[Value]) -> list[Value]:
    found: list[Value] = []
    for item in given:
        found.append(item)
        if len(found) > MOST:
            raise UserError(f"{who} yields more than {MOST:,} items; give a map-style Dataset, which need not fit into memory")
    return found


def classes_of(given: Value) -> tuple[str, ...] | None:
    """Names of classes that a Dataset states: `classes`, or the feature of its label as in Hugging Face's."""
    features: Any = getattr(given, "features", None)
    label = next((features[key] for key in LABELS if key in features), None) if isinstance(features, Mapping) else None
    named = getattr(given, "classes", getattr(label, "names", None))
    return tuple(map(str, named)) if isinstance(named, Sequence) and not isinstance(named, str) else None


class _Listed(Dataset[Value]):
    """Items of a list."""

    def __init__(self, items: Sequence[Value]):
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, row: int) -> Value:
        return self.items[row]


class _Split(_Listed):
    """Items that are mappings as (input, label)."""

    def __init__(self, items: Sequence[Value], label: str, rest: list[str]):
        super().__init__(items)
        self.label, self.rest = label, rest

    def __getitem__(self, row: int) -> Value:
        item = self.items[row]
        inputs = item[self.rest[0]] if len(self.rest) == 1 else {key: item[key] for key in self.rest}
        return inputs, item[self.label]


class _Collated(_Listed):
    """Items as a collate function makes them of one alone."""

    def __init__(self, items: Sequence[Value], collate: Callable[[list[Value]], Value]):
        super().__init__(items)
        self.collate = collate

    def __getitem__(self, row: int) -> Value:
        batch = self.collate([self.items[row]])
        if isinstance(batch, Mapping):
            return {key: value[0] for key, value in batch.items()}
        return tuple({k: v[0] for k, v in part.items()} if isinstance(part, Mapping) else part[0] for part in batch)
