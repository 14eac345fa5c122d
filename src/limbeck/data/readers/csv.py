"""CSV tables: a row for each sample, one column the label, or several.

A file, or a folder with train.csv and test.csv (and validation.csv, val.csv or dev.csv, and unlabelled.csv, whose columns of
labels are not read and may be missing); .tsv as well. The separator is the tab, semicolon, bar (|) or comma that splits the
first rows into equally many cells; a bar or semicolon is said. Text is UTF-8 or UTF-16 with its mark, else Latin-1, which is
said. What columns become is said in `limbeck.data.columns`. Features stay as they are; `Data.mean` and `Data.std` hold the train
statistics to standardise with.
"""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from limbeck.data.assemble import Raw
from limbeck.data.columns import missing, number
from limbeck.data.reader import How, Reader, part_files
from limbeck.data.tables import LABEL, TEXT, Rows, Table, from_table, label_places
from limbeck.errors import UserError

ENDINGS = (".csv", ".tsv")
SEPARATORS = "\t;|,"
_PEEK = 20  # rows by which the separator is chosen


class Csv(Reader):
    """A text file of cells, or a folder of them."""

    name = "csv"
    layout = ".csv or .tsv tables"
    order = 60

    def recognises(self, path: Path) -> bool:
        return bool(part_files(path, *ENDINGS))

    def read(self, path: Path, how: How) -> Raw:
        files = part_files(path, *ENDINGS) or ({"train": path} if path.is_file() else {})
        if not files:
            raise UserError(f"{path} has no train.csv; give a folder with one, or the path of a table")
        notes: list[str] = []
        tables = {part: rows_of(file, notes, how.texts.columns) for part, file in files.items()}
        if all(len(row) < 2 for row in tables["train"]):
            raise _unsplit(files["train"])
        header = _header(files["train"], tables["train"])
        names = tables["train"][0] if header else [str(k + 1) for k in range(len(tables["train"][0]))]
        places = label_places(path, names, how.columns.label, header)
        if header:
            train = tables["train"][1:]
            tables = {part: _by_name(files[part], part, rows, names, train, places) for part, rows in tables.items()}
        if "unlabelled" in tables:
            tables["unlabelled"] = _without_labels(tables["unlabelled"], names, places, header)
        return from_table(Table(path, names, tables, header, 1 + header, tuple(notes)), how.columns, how.texts)


def rows_of(file: Path, notes: list[str], texts: Sequence[str] = ()) -> Rows:
    """The cells, without the spaces and single quotes around them, but in columns that their names say to be texts."""
    text = _text(file, notes)
    separator = _separator(text)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True))
    except csv.Error as error:
        raise UserError(f"{file} is not a CSV table ({error}); correct its quotes, and give a row for each sample") from error
    rows = [row for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise UserError(f"{file} is empty; expected a row for each sample with its label in the last column")
    told = f"cells are split at {separator!r}"
    if separator in ";|" and told not in notes:
        notes.append(told)
    kept = {k for k, name in enumerate(rows[0]) if name.strip() in texts or name.strip().lower() in TEXT}
    first = [_bare(cell.strip()) for cell in rows[0]]
    return [first, *([cell if k in kept else _bare(cell.strip()) for k, cell in enumerate(row)] for row in rows[1:])]


def _bare(cell: str) -> str:
    """A cell without the single quotes around it."""
    return cell[1:-1] if len(cell) > 1 and cell[0] == cell[-1] == "'" else cell


def _text(file: Path, notes: list[str]) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}; give a CSV file") from error
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if b"\x00" in data and not wide:
        raise UserError(f"{file} is not a text table; give a CSV file with commas, semicolons or tabs")
    try:
        return data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        if wide:
            raise UserError(f"{file} is damaged UTF-16 text; save it as UTF-8") from None
        notes.append(f"{file.name} is not UTF-8 and was read as Latin-1")
        return data.decode("latin-1")


def _separator(text: str) -> str:
    """The one that splits the first rows into equally many cells, at least two; else the most frequent of the first row."""
    fitting = [separator for separator in SEPARATORS if _splits(text, separator)]
    if fitting[:2] == ["|", ","] and re.search(r"\D,|,\D", text):  # commas are no decimal ones, so bars belong to the cells
        return ","
    first = io.StringIO(text, newline="").readline()
    return fitting[0] if fitting else max(reversed(SEPARATORS), key=first.count)


