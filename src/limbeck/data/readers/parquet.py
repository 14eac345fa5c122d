"""Parquet tables, read by pyarrow: a file, or a folder with train.parquet and others.

Columns are as in `limbeck.data.tables`: numbers, words, yes or no; a text column beside the label makes texts. Empty
cells count as missing values. Columns of lists, dates or bytes are refused by name.
"""

from pathlib import Path
from typing import Any

from limbeck.data.assemble import Raw
from limbeck.data.reader import How, Reader, part_files
from limbeck.data.tables import Table, from_table, label_places
from limbeck.errors import UserError


class Parquet(Reader):
    """A typed table of columns."""

    name = "parquet"
    layout = ".parquet tables"
    order = 10

    def recognises(self, path: Path) -> bool:
        return bool(part_files(path, ".parquet"))

    def read(self, path: Path, how: How) -> Raw:
        files = part_files(path, ".parquet")
        if not files:
            raise UserError(f"{path} has no train.parquet; give a folder with one, or the path of a .parquet file")
        names: list[str] = []
        parts: dict[str, list[list[str]]] = {}
        for part, file in files.items():
            columns = columns_of(file)
            names = names or list(columns)
            labels = [names[k] for k in label_places(path, names, how.columns.label, header=True)]
            own = [name for name in names if name in columns or part == "train" or name not in labels]
            if set(own) != set(columns):
                odd = ", ".join(sorted(set(own) ^ set(columns))[:4])
                raise UserError(f"{file} has other columns than the training part ({odd}); give every part the same")
            length = len(next(iter(columns.values()), []))
            parts[part] = [list(row) for row in zip(*(columns.get(name, [""] * length) for name in names), strict=True)]
        return from_table(Table(path, names, parts), how.columns, how.texts)


def table_of(file: Path) -> Any:
    """A file as a table of pyarrow. Raises `UserError` where it is none, or has two columns of one name."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError('Parquet tables need pyarrow; run: pip install "limbeck[parquet]"') from None
    try:
        names = pyarrow.parquet.read_schema(file).names
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"{file} has several columns called {twice!r}; give every column a name of its own")
        return pyarrow.parquet.read_table(file)
    except (OSError, pyarrow.ArrowException) as error:
        first = str(error).strip().splitlines()[0][:160]
        raise UserError(f"{file} is not a Parquet file, or a damaged one ({first}); write it again") from error


def columns_of(file: Path) -> dict[str, list[str]]:
    """The cells of every column as text, "" where one is missing."""
    table = table_of(file)
    import pyarrow

    if not table.num_rows or not table.num_columns:
        raise UserError(f"{file} is empty; expected a row for each sample")
    found = {}
    for name, kind, column in zip(table.column_names, table.schema.types, table.columns, strict=True):
        kind = kind.value_type if pyarrow.types.is_dictionary(kind) else kind
        plain = pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind) or pyarrow.types.is_boolean(kind)
        if not (plain or pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
            raise UserError(f"{file}: column {name!r} holds {kind}; only numbers, words, yes or no can be read; remove it")
        found[str(name)] = ["" if value is None else str(value) for value in column.to_pylist()]
    return found
