"""Columns of a table as features.

A column of numbers is one feature. Every other is nominal: 0/1 where training has two values, one feature 0/1 for each of up to
32 values, beyond that 32 features of which CRC-32 of the value's UTF-8 bytes, modulo 32, is 1. Values are those of the training
part: one that it lacks is none of them (all 0; 0.5 between two). A missing value of a nominal column is a value of its own; a
missing number is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import numpy as np

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


@dataclass
class Features:
    """Columns as features; `notes` says afterwards what they became."""

    path: Path
    first: int
    one_hot: list[str] = field(default_factory=list)
    hashed: list[str] = field(default_factory=list)
    unique: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def of(self, name: str, cells: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
        """Return (n, k) float32 for each part, from its cells of a column."""
        known = {cell for part in cells.values() for cell in part if not missing(cell)}
        numbers = sum(map(number, known))
        if numbers == len(known):
            return {part: self._numbers(name, part, column) for part, column in cells.items()}
        if len(known) > ONE_HOT and numbers > 0.9 * len(known):
            word = min(cell for cell in known if not number(cell))
            raise UserError(
                f"{self.path}: column {name!r} has {numbers} different numbers, and {word[:30]!r} among them; correct that"
            )
        return self._nominal(name, {part: ["" if missing(c) else c for c in column] for part, column in cells.items()})

    def _numbers(self, name: str, part: str, cells: Sequence[str]) -> np.ndarray:
        gone = [k for k, cell in enumerate(cells) if missing(cell)]
        if gone:
            raise UserError(
                f"{self.path} ({part}): column {name!r} has {len(gone)} missing values, the first in row {gone[0] + self.first}; "
                "fill or remove those rows"
            )
        with np.errstate(over="ignore"):
            return np.array([float(c) for c in cells]).astype(np.float32)[:, None]

    def _nominal(self, name: str, cells: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
        values = sorted(set(cells["train"]))
        if any("" in column for column in cells.values()):
            self.absent.append(f"{name!r} ({sum(list(column).count('') for column in cells.values())})")
        if len(values) > ONE_HOT:
            self.hashed.append(f"{name!r} ({len(values)} values)")
            self.unique += [f"{name!r}"] if len(values) > len(cells["train"]) / 2 else []
            return {part: np.eye(ONE_HOT, dtype=np.float32)[_buckets(column)] for part, column in cells.items()}
        strange = sum(cell not in values for column in cells.values() for cell in column)
        if strange:
            self.unknown.append(f"{name!r} ({strange})")
        self.one_hot.append(f"{name!r} ({len(values)})")
        return {part: _chosen(values, column) for part, column in cells.items()}

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
            (self.unknown, "values that training lacks, fed as none of its values"),
        )
        return [f"{words}: {listed(names)}" for names, words in kinds if names]


def listed(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _buckets(cells: Sequence[str]) -> list[int]:
    return [crc32(cell.encode("utf-8", "surrogatepass")) % ONE_HOT for cell in cells]


def _chosen(values: Sequence[str], cells: Sequence[str]) -> np.ndarray:
    places = {value: k for k, value in enumerate(values)}
    if len(values) <= 2:
        return np.array([places.get(cell, 0.5) for cell in cells], np.float32)[:, None]
    rows = np.append(np.eye(len(values), dtype=np.float32), np.zeros((1, len(values)), np.float32), 0)
    return np.asarray(rows[[places.get(cell, len(values)) for cell in cells]])
