"""Tables of cells as data: one or several columns are labels, every other one features, or a text.

The label is the column that was named, else the one called label, target, class or y, else the last; which one is said before
training. What the other columns become is said in `limbeck.data.columns`. Where a column called text or sentence, or one of
sentences, stands beside one label alone, samples are texts (see `limbeck.data.text`); so they are where the columns of texts were
named (data.text, one or a pair), and with a tokenizer also where other columns stand beside text, sentence or a usual pair.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from limbeck.data.assemble import Raw
from limbeck.data.columns import ONE_HOT, Features, listed, missing, number, with_points
from limbeck.data.text import TextColumns, texts
from limbeck.errors import UserError, unknown
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.registry import task_of

TEXT = ("text", "sentence")
PAIRS = (("sentence1", "sentence2"), ("premise", "hypothesis"), ("question1", "question2"))
LABEL = ("label", "target", "class", "y")
NONE = "(no label)"  # the name of a column of labels that is not there
_ROW_NUMBERS = ("", "unnamed: 0", "index", "id")  # names of columns that are dropped if they count the rows

Rows = list[list[str]]


@dataclass(frozen=True)
class LabelColumns:
    """Which columns are labels, and of which task. task: by name. label: one column or several; () for the usual one. id: the
    column that names the samples, which is no feature."""

    task: str = CLASSIFY.name
    label: tuple[str, ...] = ()
    id: str = ""


@dataclass(frozen=True)
class Table:
    """Cells of each part as text, "" where one is missing; named: whether the source names its columns. first: the number of the
    first row in the source, for messages. notes: what was done to the cells."""

    path: Path
    names: list[str]
    parts: Mapping[str, Rows]
    named: bool = True
    first: int = 1
    notes: tuple[str, ...] = ()


def from_table(table: Table, columns: LabelColumns, how: TextColumns = TextColumns()) -> Raw:  # noqa: B008  it is frozen
    """Samples out of a table; see the module for what is understood."""
    bare = task_of(columns.task).headless and not columns.label and not (table.named and _usual(table.names))
    if bare:  # a column of empty cells stands for the labels
        wider = {part: [[*row, ""] for row in rows] for part, rows in table.parts.items()}
        table, columns = replace(table, names=[*table.names, NONE], parts=wider), replace(columns, label=(NONE,))
    places = label_places(table.path, table.names, columns.label, table.named)
    for part, rows in table.parts.items():
        _whole(table.path, part, rows, len(table.names), table.first)
    origin = "" if bare else _origin(table, places, columns)
    table = table if bare else _labelled(table, places)
    table = _spelt_alike(table, places[0]) if columns.task == CLASSIFY.name and len(places) == 1 else table
    if columns.id:
        table, places, ids = _named(table, places, columns.id)
        return replace(_samples(table, places, columns, origin, how), ids=ids)
    return _samples(table, places, columns, origin, how)


def _named(table: Table, places: list[int], column: str) -> tuple[Table, list[int], dict[str, list[str]]]:
    """The table without its column of ids, where its labels then are, and the ids of each part."""
    if column not in table.names:
        raise unknown(f"column of {table.path}", column, table.names)
    k = table.names.index(column)
    if k in places:
        raise UserError(f"{table.path}: the column {column!r} cannot be both label and id; set data.label to the labels' column")
    ids = {part: [row[k] for row in rows] for part, rows in table.parts.items()}
    every = [one for rows in ids.values() for one in rows]
    if len(set(every)) != len(every) or not all(every):
        twice = next((one for one in every if every.count(one) > 1), "")
        raise UserError(
            f"{table.path}: the column {column!r} names no sample alone ({twice[:40]!r} twice, or empty cells); give another"
        )
    parts = {part: [[*row[:k], *row[k + 1 :]] for row in rows] for part, rows in table.parts.items()}
    notes = (*table.notes, f"column {column!r} names the samples")
    names = [*table.names[:k], *table.names[k + 1 :]]
    return replace(table, names=names, parts=parts, notes=notes), [p - (p > k) for p in places], ids


def _samples(table: Table, places: list[int], columns: LabelColumns, origin: str, how: TextColumns) -> Raw:
    """Samples out of cells whose labels are found."""
    where = _text_places(table, places, columns, how)
    if where:
        return replace(_of_texts(table, places[0], where, how), labels_from=origin)
    task, table = task_of(columns.task), _with_points(table)
    task = CLASSIFY if task.headless else task
    path, names, tables = table.path, table.names, table.parts
    counting = [k for k in range(len(names)) if k not in places and _counts_rows(table, k)]
    made, features = Features(path, table.first), [k for k in range(len(names)) if k not in (*places, *counting)]
    if not features:
        raise UserError(f"{path}: every column is a label or a row number; leave at least one to predict from")
    blocks = [made.of(names[k], {part: [row[k] for row in rows] for part, rows in tables.items()}) for k in features]
    inputs = {part: torch.from_numpy(np.concatenate([block[part] for block in blocks], axis=1)) for part in tables}
    known = {part: rows for part, rows in tables.items() if part != "unlabelled"}
    told: dict[str, torch.Tensor] = {}
    classes: tuple[str, ...] = ()
    if columns.label != (NONE,):
        labels, classes = task.read(str(path), _label_cells(path, known, names, places))
        told = dict(zip(known, labels.split([len(rows) for rows in known.values()]), strict=True))
    notes = [
        *table.notes,
        *([f"columns of row numbers were left out: {listed([repr(names[k]) for k in counting])}"] if counting else []),
    ]
    parts = {part: (x, told.get(part)) for part, x in inputs.items()}
    return Raw(parts, classes, "table", notes=[*notes, *made.notes()], task=task, labels_from=origin, columns=tuple(made.columns))


def label_places(path: Path, names: list[str], wanted: tuple[str, ...], header: bool) -> list[int]:
    """The places of the label columns: those named, else the usual one.

    Raises `UserError` for a column that is not there, and for a name that two columns have.
    """
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path} has {names.count(twice)} columns called {twice!r}; give every column a name of its own")
    for name in wanted:
        if name not in names:
            raise unknown(f"column of {path}", name, names)
    if wanted:
        return [names.index(name) for name in wanted]
    lower = [name.lower() for name in names] if header else []
    return [next((lower.index(word) for word in LABEL if word in lower), len(names) - 1)]


def without_labels(cells: Sequence[str], known: Sequence[str]) -> bool:
    """Whether the label cells of a part say that nobody labelled it: missing, or -1 where training has no such label."""
    return all(missing(cell) or (cell in ("-1", "-1.0") and cell not in known) for cell in cells)


def _origin(table: Table, places: list[int], columns: LabelColumns) -> str:
    """Where the labels are from, in words."""
    names = listed([repr(table.names[k]) for k in places])
    if columns.label:
        return f"{'columns' if len(places) > 1 else 'column'} {names}, as set"
    if table.named and table.names[places[0]].lower() in LABEL:
        return f"column {names}, by its name"
    kind = "the last" if table.named else "the last, without a header"
    return f"column {names}, {kind} (set another with data.label)"


def _labelled(table: Table, places: list[int]) -> Table:
    """The table without parts that ought to have labels and have none; validation is then the test part, if test is left out."""
    known = [row[k] for row in table.parts["train"] for k in places]
    empty = [
        part
        for part, rows in table.parts.items()
        if part not in ("train", "unlabelled") and without_labels([row[k] for row in rows for k in places], known)
    ]
    parts = {part: rows for part, rows in table.parts.items() if part not in empty}
    notes = [f"{part} has no labels and was left out" for part in empty]
    if "test" in empty and "validation" in parts:
        parts["test"] = parts.pop("validation")
        notes.append("the validation part is used as the test part")
    return replace(table, parts=parts, notes=(*table.notes, *notes))


def _spelt_alike(table: Table, place: int) -> Table:
    """The table whose parts spell classes as training does, where all of a part differ from them in full stops, spaces and
    case alone.

    Raises `UserError` for a part that has no class of training.
    """
    known = {row[place] for row in table.parts["train"]}
    plain, values = {_plain(name): name for name in known}, {_value(name) for name in known}
    parts, notes = dict(table.parts), list(table.notes)
    for part, rows in table.parts.items():
        own = {row[place] for row in rows}
        if part in ("train", "unlabelled") or not own or {_value(name) for name in own} & values:
            continue
        shown = f"{listed(sorted(own), 3)[:60]} in {part}, {listed(sorted(known), 3)[:60]} in training"
        if len(plain) != len(known) or not {_plain(name) for name in own} <= set(plain):
            raise UserError(f"{table.path}: {part} has no class that training has ({shown}); name classes alike in all parts")
        parts[part] = [[*row[:place], plain[_plain(row[place])], *row[place + 1 :]] for row in rows]
        notes.append(f"classes are spelt {shown}, and were taken for the same")
    return replace(table, parts=parts, notes=tuple(notes))


def _usual(names: list[str]) -> bool:
    """Whether a column is called as labels usually are."""
    return any(name.lower() in LABEL for name in names)


def _of_classes(columns: LabelColumns) -> bool:
    """Whether labels are classes, or none are needed."""
    return columns.task == CLASSIFY.name or task_of(columns.task).headless


def _value(name: str) -> str | float:
    """A class as a number where it is one: 1 and 1.0 are the same."""
    return float(name) if number(name) else name


def _plain(name: str) -> str:
    return " ".join(name.rstrip(". ").split()).casefold()


def _with_points(table: Table) -> Table:
    """The table with decimal points where columns have decimal commas."""
    changed, parts = [], {part: [list(row) for row in rows] for part, rows in table.parts.items()}
    for k, name in enumerate(table.names):
        cells = with_points(table.path, name, [row[k] for rows in parts.values() for row in rows])
        if cells is not None:
            changed.append(repr(name))
            for row, cell in zip((row for rows in parts.values() for row in rows), cells, strict=True):
                row[k] = cell
    notes = [f"decimal commas became points in {listed(changed)}"] if changed else []
    return replace(table, parts=parts, notes=(*table.notes, *notes)) if changed else table


def _text_places(table: Table, places: list[int], columns: LabelColumns, how: TextColumns) -> list[int]:
    """The places of the columns that hold the texts: one, or two of a pair; none where samples are rows of a table.

    Raises `UserError` for columns that are not there, and where a tokenizer was given and no column is known to hold texts.
    """
    rest = {table.names[k].lower(): k for k in range(len(table.names)) if k not in places}
    if how.columns:
        for name in how.columns:
            if name not in table.names or table.names.index(name) in places:
                raise unknown(f"column of texts in {table.path}", name, [table.names[k] for k in rest.values()])
        if len(how.columns) > 2 or not _of_classes(columns) or len(places) != 1:
            raise UserError(f"data.text of {table.path}: expected one or two columns beside one label of classes; correct it")
        return [table.names.index(name) for name in how.columns]
    if not _of_classes(columns) or len(places) != 1:
        return []
    if len(rest) == 1 and _is_text(table, next(iter(rest.values()))):
        return list(rest.values())
    if not how.tokenizer:
        return []
    usual = [(name,) for name in TEXT] + list(PAIRS)
    found = next((pair for pair in usual if all(name in rest for name in pair)), None)
    if found is None:
        shown = listed([repr(table.names[k]) for k in rest.values()])
        raise UserError(f"{table.path}: the teacher reads texts, but which column holds them? Name it with data.text: {shown}")
    return [rest[name] for name in found]


def _is_text(table: Table, place: int) -> bool:
    """Whether the only column of inputs holds texts, by its name or by what is in it."""
    cells = [row[place] for row in table.parts["train"]]
    sentences = len(set(cells)) > ONE_HOT and sum(len(cell.split()) > 2 for cell in cells) > len(cells) / 2
    return table.names[place].lower() in TEXT or sentences


def _of_texts(table: Table, label: int, where: list[int], how: TextColumns) -> Raw:
    """Texts, or pairs of them, with a label each; what other columns are left out is said."""
    out = [repr(name) for k, name in enumerate(table.names) if k not in (label, *where)]
    notes = [f"columns that are no text or label were left out: {listed(out)}"] if out else []
    if len(where) == 2:
        notes.append(f"pairs of texts: {table.names[where[0]]!r} and {table.names[where[1]]!r}")
    found = {
        part: [(row[where[0]] if len(where) == 1 else (row[where[0]], row[where[1]]), row[label]) for row in rows]
        for part, rows in table.parts.items()
    }
    raw = texts(str(table.path), found, how=how)
    return replace(raw, notes=[*table.notes, *notes, *raw.notes])


def _counts_rows(table: Table, k: int) -> bool:
    """Whether a column is only the number of its row: called so, and 0, 1, 2, ... or 1, 2, 3, ..."""
    if not table.named or table.names[k].lower() not in _ROW_NUMBERS:
        return False
    cells = [row[k] for row in table.parts["train"]]
    return len(cells) > 2 and any(cells == [str(start + row) for row in range(len(cells))] for start in (0, 1))


def _label_cells(path: Path, tables: Mapping[str, Rows], names: list[str], places: list[int]) -> dict[str, list[str]]:
    """The cells of the label columns by name, of all parts with labels one after another."""
    cells = {names[k]: [row[k] for rows in tables.values() for row in rows] for k in places}
    for name, column in cells.items():
        count = sum(map(missing, column))
        if count:
            raise UserError(f"{path}: the label column {name!r} has {count} missing values; fill or remove those rows")
    return cells


def _whole(path: Path, part: str, rows: Rows, width: int, first: int) -> None:
    if width < 2 or not rows:
        raise UserError(f"{path} has {len(rows)} rows of {width} columns; expected samples with at least a feature and a label")
    for k, row in enumerate(rows, start=first):
        if len(row) != width:
            raise UserError(f"{path} ({part}): row {k} has {len(row)} cells where {width} are expected; correct or remove it")