def _splits(text: str, separator: str) -> bool:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        widths = {len(row) for row, _ in zip(reader, range(_PEEK), strict=False) if row}
    except csv.Error:
        return False
    return len(widths) == 1 and widths.pop() > 1


def _unsplit(file: Path) -> UserError:
    """What is said of a table of one column."""
    text = _text(file, [])
    first = io.StringIO(text, newline="").readline().strip()[:40]
    odd = next((separator for separator in " :^~/&!\x01\x1f" if _splits(text, separator)), None)
    seen = "" if odd is None else f" (its rows seem to be split by {'spaces' if odd == ' ' else repr(odd)})"
    expected = "expected columns split by tabs, semicolons, bars (|) or commas, with at least a feature and a label"
    return UserError(f"{file} has one column, {first!r}{seen}; {expected}")


def _by_name(file: Path, part: str, rows: Rows, names: list[str], train: Rows, places: list[int]) -> Rows:
    """Rows in the order of the training table's columns, whatever the order of the part's own; as they are without a header. A
    part whose header lacks the labels alone has empty cells there.

    Raises `UserError` if the first row names other columns.
    """
    first = rows[0]
    if first == names:
        return rows[1:]
    if sorted(first) == sorted(names):
        return _reordered(rows, names)
    rest = [name for k, name in enumerate(names) if k not in places]
    if sorted(first) == sorted(rest) and part != "unlabelled":
        return _without_labels(_reordered(rows, rest), names, places, header=False)
    numeric = [all(number(row[k]) for row in train if len(row) == len(names)) for k in range(len(names))]
    worded = any(is_number and not number(cell) and not missing(cell) for is_number, cell in zip(numeric, first, strict=False))
    if part != "unlabelled" and not all(map(number, first)) and (worded or set(first) & set(names)):
        raise UserError(
            f"{file} has the columns {', '.join(first)[:80]}, and train.csv has {', '.join(names)[:80]}; give both the same names"
        )
    return rows


def _reordered(rows: Rows, names: list[str]) -> Rows:
    """The rows below a header, cells in the order of `names`; rows of another length are left for the check of all."""
    places = [rows[0].index(name) for name in names]
    return [[row[k] for k in places] if len(row) == len(names) else row for row in rows[1:]]


def _without_labels(rows: Rows, names: list[str], places: list[int], header: bool) -> Rows:
    """Rows with an empty cell where labels would be, whether or not the file has those columns."""
    rest = [name for k, name in enumerate(names) if k not in places]
    if header and rows and sorted(rows[0]) == sorted(rest):
        rows = _reordered(rows, rest)

    def emptied(row: list[str]) -> list[str]:
        cells = iter(row if len(row) < len(names) else [cell for k, cell in enumerate(row) if k not in places])
        return ["" if k in places else next(cells, "") for k in range(len(names))]

    return [row if len(row) not in (len(names), len(rest)) else emptied(row) for row in rows]


def _header(file: Path, rows: Rows) -> bool:
    """Whether the first row names the columns: words above numbers, or words that never recur below.

    Raises `UserError` where nothing is below it, or it has words above some numbers and numbers above others.
    """
    first, rest = rows[0], rows[1:200]
    words = [not number(cell) and not missing(cell) for cell in first]
    if not rest:
        if all(words):
            raise UserError(f"{file} has a single row ({', '.join(first)[:80]}); expected a row for each sample below its header")
        return False
    below = [[row[k] for row in rest if k < len(row)] for k in range(len(first))]
    numeric = [any(map(number, column)) and all(number(c) or missing(c) for c in column) for column in below]
    if any(word and is_number for word, is_number in zip(words, numeric, strict=True)):
        if not all(words) and not any(cell.lower() in LABEL for cell in first):
            odd = next(cell for cell, word, is_number in zip(first, words, numeric, strict=True) if word and is_number)
            raise UserError(
                f"{file}: the first row has {odd[:30]!r} above numbers and numbers too, so it is neither a header nor a sample; "
                "give every column a name, or correct that cell"
            )
        return True
    return all(words) and all(name not in column for name, column in zip(first, below, strict=True))
