"""Columns of a table as features.

A column of numbers is one feature. Every other is nominal: 0/1 where training has two values, one feature 0/1 for each of up to
32 values, beyond that 32 features of which CRC-32 of the value's UTF-8 bytes, modulo 32, is 1. Values are those of the training
part: one that it lacks is none of them (all 0; 0.5 between two). A missing value of a nominal column is a value of its own. A
missing number becomes the median of training, and where training has missing ones a further feature 0/1 says so.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NotRequired
from zlib import crc32

import numpy as np
import torch
from torch import Tensor
from typing_extensions import TypedDict

from limbeck.errors import UserError

MISSING = ("", "?", "na", "n/a", "nan", "null", "none")
ONE_HOT = 32  # values, and features of more
_DECIMAL = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")


def number(cell: str) -> bool:
    """Whether a cell is a number, as most programs write one: 1_000 is a word."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def missing(cell: str) -> bool:
    return cell.lower() in MISSING


def with_points(path: Path, name: str, cells: Sequence[str]) -> list[str] | None:
    """Cells whose decimal commas became points, None where the column has none.

    Raises `UserError` where a comma may as well stand between thousands.
    """
    commas = [cell for cell in cells if _DECIMAL.fullmatch(cell) or _THOUSANDS.fullmatch(cell)]
    if not commas or not all(
        missing(cell) or number(cell) or _DECIMAL.fullmatch(cell) or _THOUSANDS.fullmatch(cell) for cell in cells
    ):
        return None
    if all(map(_THOUSANDS.fullmatch, commas)) or not all(map(_DECIMAL.fullmatch, commas)):
        raise UserError(
            f"{path}: {commas[0]!r} in column {name!r} may be a decimal comma or a thousand; write numbers with points only"
        )
    return [cell.replace(",", ".") for cell in cells]


class ColumnFacts(TypedDict):
    """A column in student.json: a number, one of `values`, or hashed. fill: what stands for a missing number; marked: whether a
    feature says where."""

    name: str
    values: list[str]
    hashed: bool
    fill: NotRequired[float]
    marked: NotRequired[bool]


@dataclass(frozen=True)
class Column:
    """How the cells of a column are features. values: of a nominal one; () for numbers, and where values are hashed. fill: what
    stands for a missing number, None where none may be missing. marked: whether a second feature is 1 where one was.
    """

    name: str
    values: tuple[str, ...] = ()
    hashed: bool = False
    fill: float | None = None
    marked: bool = False

    def features(self, cells: Sequence[str]) -> np.ndarray:
        """Return (n, k) float32 of n cells; numbers must not be missing but where there is a `fill`."""
        if not self.hashed and not self.values:
            gone = np.array([self.fill is not None and missing(c) for c in cells])
            with np.errstate(over="ignore"):
                found = np.array([self.fill if absent else float(c) for c, absent in zip(cells, gone)]).astype(np.float32)
            return np.stack([found, gone.astype(np.float32)], 1) if self.marked else found[:, None]
        plain = ["" if missing(cell) else cell for cell in cells]
        if self.hashed:
            return np.eye(ONE_HOT, dtype=np.float32)[[crc32(cell.encode("utf-8", "surrogatepass")) % ONE_HOT for cell in plain]]
        places = {value: k for k, value in enumerate(self.values)}
        if len(places) <= 2:
            return np.array([places.get(cell, 0.5) for cell in plain], np.float32)[:, None]
        rows = np.append(np.eye(len(places), dtype=np.float32), np.zeros((1, len(places)), np.float32), 0)
        return np.asarray(rows[[places.get(cell, len(places)) for cell in plain]])

    def facts(self) -> ColumnFacts:
        found: ColumnFacts = {"name": self.name, "values": list(self.values), "hashed": self.hashed}
        if self.fill is not None:
            found["fill"], found["marked"] = self.fill, self.marked
        return found


def encoded(rows: Sequence[Mapping[str, str | float]], columns: Sequence[ColumnFacts]) -> Tensor:
    """Rows of a table (n mappings from column to cell) as a student takes them, (n, features) float32; `columns` is the list of
    that name in its student.json.

    Raises `UserError` for a column that a row lacks, or a cell that is no finite number where one is expected.

    >>> encoded([{"size": 2, "sex": "m"}], [Column("size").facts(), Column("sex", ("f", "m")).facts()])
    tensor([[2., 1.]])
    """
    return torch.from_numpy(features(rows, columns))


