"""Answers of a teacher out of a file: probabilities, logits, votes of people, or labels, matched with samples by row or by name.

Letters: n answers, C classes, A annotators, k classes that are named for a sample.
"""

from collections.abc import Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from limbeck.data.core import Data
from limbeck.data.readers import csv, parquet
from limbeck.errors import UserError
from limbeck.transforms.outside import SMALLEST, SURE, logits_of, named_alone

Meaning = Literal["auto", "probabilities", "logits", "votes", "labels"]
ENDINGS = (".npy", ".npz", ".csv", ".tsv", ".parquet")
NAMES = ("probabilities", "logits", "votes", "labels", "annotators")  # of arrays in a .npz, and what they mean
IDS = ("ids", "id", "names", "index")


@dataclass(frozen=True)
class FileAnswers:
    """rows: (n, C) logits, or numbers of a regression. at: (m,) int64, the row of each sample number, -1 where there is none.
    said: how they were understood, in words."""

    rows: Tensor
    at: Tensor
    said: str


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


def read(path: str, data: Data, *, meaning: Meaning = "auto", ids: str | None = None) -> FileAnswers:
    """A file of answers, matched with the samples of the data.

    Args:
        path: .npy (n, C) or (n,); .npz with an array called probabilities, logits, votes, labels (n,) or annotators (n, A; -1: no
            vote), or with top_classes and top_values (n, k), and ids beside it; .csv, .tsv or .parquet with a column for each
            class, one called label, or one of class names for each annotator.
        data: its samples, by `data.ids` or in their order at the source.
        meaning: of the numbers; "auto": rows that add up to 1 are probabilities, whole numbers from 0 are votes, one value for
            each row is a label, all else logits. ids: the column, or array, that names the sample of each row.

    Raises:
        UserError: it cannot be read, does not fit the data, or lacks training samples.
    """
    file = Path(path).expanduser()
    if file.suffix.lower() not in ENDINGS:
        raise UserError(f"answers of a teacher are read from {', '.join(ENDINGS)}, got {file.name}")
    if not file.is_file():
        raise UserError(f"the file of answers {path} does not exist; give its path")
    found = _arrays(file, ids, data) if file.suffix.lower() in (".npy", ".npz") else _table(file, ids, data)
    return _understood(file.name, found, data, meaning)


def given(values: np.ndarray, data: Data) -> FileAnswers:
    """The same of an array (n, C) or (n,), a row for each sample in the order of the data.

    >>> from limbeck.data import from_datasets
    >>> data = from_datasets((torch.rand(4, 2), torch.tensor([0, 1, 0, 1])))
    >>> given(np.array([[3, 1], [0, 4], [2, 2], [4, 0]]), data).said
    'the teacher is the array: 4 answers, votes, columns in the order of the classes, in the order of all samples at the source'
    """
    return _understood("the array", Found(np.asarray(values)), data, "auto")


def _understood(who: str, found: Found, data: Data, meaning: Meaning) -> FileAnswers:
    if data.task.name not in ("classify", "numbers"):
        raise UserError(
            f"answers of a file teach classes or numbers, and the task of {data.name} is {data.task.name}; give a network"
        )
    found = _named_alike(who, found, data)
    rows, what = _logits(who, found, data, meaning)
    at, how = _matched(who, len(rows), found.ids, data)
    needed = data["train"].index
    missing = needed[at[needed] < 0]
    if len(missing):
        first = data.ids[int(missing[0])] if data.ids else f"number {int(missing[0])}"
        raise UserError(f"{who} lacks answers to {len(missing)} of {len(needed)} training samples, first {first[:60]}; add them")
    said = f"the teacher is {who}: {len(rows):,} answers, {what}, {how}"
    return FileAnswers(torch.from_numpy(rows).float(), at, said)


# ------------------------------------------------------------------------------------------- files


def _arrays(file: Path, ids: str | None, data: Data) -> Found:
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
            f"{file.name} has the arrays {', '.join(sorted(arrays))[:100]}; call one probabilities, logits, votes or labels, or "
            "two top_classes and top_values"
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


