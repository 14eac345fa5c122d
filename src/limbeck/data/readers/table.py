"""CSV tables: a row for each sample, one column the label.

A file, or a folder with train.csv and test.csv (and validation.csv, and unlabelled.csv, whose column of labels is not read
and may be missing). The separator is a comma, semicolon or tab.
The label is the column called label, target, class or y, else the last. A column of numbers is one feature; a
column of words is one feature 0/1 for 2 values, one for each of up to 32 values, else its rank in the alphabet.
Features stay as they are; `Data.mean` and `Data.std` hold the train statistics to standardise with.
"""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch

from limbeck.data.assemble import ORDER, Raw
from limbeck.errors import UserError

_LABEL = ("label", "target", "class", "y")
_MISSING = ("", "?", "na", "n/a", "nan", "null", "none")
_ONE_HOT = 32


def read(path: Path) -> Raw:
    """Read a table or a folder of tables; see the module for what is understood."""
    files = {"train": path}
    if path.is_dir():
        files = {p: path / f"{p}.csv" for p in ORDER if (path / f"{p}.csv").is_file()}
    tables = {part: _rows(file) for part, file in files.items()}
    header = _header(tables["train"])
    names = tables["train"][0] if header else [str(k + 1) for k in range(len(tables["train"][0]))]
    if header:
        tables = {part: rows[1:] if rows[:1] == [names] else rows for part, rows in tables.items()}
    label = next((k for k, n in enumerate(names) if n.lower() in _LABEL), len(names) - 1) if header else len(names) - 1
    if "unlabelled" in tables:
        tables["unlabelled"] = _without_labels(tables["unlabelled"], names, label, header)
    for part, rows in tables.items():
        _whole(files[part], rows, len(names), header)
    together = [row for rows in tables.values() for row in rows]
    known = [row[label] for part, rows in tables.items() if part != "unlabelled" for row in rows]
    classes = _classes(path, known, names[label])
    columns: list[Any] = []
    notes: list[str] = []
    for k, name in enumerate(names):
        if k != label:
            columns.append(_features(path, name, [row[k] for row in together], notes, 1 + header))
    inputs = torch.from_numpy(np.concatenate(columns, axis=1))
    numbers = {c: k for k, c in enumerate(classes)}
    parts: dict[str, tuple[torch.Tensor, torch.Tensor | None]] = {}
    for (part, rows), features in zip(tables.items(), inputs.split([len(rows) for rows in tables.values()]), strict=True):
        told = None if part == "unlabelled" else torch.tensor([numbers[row[label]] for row in rows])
        parts[part] = features, told
    return Raw(parts, classes, "table", notes=notes)


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


def _without_labels(rows: list[list[str]], names: list[str], label: int, header: bool) -> list[list[str]]:
    """Rows with an empty cell where the label would be, whether or not the file has that column."""
    if header and rows[0] == names[:label] + names[label + 1 :]:
        rows = rows[1:]
    return [row[:label] + [""] + row[label + (len(row) == len(names)) :] for row in rows]


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


def _classes(path: Path, cells: list[str], name: str) -> tuple[str, ...]:
    missing = sum(c.lower() in _MISSING for c in cells)
    if missing:
        raise UserError(f"{path}: the label column {name!r} has {missing} missing values; fill or remove those rows")
    found = sorted(set(cells))
    if len(found) > 50 and len(found) > len(cells) / 10 and all(map(_number, found)):
        raise UserError(
            f"{path}: the label column {name!r} has {len(found)} different numbers in {len(cells)} rows; "
            "expected classes, so put the label last or name its column 'label'"
        )
    return tuple(sorted(found, key=float)) if all(map(_number, found)) else tuple(found)


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