def features(given: Sequence[Mapping[str, Any]], columns: Sequence[Mapping[str, Any]], first: int = 0) -> np.ndarray:
    """`encoded`, as an array. first: the number of rows before them, for messages."""
    blocks = []
    for facts in columns:
        column = Column(facts["name"], tuple(facts["values"]), facts["hashed"], facts.get("fill"), facts.get("marked", False))
        if any(column.name not in row for row in given):
            raise UserError(f"a row has no cell for the column {column.name!r}; give every row the columns of the training data")
        cells = [str(row[column.name]) for row in given]
        numeric = not column.values and not column.hashed
        spare = column.fill is not None
        odd = next((k for k, c in enumerate(cells) if numeric and not (spare if missing(c) else number(c))), None)
        if odd is not None:
            raise UserError(
                f"row {first + odd + 1}: column {column.name!r} holds numbers, got {cells[odd][:40]!r}; correct that row"
            )
        found = column.features(cells)
        if not np.isfinite(found).all():
            row = int((~np.isfinite(found)).any(1).argmax())
            raise UserError(
                f"row {first + row + 1}: column {column.name!r} holds {cells[row][:40]!r}, too large a number; correct that row"
            )
        blocks.append(found)
    return np.concatenate(blocks, axis=1)


@dataclass
class Features:
    """Columns as features; `notes` says afterwards what they became, `columns` how."""

    path: Path
    first: int
    columns: list[Column] = field(default_factory=list)
    one_hot: list[str] = field(default_factory=list)
    hashed: list[str] = field(default_factory=list)
    unique: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    filled: list[str] = field(default_factory=list)
    unmarked: list[str] = field(default_factory=list)
    alike: list[str] = field(default_factory=list)

    def of(self, name: str, cells: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
        """Return (n, k) float32 for each part, from its cells of a column."""
        known = {cell for part in cells.values() for cell in part if not missing(cell)}
        numbers = sum(map(number, known))
        if numbers == len(known):
            return self._made(self._numbers(name, cells), cells)
        if len(known) > ONE_HOT and numbers > 0.9 * len(known):
            word = min(cell for cell in known if not number(cell))
            raise UserError(
                f"{self.path}: column {name!r} has {numbers} different numbers, and {word[:30]!r} among them; correct that"
            )
        plain = {part: ["" if missing(c) else c for c in column] for part, column in cells.items()}
        return self._made(self._nominal(name, plain), plain)

    def _made(self, column: Column, cells: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
        self.columns.append(column)
        return {part: column.features(own) for part, own in cells.items()}

    def _numbers(self, name: str, cells: Mapping[str, Sequence[str]]) -> Column:
        gone = {part: sum(map(missing, column)) for part, column in cells.items()}
        if not any(gone.values()):
            return Column(name)
        known = [float(cell) for cell in cells["train"] if not missing(cell)]
        if not known:
            raise UserError(f"{self.path}: column {name!r} has no number in the training part; remove that column")
        fill = float(np.float32(np.median(known)))
        marked = gone["train"] > 0
        kept = self.filled if marked else self.unmarked
        kept.append(f"{name!r} ({sum(gone.values())}, {fill:g})")
        return Column(name, fill=fill, marked=marked)

    def _nominal(self, name: str, cells: Mapping[str, Sequence[str]]) -> Column:
        values = sorted(set(cells["train"]))
        if any("" in column for column in cells.values()):
            self.absent.append(f"{name!r} ({sum(list(column).count('') for column in cells.values())})")
        self.alike += [f"{name!r} ({', '.join(map(repr, group[:3]))})" for group in alike(values)[:1]]
        if len(values) > ONE_HOT:
            self.hashed.append(f"{name!r} ({len(values)} values)")
            self.unique += [f"{name!r}"] if len(values) > len(cells["train"]) / 2 else []
            return Column(name, hashed=True)
        strange = sum(cell not in values for column in cells.values() for cell in column)
        if strange:
            self.unknown.append(f"{name!r} ({strange})")
        self.one_hot.append(f"{name!r} ({len(values)})")
        return Column(name, tuple(values))

    def notes(self) -> list[str]:
        """What columns became, a sentence for each kind."""
        kinds = (
            (self.one_hot, "nominal columns, with their number of values, became features 0/1"),
            (self.hashed, f"nominal columns of more than {ONE_HOT} values were hashed into {ONE_HOT} features 0/1 each"),
            (
                self.unique,
                "more than half of the rows have a value of their own, of which nothing is learnt; remove such columns",
            ),
            (self.absent, "missing values, a value of their own"),
            (self.filled, "missing numbers (how many, filled with the median of training), marked by a feature 0/1 each"),
            (self.unmarked, "missing numbers where training has none (how many, filled with the median of training)"),
            (self.alike, "values that differ in case or spaces alone were kept apart"),
            (self.unknown, "values that training lacks, fed as none of its values"),
        )
        return [f"{words}: {listed(names)}" for names, words in kinds if names]


def alike(names: Sequence[str]) -> list[tuple[str, ...]]:
    """Names that differ in the case of letters and in spaces alone, as groups in the order of their first.

    >>> alike(["yes", "no", "YES", "no "])
    [('yes', 'YES'), ('no', 'no ')]
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(" ".join(name.split()).casefold(), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