def _table(file: Path, ids: str | None, data: Data) -> Found:

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
    if single and len(columns) == 1:
        return Found(np.array(columns[single]), known, "labels")
    worded = data.task.name == "classify" and all(set(cells) <= {*data.classes, ""} for cells in columns.values())
    if worded and len(columns) != len(data.classes) and not set(columns) & set(data.classes):
        return Found(
            _counted(file.name, np.array(list(columns.values())).T, data.classes), known, "votes", notes=_people(columns)
        )
    try:
        values = np.array([[float(cell) for cell in column] for column in columns.values()]).T
    except ValueError:
        raise UserError(
            f"{file.name}: expected a column of numbers for each class, or of class names; got {', '.join(columns)[:80]}"
        ) from None
    return Found(values, known, columns=list(columns))


def _people(annotators: Sized) -> list[str]:
    return [f"of {len(annotators)} annotators"]


def _counted(who: str, annotators: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """(n, C) votes out of (n, A) names or numbers of classes, one column for each annotator; "" and -1 are no vote."""
    cells = [[str(cell) for cell in row] for row in np.atleast_2d(annotators).tolist()]
    told = {cell for row in cells for cell in row} - {"", "-1"}
    names = list(classes) if told <= set(classes) else [str(k) for k in range(len(classes))]
    if told - set(names):
        odd = min(told - set(names))
        raise UserError(f"{who}: an annotator gave {odd[:40]!r}, no class of the data ({', '.join(classes)[:80]}) nor its number")
    found = np.zeros((len(cells), len(classes)))
    for row, own in enumerate(cells):
        for cell in own:
            if cell not in ("", "-1"):
                found[row, names.index(cell)] += 1
    return found


def _named_alike(who: str, found: Found, data: Data) -> Found:
    """The columns in the order of the data's classes, where they are called so."""
    if found.columns is None or (data.task.name == "numbers"):
        return found
    if set(found.columns) == set(data.classes):
        found.values = found.values[:, [found.columns.index(name) for name in data.classes]]
        found.notes.append("columns by the names of the classes")
    elif len(found.columns) != len(data.classes) or set(found.columns) & set(data.classes):
        raise UserError(
            f"{who} has the columns {', '.join(found.columns)[:80]}, and the classes are {', '.join(data.classes)[:80]}; "
            "give a column for each class, by its name, and name the column of ids with teacher.answers_id"
        )
    return found


# ------------------------------------------------------------------------------------------- meaning


def _logits(who: str, found: Found, data: Data, meaning: Meaning) -> tuple[np.ndarray, str]:
    """(n, C) logits, and what they were."""
    values, many = found.values, len(data.classes)
    if meaning != "auto" and found.meaning not in ("auto", meaning):
        raise UserError(f"{who} says that it holds {found.meaning}, and teacher.answers_as is {meaning}; set one that is right")
    meaning = found.meaning if meaning == "auto" else meaning
    if values.dtype.kind not in "iufb" and meaning != "labels" and values.ndim != 1:
        raise UserError(f"{who} holds {values.dtype}; expected numbers")
    if data.task.name == "numbers":
        if meaning not in ("auto", "logits") or values.reshape(len(values), -1).shape[1] != many:
            raise UserError(f"{who}: expected {many} numbers for each sample, as the labels are, got {values.shape}")
        return _whole(who, values.reshape(len(values), -1).astype(np.float64)), "values"
    if values.ndim == 1 and meaning in ("auto", "labels"):
        return logits_of(_from_labels(who, values, data.classes)), f"one label each, taken for {SURE:g} sure"
    if found.top:
        return logits_of(_filled(who, values, many)), "probabilities of the most likely classes, the rest spread over the others"
    if values.ndim != 2 or values.shape[1] != many:
        raise UserError(f"{who} holds {values.shape}, expected (n, {many}): a number for each class, or one label for each row")
    values = _whole(who, values.astype(np.float64))
    ordered = ", ".join(found.notes) or "columns in the order of the classes"
    meaning = _guessed(values) if meaning == "auto" else meaning
    if meaning == "logits":
        return values, f"logits, {ordered}"
    return logits_of(_shares(who, values, meaning)), f"{meaning} {ordered}" if ordered.startswith(
        "of "
    ) else f"{meaning}, {ordered}"


def _guessed(values: np.ndarray) -> Meaning:
    if values.min() < 0:
        return "logits"
    if (np.abs(values.sum(1) - 1) < 1e-3).all():
        return "probabilities"
    return "votes" if (values == np.round(values)).all() and values.sum(1).min() > 0 else "logits"


def _shares(who: str, values: np.ndarray, meaning: Meaning) -> np.ndarray:
    """Probabilities of votes or probabilities."""
    sums = values.sum(1, keepdims=True)
    if values.min() < 0 or sums.min() <= 0:
        row = int((values.min(1) < 0).argmax() if values.min() < 0 else sums.argmin())
        raise UserError(f"{who}: row {row} holds {values[row].round(3).tolist()[:5]}, which are no {meaning}; correct it")
    if meaning == "probabilities" and (np.abs(sums - 1) > 1e-3).any():
        row = int(np.abs(sums - 1).argmax())
        raise UserError(
            f"{who}: the probabilities of row {row} add up to {float(sums[row, 0]):.4g}; set answers_as = votes for counts"
        )
    return np.asarray(values / sums)


def _whole(who: str, values: np.ndarray) -> np.ndarray:
    if not len(values):
        raise UserError(f"{who} holds no answers")
    if not np.isfinite(values).all():
        row = int((~np.isfinite(values)).any(1).argmax())
        raise UserError(
            f"{who} has answers that are no numbers (NaN or infinity), the first in row {row}; correct or remove them"
        )
    return values


def _from_labels(who: str, values: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """(n, C) probabilities out of names or numbers of classes."""
    names = list(classes) if {str(v) for v in values.tolist()} <= set(classes) else [str(k) for k in range(len(classes))]
    written = [str(v) if not isinstance(v, float) else f"{v:g}" for v in values.tolist()]
    odd = next((v for v in written if v not in names), None)
    if odd is not None:
        raise UserError(
            f"{who} has the label {odd[:40]!r}, which is no class of the data ({', '.join(classes)[:80]}) nor its number"
        )
    return named_alone([names.index(v) for v in written], len(classes))


def _filled(who: str, values: np.ndarray, many: int) -> np.ndarray:
    if values.shape[1] > many:
        raise UserError(f"{who} names class {values.shape[1] - 1}, and the data has {many} classes from 0; correct it")
    wide = np.concatenate([values, np.full((len(values), many - values.shape[1]), -1.0)], axis=1)
    rest = 1 - np.where(wide >= 0, wide, 0).sum(1, keepdims=True)
    others = (wide < 0).sum(1, keepdims=True)
    return np.clip(np.where(wide >= 0, wide, rest / np.maximum(others, 1)), SMALLEST, 1.0)


# ------------------------------------------------------------------------------------------- which sample


def _matched(who: str, count: int, ids: list[str] | None, data: Data) -> tuple[Tensor, str]:
    """(m,) the row of each sample number, -1 where there is none, and how they were matched."""
    total = sum(data.counts.values())
    if ids is not None and data.ids:
        return _by_id(who, ids, data)
    if ids is not None and not _count_rows(ids):
        raise UserError(
            f"{who} names its rows ({ids[0][:30]}, ...), and the data has no names of samples; name a table's column with data.id"
        )
    if count not in (total, data.counts["train"]):
        sizes = " or ".join(f"{n:,} ({what})" for what, n in {"the training part": data.counts["train"], "all": total}.items())
        raise UserError(
            f"{who} has {count:,} answers, and the data has {sizes} samples; give one for each, in their order, or ids"
        )
    which = "all samples" if count == total else "the training samples"
    return torch.where(torch.arange(total) < count, torch.arange(total), -1), f"in the order of {which} at the source"


def _count_rows(ids: list[str]) -> bool:
    return any(ids == [str(start + row) for row in range(len(ids))] for start in (0, 1))


def _by_id(who: str, ids: list[str], data: Data) -> tuple[Tensor, str]:
    row_of = {one: row for row, one in enumerate(ids)}
    if len(row_of) != len(ids):
        twice = next(one for row, one in enumerate(ids) if row_of[one] != row)
        raise UserError(f"{who} has two answers to {twice[:60]}; give one for each sample")
    names = list(data.ids)
    if not set(names) & set(row_of):  # files may be named without their folders
        short = [name.rpartition("/")[2] for name in names]
        names = short if len(set(short)) == len(short) else names
    at = torch.tensor([row_of.get(name, -1) for name in names])
    if not (at >= 0).any():
        raise UserError(f"{who} names samples as {ids[0][:40]!r}, and the data as {data.ids[0][:40]!r}; write them alike")
    spare = len(ids) - int((at >= 0).sum())
    return at, "by name" + (f", {spare:,} of them to no sample here" if spare else "")
