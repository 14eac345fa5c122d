"""Answers of a teacher out of a file: probabilities, logits, votes of people, or labels, matched with samples by row or by name.

Letters: n answers, C classes, A annotators, k classes that are named for a sample.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from limbeck.data.answer_files import ENDINGS, Found, Meaning, read_arrays, read_table, spelt
from limbeck.data.core import Data
from limbeck.errors import UserError
from limbeck.transforms.outside import SMALLEST, SURE, logits_of, named_alone


@dataclass(frozen=True)
class FileAnswers:
    """rows: (n, C) logits, or numbers of a regression. at: (m,) int64, the row of each sample number, -1 where there is none.
    said: how they were understood, in words."""

    rows: Tensor
    at: Tensor
    said: str


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
    found = read_arrays(file, ids, data) if file.suffix.lower() in (".npy", ".npz") else read_table(file, ids, data)
    return _understood(file.name, found, data, meaning)


def given(values: np.ndarray, data: Data) -> FileAnswers:
    """The same of an array (n, C) or (n,), a row for each sample in the order of the data.

    >>> from limbeck.data import from_datasets
    >>> data = from_datasets((torch.rand(4, 2), torch.tensor([0, 1, 0, 1])))
    >>> given(np.array([[3, 1], [0, 4], [2, 2], [4, 0]]), data).said[:42]
    'the teacher is the array: 4 answers, votes'
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
    said = f"the teacher is {who}: {len(rows):,} answers, {what}, {how}{_agreement(rows[at[needed]], data)}"
    return FileAnswers(torch.from_numpy(rows).float(), at, said)


def _agreement(rows: np.ndarray, data: Data) -> str:
    """How many of the answers (n, C) to the training samples name their label, in words: rows or columns in another order agree
    by chance only."""
    labels = data["train"].labels
    if data.task.name != "classify" or labels is None:
        return ""
    goal = labels.numpy()
    known = goal >= 0
    if not known.any():
        return ""
    share = float((rows.argmax(1) == goal)[known].mean())
    chance = float(np.bincount(goal[known]).max() / known.sum())
    advice = "" if share > chance else ", no more than one class alone would: look at the order of rows and columns"
    return f"; {100 * share:.0f} % of the training labels agree{advice}"


# ------------------------------------------------------------------------------------------- names of columns


def _named_alike(who: str, found: Found, data: Data) -> Found:
    """The columns in the order of the data's classes, by their names (also in other case, and p(NAME) as `limbeck predict` writes
    it); columns that are numbered, as p0, p1, ..., stay as they are. Others are refused: their order would be a guess."""
    if found.columns is None or (data.task.name == "numbers" and len(found.columns) == len(data.classes) == 1):
        return found
    what = "targets" if data.task.name == "numbers" else "classes"
    for plain in (str, _bare_name, lambda name: _bare_name(name).casefold()):
        columns, classes = [plain(name.strip()) for name in found.columns], [plain(name) for name in data.classes]
        if sorted(columns) == sorted(classes) and len(set(classes)) == len(classes):
            found.values = found.values[:, [columns.index(name) for name in classes]]
            found.notes.append(f"columns by the names of the {what}")
            return found
    ends = [re.search(r"\d+$", name.strip()) for name in found.columns]
    numbers = [int(end.group()) for end in ends if end]
    if len(found.columns) != len(data.classes) or numbers not in ([*range(len(ends))], [*range(1, len(ends) + 1)]):
        raise UserError(
            f"{who} has the columns {', '.join(found.columns)[:80]}, and the {what} are {', '.join(data.classes)[:80]}; "
            "give a column for each, by its name, and name the column of ids with teacher.answers_id"
        )
    return found


def _bare_name(column: str) -> str:
    return column[2:-1] if column.startswith("p(") and column.endswith(")") else column


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
        return _whole(who, values.reshape(len(values), -1).astype(np.float64)), ", ".join(["values", *found.notes])
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
    sums = values.sum(1)
    if (np.abs(sums - 1) < 1e-3).all():
        return "probabilities"
    return "votes" if (values == np.round(values)).all() or (np.abs(sums - 100) < 0.5).all() else "logits"  # 100: per cent


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
    written = [str(v) if not isinstance(v, float) else f"{v:g}" for v in values.tolist()]
    names, odd = spelt(set(written), classes)
    if odd:
        row = next(k for k, word in enumerate(written) if word in odd)
        known = ", ".join(classes)[:80]
        raise UserError(f"{who} has the label {written[row][:40]!r} in row {row}, no class of the data ({known}) nor its number")
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
