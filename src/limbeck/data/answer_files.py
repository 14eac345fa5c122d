"""What a file of answers holds: arrays and columns, before it is decided what the numbers mean.

Letters: n answers, C classes, A annotators, k classes that are named for a sample.
"""

from collections.abc import Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from limbeck.data.columns import number
from limbeck.data.core import Data
from limbeck.data.readers import csv, parquet
from limbeck.errors import UserError

Meaning = Literal["auto", "probabilities", "logits", "votes", "labels"]
ENDINGS = (".npy", ".npz", ".csv", ".tsv", ".parquet")
NAMES = ("probabilities", "logits", "votes", "labels", "annotators")  # of arrays in a .npz, and what they mean
IDS = ("ids", "id", "names", "index")


@dataclass
class Found:
    """What a file holds. values: (n, C) or (n,) numbers, or (n,) names of classes. ids: of the rows. top: values of classes that
    were not named are -1. columns: their names. notes: what was understood."""

    values: np.ndarray
    ids: list[str] | None = None
    meaning: Meaning = "auto"
    top: bool = False
    columns: list[str] | None = None
    notes: list[str] = field(default_factory=list)


def read_arrays(file: Path, ids: str | None, data: Data) -> Found:
    try:
        loaded = np.load(file, allow_pickle=False)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{file.name} is not a NumPy file of numbers ({str(error)[:100]}); write it again") from error
    if "" in arrays:
        if ids:
            raise UserError(f"{file.name} holds one array and no ids; give a .npz, .csv or .parquet with ids")
        return Found(arrays[""])
    called = [ids] if ids else [name for name in IDS if name in arrays]
    if ids and ids not in arrays:
        raise UserError(f"{file.name} has no array {ids!r}; it has {', '.join(sorted(arrays))[:100]}")
    known = [str(one) for one in arrays.pop(called[0]).tolist()] if called else None
    if {"top_classes", "top_values"} <= set(arrays):
        return Found(_spread(file.name, arrays["top_classes"], arrays["top_values"]), known, "probabilities", top=True)
    told = [name for name in arrays if name in NAMES] or (list(arrays) if len(arrays) == 1 else [])
    if len(told) != 1:
        raise UserError(
            f"{file.name} has the arrays {', '.join(sorted(arrays))[:100]}; call one probabilities, logits, votes, labels "
            "or annotators, or two top_classes and top_values"
        )
    if told[0] == "annotators":
        votes = _counted(file.name, arrays[told[0]], data.classes)
        return Found(votes, known, "votes", notes=_people(arrays[told[0]].T))
    meaning: Meaning = next((one for one in get_args(Meaning) if one == told[0]), "auto")
    return Found(arrays[told[0]], known, meaning)


def _spread(who: str, classes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Probabilities of the k most likely classes (n, k), each in its column; -1 where a class is not named."""
    if classes.shape != values.shape or classes.ndim != 2 or classes.dtype.kind not in "iu" or classes.min() < 0:
        raise UserError(
            f"{who}: top_classes and top_values must both be (n, k), classes from 0; got {classes.shape}, {values.shape}"
        )
    if values.min() < 0 or (values.sum(1) > 1 + 1e-3).any():
        raise UserError(
            f"{who}: top_values must be probabilities that add up to 1 at most; got a row of {values.sum(1).max():.3f}"
        )
    if any(len(set(row)) != len(row) for row in classes.tolist()):
        raise UserError(f"{who}: a row of top_classes names a class twice; give each once")
    found = np.full((len(classes), int(classes.max()) + 1), -1.0)
    np.put_along_axis(found, classes.astype(np.int64), values.astype(np.float64), axis=1)
    return found


def read_table(file: Path, ids: str | None, data: Data) -> Found:

    if file.suffix.lower() == ".parquet":
        columns = parquet.columns_of(file)
    else:
        rows = csv.rows_of(file, [])
        names, cells = rows[0], rows[1:]
        if any(len(row) != len(names) for row in cells) or not cells:
            raise UserError(f"{file.name}: expected a header and rows of {len(names)} cells each; correct it")
        columns = {name: [row[k] for row in cells] for k, name in enumerate(names)}
    key = ids or next((name for name in columns if name.lower() in (*IDS, "file", "filename", "image")), None)
    if ids and ids not in columns:
        raise UserError(f"{file.name} has no column {ids!r}; it has {', '.join(columns)[:100]}")
    known = columns.pop(key) if key else None
    single = next((name for name in columns if name.lower() in ("label", "class", "target", "prediction")), None)
    if single and len(columns) == 1 and data.task.name == "classify":
        return Found(np.array(columns[single]), known, "labels")
    worded = data.task.name == "classify" and all(set(cells) <= {*data.classes, ""} for cells in columns.values())
    if worded and len(columns) != len(data.classes) and not set(columns) & set(data.classes):
        return Found(
            _counted(file.name, np.array(list(columns.values())).T, data.classes), known, "votes", notes=_people(columns)
        )
    for name, column in columns.items():
        odd = next((row for row, cell in enumerate(column) if not number(cell)), None)
        if odd is not None:
            raise UserError(
                f"{file.name}: expected numbers, or names of classes, got {column[odd][:40]!r} in column {name[:40]!r}, row "
                f"{odd + 1}; correct it, or name the column of ids with teacher.answers_id"
            )
    values = np.array([[float(cell) for cell in column] for column in columns.values()]).T
    return Found(values, known, columns=list(columns))


def _people(annotators: Sized) -> list[str]:
    return [f"of {len(annotators)} annotators"]


def _counted(who: str, annotators: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """(n, C) votes out of (n, A) names or numbers of classes, one column for each annotator; "" and -1 are no vote."""
    cells = [[str(cell) for cell in row] for row in np.atleast_2d(annotators).tolist()]
    names, odd = spelt({cell for row in cells for cell in row} - {"", "-1"}, classes)
    if odd:
        given, known = min(odd)[:40], ", ".join(classes)[:80]
        raise UserError(f"{who}: an annotator gave {given!r}, no class of the data ({known}) nor its number")
    found = np.zeros((len(cells), len(classes)))
    for row, own in enumerate(cells):
        for cell in own:
            if cell not in ("", "-1"):
                found[row, names.index(cell)] += 1
    return found


def spelt(words: set[str], classes: Sequence[str]) -> tuple[list[str], set[str]]:
    """How labels are written, as names of classes or as their numbers, and those of the words that are neither."""
    for names in (list(classes), [str(k) for k in range(len(classes))]):
        if words <= set(names):
            return names, set()
    return list(classes), words - {*classes, *(str(k) for k in range(len(classes)))} or words - set(classes)
