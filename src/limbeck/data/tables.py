"""Tables of cells as data: one or several columns are labels, every other one features, or a text.

The label is the column that was named, else the one called label, target, class or y, else the last. A column of numbers is one
feature; a column of words is one feature 0/1 for 2 values, one for each of up to 32 values, else its rank in the alphabet. Where
a column called text or sentence stands beside labels alone, samples are texts (see `limbeck.data.text`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from limbeck.data.assemble import Raw
from limbeck.data.text import texts
from limbeck.errors import UserError, unknown
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.registry import task_of

TEXT = ("text", "sentence")
_LABEL = ("label", "target", "class", "y")
MISSING = ("", "?", "na", "n/a", "nan", "null", "none")
_ONE_HOT = 32


@dataclass(frozen=True)
class LabelColumns:
    """Which columns are labels, and of which task. task: by name. label: one column or several; () for the usual one."""

    task: str = CLASSIFY.name
    label: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """Cells of each part as text, "" where one is missing; named: whether the source names its columns. first: the number of the
    first row in the source, for messages."""

    path: Path
    names: list[str]
    parts: Mapping[str, list[list[str]]]
    named: bool = True
    first: int = 1


def from_table(table: Table, columns: LabelColumns) -> Raw:
    """Samples out of a table; see the module for what is understood."""
    path, names, task = table.path, table.names, task_of(columns.task)
    places = label_places(path, names, columns.label, table.named)
    tables = dict(table.parts)
    for part, rows in tables.items():
        _whole(path, part, rows, len(names), table.first)
    if _is_text(table, places, columns):
        place = next(k for k in range(len(names)) if k not in places)
        found = {part: [(row[place], row[places[0]]) for row in rows] for part, rows in tables.items() if part != "unlabelled"}
        return texts(str(path), found)
    notes: list[str] = []
    together = [row for rows in tables.values() for row in rows]
    features = [
        _features(path, name, [row[k] for row in together], notes, table.first) for k, name in enumerate(names) if k not in places
    ]
    if not features:
        raise UserError(f"{path}: every column is a label; leave at least one to predict from")
    inputs = torch.from_numpy(np.concatenate(features, axis=1))
    known = {part: rows for part, rows in tables.items() if part != "unlabelled"}
    labels, classes = task.read(str(path), _label_cells(path, known, names, places))
    told = dict(zip(known, labels.split([len(rows) for rows in known.values()]), strict=True))
    split = inputs.split([len(rows) for rows in tables.values()])
    return Raw(
        {part: (x, told.get(part)) for part, x in zip(tables, split, strict=True)}, classes, "table", notes=notes, task=task
    )


def _is_text(table: Table, places: list[int], columns: LabelColumns) -> bool:
    rest = [name.lower() for k, name in enumerate(table.names) if k not in places]
    return columns.task == CLASSIFY.name and len(places) == 1 and len(rest) == 1 and rest[0] in TEXT


def label_places(path: Path, names: list[str], wanted: tuple[str, ...], header: bool) -> list[int]:
    """The places of the label columns: those named, else the usual one."""
    for name in wanted:
        if name not in names:
            raise unknown(f"column of {path}", name, names)
    if wanted:
        return [names.index(name) for name in wanted]
    return [next((k for k, n in enumerate(names) if n.lower() in _LABEL), len(names) - 1) if header else len(names) - 1]


def _label_cells(path: Path, tables: Mapping[str, list[list[str]]], names: list[str], places: list[int]) -> dict[str, list[str]]:
    """The cells of the label columns by name, of all parts with labels one after another."""
    cells = {names[k]: [row[k] for rows in tables.values() for row in rows] for k in places}
    for name, column in cells.items():
        missing = sum(c.lower() in MISSING for c in column)
        if missing:
            raise UserError(f"{path}: the label column {name!r} has {missing} missing values; fill or remove those rows")
    return cells


def number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _whole(path: Path, part: str, rows: list[list[str]], width: int, first: int) -> None:
    if width < 2 or not rows:
        raise UserError(f"{path} has {len(rows)} rows of {width} columns; expected samples with at least a feature and a label")
    for k, row in enumerate(rows, start=first):
        if len(row) != width:
            raise UserError(f"{path} ({part}): row {k} has {len(row)} cells where {width} are expected; correct or remove it")


def _features(path: Path, name: str, cells: list[str], notes: list[str], first: int) -> np.ndarray:
    """Return (n, k) float32 features of a column."""
    missing = [k for k, c in enumerate(cells) if c.lower() in MISSING]
    known = {c for c in cells if c.lower() not in MISSING}
    numeric = all(map(number, known))
    if missing and (numeric or any(cells[k] == "" for k in missing)):
        raise UserError(
            f"{path}: column {name!r} has {len(missing)} missing values, the first in row {missing[0] + first}; "
            "fill or remove those rows"
        )
    if numeric:
        with np.errstate(over="ignore"):
            return np.array([float(c) for c in cells]).astype(np.float32)[:, None]
    values = sorted(set(cells))
    places = {v: k for k, v in enumerate(values)}
    ranks = np.array([places[c] for c in cells])
    if missing:
        notes.append(f"column {name!r}: {len(missing)} unknown values count as a separate value")
    if 2 < len(values) <= _ONE_HOT:
        return np.eye(len(values), dtype=np.float32)[ranks]
    if len(values) > _ONE_HOT:
        notes.append(f"column {name!r}: {len(values)} different words are replaced by their alphabetical rank")
    return ranks.astype(np.float32)[:, None]
