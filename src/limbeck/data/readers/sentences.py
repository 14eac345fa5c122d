"""Sentences with a label each: a .tsv with the columns `sentence` and `label`, or a folder of train and dev (or test) .tsv."""

import csv
from pathlib import Path

from limbeck.data.assemble import Raw
from limbeck.data.reader import How, Reader
from limbeck.data.text import texts
from limbeck.errors import UserError

NAMES = {"sst2": ("negative", "positive")}
PARTS = {"train": ("train",), "test": ("test", "dev", "val")}
"""A part named dev is the test part where there is none of that name: the labels of GLUE's test parts are not published."""


class Sentences(Reader):
    """As GLUE has them."""

    name = "sentences"
    layout = ".tsv with the columns sentence and label"
    order = 20

    def recognises(self, path: Path) -> bool:
        file = path if path.is_file() else _file(path, ("train",))
        return file is not None and file.suffix.lower() == ".tsv" and {"sentence", "label"} <= set(_columns(file))

    def read(self, path: Path, how: How) -> Raw:
        return read(path)


def read(path: Path, name: str = "") -> Raw:
    """Read sentences as class numbers (n, 32); see `limbeck.data.text`."""
    files = {"train": path} if path.is_file() else {part: _file(path, stems) for part, stems in PARTS.items()}
    found = {part: _rows(file) for part, file in files.items() if file is not None}
    if "train" not in found:
        raise UserError(f"{path} has no train.tsv (or ..._train.tsv); give the file or folder that holds the sentences")
    return texts(str(path), found, NAMES.get(name, ()))


def _columns(file: Path) -> list[str]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            return opened.readline(10_000).rstrip("\r\n").split("\t")
    except (OSError, UnicodeDecodeError):
        return []


def _file(folder: Path, stems: tuple[str, ...]) -> Path | None:
    files = sorted(folder.glob("*.tsv"))
    return next((f for stem in stems for f in files if f.stem == stem or f.stem.endswith(f"_{stem}")), None)


def _rows(file: Path) -> list[tuple[str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as opened:
            rows = list(csv.DictReader(opened, delimiter="\t", quoting=csv.QUOTE_NONE))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{file} cannot be read: {error}; replace it") from error
    if not rows or not {"sentence", "label"} <= set(rows[0]):
        raise UserError(f"{file} needs a first line with the columns sentence and label, split by tabs, and lines below it")
    for number, row in enumerate(rows, start=2):
        if not row["sentence"] or not row["label"]:
            raise UserError(f"{file}: line {number} lacks a sentence or a label; complete or remove it")
    return [(row["sentence"], row["label"]) for row in rows]
