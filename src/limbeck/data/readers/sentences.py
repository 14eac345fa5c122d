"""Sentences with a label each: a .tsv with the columns `sentence` and `label`, or a folder of train, dev and test .tsv.

A test part without labels (no such column, or -1 everywhere: GLUE's are not published) is left out, and dev is the test part.
Quotes are characters of the sentence, unless every sentence of the file has them around it.
"""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from limbeck.data.assemble import Raw
from limbeck.data.columns import listed
from limbeck.data.reader import How, Reader
from limbeck.data.tables import without_labels
from limbeck.data.text import TextColumns, texts
from limbeck.errors import UserError
from limbeck.tasks.classify import CLASSIFY

NAMES = {"sst2": ("negative", "positive")}
PARTS = {"train": ("train",), "validation": ("dev", "val", "validation"), "test": ("test",)}


class Sentences(Reader):
    """As GLUE has them."""

    name = "sentences"
    layout = ".tsv with the columns sentence and label"
    order = 20

    def recognises(self, path: Path) -> bool:
        file = path if path.is_file() else _file(path, ("train",))
        return file is not None and file.suffix.lower() == ".tsv" and {"sentence", "label"} <= set(_columns(file))

    def read(self, path: Path, how: How) -> Raw:
        asked = how.columns
        if asked.label not in ((), ("label",)) or not (asked.task == CLASSIFY.name or how.unlabelled):
            raise UserError(
                f"{path} holds sentences, whose classes are in the column label; give other labels as a .csv or .jsonl"
            )
        return read(path, how=how.texts)


def read(path: Path, name: str = "", how: TextColumns = TextColumns()) -> Raw:  # noqa: B008  it is frozen
    """Read sentences as class numbers; see `limbeck.data.text`."""
    files = {"train": path} if path.is_file() else {part: _file(path, stems) for part, stems in PARTS.items()}
    if files["train"] is None:
        raise UserError(f"{path} has no train.tsv (or ..._train.tsv); give the file or folder that holds the sentences")
    train = _rows(files["train"])
    found = {"train": train} | {part: _rows(file, train) for part, file in files.items() if file is not None and part != "train"}
    more = [repr(name) for name in _columns(files["train"]) if name not in ("sentence", "label")]
    notes = [f"columns that are no sentence or label were left out: {listed(more)}"] if more else []
    notes += [f"{part} has no labels and was left out" for part, rows in found.items() if not rows]
    found = {part: rows for part, rows in found.items() if rows}
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
        notes.append("the dev part is used as the test part")
    raw = texts(str(path), found, NAMES.get(name, ()), how)
    return replace(raw, notes=[*notes, *raw.notes], labels_from="column 'label', by its name")


def _columns(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            return opened.readline(10_000).rstrip("\r\n").split("\t")
    except (OSError, UnicodeDecodeError):
        return []


def _file(folder: Path, stems: tuple[str, ...]) -> Path | None:
    files = sorted(file for file in folder.glob("*.tsv") if not file.name.startswith("."))
    return next((f for stem in stems for f in files if f.stem == stem or f.stem.endswith(f"_{stem}")), None)


def _rows(file: Path, train: Sequence[tuple[str, str]] = ()) -> list[tuple[str, str]]:
    """Sentences with their labels; nothing where a part besides train has no labels."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = list(csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} cannot be read: {error}; replace it") from error
    if train and rows and "sentence" in rows[0]:
        known = [label for _, label in train]
        if "label" not in rows[0] or without_labels([row["label"] or "" for row in rows], known):
            return []
    if not rows or not {"sentence", "label"} <= set(rows[0]):
        raise UserError(f"{file} needs a first line with the columns sentence and label, split by tabs, and lines below it")
    for number, row in enumerate(rows, start=2):
        if not row["sentence"] or not row["label"]:
            raise UserError(f"{file}: line {number} lacks a sentence or a label; complete or remove it")
        if None in row:
            raise UserError(f"{file}: line {number} has more cells than the first line has columns; remove its tabs")
    sentences = [row["sentence"] for row in rows]
    if all(len(text) > 2 and text[0] == text[-1] == '"' for text in sentences):
        sentences = [text[1:-1].replace('""', '"') for text in sentences]
    return list(zip(sentences, (row["label"] for row in rows), strict=True))
