"""CSV tables: a row for each sample, one column the label, or several.

A file, or a folder with train.csv and test.csv (and validation.csv, and unlabelled.csv, whose columns of labels are not read
and may be missing). The separator is a comma, semicolon or tab. What columns become is said in `limbeck.data.tables`.
Features stay as they are; `Data.mean` and `Data.std` hold the train statistics to standardise with.
"""

import csv
import io
from pathlib import Path

from limbeck.data.assemble import ORDER, Raw
from limbeck.data.reader import How, Reader
from limbeck.data.tables import MISSING, Table, from_table, label_places, number
from limbeck.errors import UserError


class Csv(Reader):
    """A text file of cells, or a folder of them."""

    name = "csv"
    layout = ".csv or .tsv tables"
    order = 60

    def recognises(self, path: Path) -> bool:
        return path.suffix.lower() in (".csv", ".tsv") if path.is_file() else (path / "train.csv").is_file()

    def read(self, path: Path, how: How) -> Raw:
        files = {"train": path}
        if path.is_dir():
            files = {p: path / f"{p}.csv" for p in ORDER if (path / f"{p}.csv").is_file()}
        if "train" not in files:
            raise UserError(f"{path} has no train.csv; give a folder with one, or the path of a table")
        tables = {part: _rows(file) for part, file in files.items()}
        header = _header(tables["train"])
        names = tables["train"][0] if header else [str(k + 1) for k in range(len(tables["train"][0]))]
        if header:
            train = tables["train"][1:]
            tables = {part: _by_name(files[part], part, rows, names, train) for part, rows in tables.items()}
        if "unlabelled" in tables:
            places = label_places(path, names, how.columns.label, header)
            tables["unlabelled"] = _without_labels(tables["unlabelled"], names, places, header)
        return from_table(Table(path, names, tables, header, 1 + header), how.columns)


def _rows(file: Path) -> list[list[str]]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}; give a CSV file") from error
    if b"\x00" in data:
        raise UserError(f"{file} is not a text table; give a CSV file with commas, semicolons or tabs")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True))
    except csv.Error as error:
        raise UserError(f"{file} is not a CSV table ({error}); give one with a row for each sample") from error
    rows = [[cell.strip().strip("'") for cell in row] for row in rows if any(cell.strip() for cell in row)]
    if not rows:
        raise UserError(f"{file} is empty; expected a row for each sample with its label in the last column")
    return rows


def _by_name(file: Path, part: str, rows: list[list[str]], names: list[str], train: list[list[str]]) -> list[list[str]]:
    """Rows in the order of the training table's columns, whatever the order of the part's own; as they are without a header.

    Raises `UserError` if the first row names other columns.
    """
    first = rows[0]
    if first == names:
        return rows[1:]
    if sorted(first) == sorted(names):
        return _reordered(rows, names)
    numeric = [all(number(row[k]) for row in train if len(row) == len(names)) for k in range(len(names))]
    worded = any(
        is_number and not number(cell) and cell.lower() not in MISSING for is_number, cell in zip(numeric, first, strict=False)
    )
    if part != "unlabelled" and not all(map(number, first)) and (worded or set(first) & set(names)):
        raise UserError(
            f"{file} has the columns {', '.join(first)[:80]}, and train.csv has {', '.join(names)[:80]}; give both the same names"
        )
    return rows


def _reordered(rows: list[list[str]], names: list[str]) -> list[list[str]]:
    """The rows below a header, cells in the order of `names`; rows of another length are left for the check of all."""
    places = [rows[0].index(name) for name in names]
    return [[row[k] for k in places] if len(row) == len(names) else row for row in rows[1:]]


def _without_labels(rows: list[list[str]], names: list[str], places: list[int], header: bool) -> list[list[str]]:
    """Rows with an empty cell where labels would be, whether or not the file has those columns."""
    rest = [name for k, name in enumerate(names) if k not in places]
    if header and sorted(rows[0]) == sorted(rest):
        rows = _reordered(rows, rest)

    def emptied(row: list[str]) -> list[str]:
        cells = iter(row if len(row) < len(names) else [cell for k, cell in enumerate(row) if k not in places])
        return ["" if k in places else next(cells, "") for k in range(len(names))]

    return [row if len(row) not in (len(names), len(rest)) else emptied(row) for row in rows]


def _header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: no number in it, and numbers below or words that never recur."""
    first, rest = rows[0], rows[1:200]
    if any(number(cell) for cell in first) or not rest:
        return False
    below = [[row[k] for row in rest if k < len(row)] for k in range(len(first))]
    if any(all(number(c) for c in column if c.lower() not in MISSING) for column in below if column):
        return True
    return all(name not in column for name, column in zip(first, below, strict=True))
