"""CSV tables: a row for each sample, one column the label.

A file, or a folder with train.csv and test.csv (and validation.csv, and unlabelled.csv, whose column of labels is not read
and may be missing). The separator is a comma, semicolon or tab.
The label is the column called label, target, class or y, else the last, or those that `Columns` names; what they hold is for its
task to say. A column of numbers is one feature; a
column of words is one feature 0/1 for 2 values, one for each of up to 32 values, else its rank in the alphabet.
Features stay as they are; `Data.mean` and `Data.std` hold the train statistics to standardise with.
"""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from limbeck.data.assemble import ORDER, Raw
from limbeck.errors import UserError, unknown
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.registry import task_of

_LABEL = ("label", "target", "class", "y")
_MISSING = ("", "?", "na", "n/a", "nan", "null", "none")
_ONE_HOT = 32


@dataclass(frozen=True)
class Columns:
    """Which columns are labels, and of which task. task: by name. label: one column or several; () for the usual one."""

    task: str = CLASSIFY.name
    label: tuple[str, ...] = ()


def read(path: Path, columns: Columns | None = None) -> Raw:
    """Read a table or a folder of tables; see the module for what is understood."""
    chosen = columns or Columns()
    task = task_of(chosen.task)
    files = {"train": path}
    if path.is_dir():
        files = {p: path / f"{p}.csv" for p in ORDER if (path / f"{p}.csv").is_file()}
    tables = {part: _rows(file) for part, file in files.items()}
    header = _header(tables["train"])
    names = tables["train"][0] if header else [str(k + 1) for k in range(len(tables["train"][0]))]
    if header:
        tables = {part: rows[1:] if rows[:1] == [names] else rows for part, rows in tables.items()}
    places = _label_places(path, names, chosen.label, header)
    if "unlabelled" in tables:
        tables["unlabelled"] = _without_labels(tables["unlabelled"], names, places, header)
    for part, rows in tables.items():
        _whole(files[part], rows, len(names), header)
    notes: list[str] = []
    together = [row for rows in tables.values() for row in rows]
    features = [
        _features(path, name, [row[k] for row in together], notes, 1 + header) for k, name in enumerate(names) if k not in places
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


def _label_places(path: Path, names: list[str], wanted: tuple[str, ...], header: bool) -> list[int]:
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
        missing = sum(c.lower() in _MISSING for c in column)
        if missing:
            raise UserError(f"{path}: the label column {name!r} has {missing} missing values; fill or remove those rows")
    return cells


def _rows(file: Path) -> list[list[str]]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}; give a CSV file") from error
    if b"\x00" in data:
        raise UserError(f"{file} is no text table; give a CSV file with commas, semicolons or tabs")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise UserError(f"{file} is no CSV table ({error}); give one with a row for each sample") from error
    rows = [[cell.strip().strip("'") for cell in row] for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise UserError(f"{file} is empty; expected a row for each sample with its label in the last column")
    return rows


def _without_labels(rows: list[list[str]], names: list[str], places: list[int], header: bool) -> list[list[str]]:
    """Rows with an empty cell where labels would be, whether or not the file has those columns."""
    rest = [name for k, name in enumerate(names) if k not in places]
    if header and rows[0] == rest:
        rows = rows[1:]

    def emptied(row: list[str]) -> list[str]:
        cells = iter(row if len(row) < len(names) else [cell for k, cell in enumerate(row) if k not in places])
        return ["" if k in places else next(cells, "") for k in range(len(names))]

    return [row if len(row) not in (len(names), len(rest)) else emptied(row) for row in rows]


def _number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: no number in it, and numbers below or words that never recur."""
    first, rest = rows[0], rows[1:200]
    if any(_number(cell) for cell in first) or not rest:
        return False
    below = [[row[k] for row in rest if k < len(row)] for k in range(len(first))]
    if any(all(_number(c) for c in column if c.lower() not in _MISSING) for column in below if column):
        return True
    return all(name not in column for name, column in zip(first, below, strict=True))


def _whole(file: Path, rows: list[list[str]], width: int, header: bool) -> None:
    if width < 2 or not rows:
        raise UserError(f"{file} has {len(rows)} rows of {width} columns; expected samples with at least a feature and a label")
    for k, row in enumerate(rows, start=1 + header):
        if len(row) != width:
            raise UserError(f"{file}: row {k} has {len(row)} cells where {width} are expected; mend or remove it")


def _features(path: Path, name: str, cells: list[str], notes: list[str], first: int) -> np.ndarray:
    """Return (n, k) float32 features of a column."""
    missing = [k for k, c in enumerate(cells) if c.lower() in _MISSING]
    known = {c for c in cells if c.lower() not in _MISSING}
    numeric = all(map(_number, known))
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
        notes.append(f"column {name!r}: {len(missing)} unknown values count as a value of their own")
    if 2 < len(values) <= _ONE_HOT:
        return np.eye(len(values), dtype=np.float32)[ranks]
    if len(values) > _ONE_HOT:
        notes.append(f"column {name!r}: {len(values)} different words became their rank in the alphabet")
    return ranks.astype(np.float32)[:, None]
