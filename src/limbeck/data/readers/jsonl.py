"""JSON Lines: an object on each line, a file or a folder with train.jsonl and others.

Keys are the columns of a table as in `limbeck.data.tables`; an object with `text` (or `sentence`) and a label alone is a text.
A key that a line lacks, or null, is a missing value. Values are numbers, strings, true and false.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from limbeck.data.assemble import Raw
from limbeck.data.reader import How, Reader, part_files
from limbeck.data.tables import Table, from_table
from limbeck.errors import UserError

ENDINGS = (".jsonl", ".ndjson")


class Jsonl(Reader):
    """A sample on each line."""

    name = "jsonl"
    layout = ".jsonl tables or texts"
    order = 10

    def recognises(self, path: Path) -> bool:
        return bool(part_files(path, *ENDINGS))

    def read(self, path: Path, how: How) -> Raw:
        files = part_files(path, *ENDINGS)
        if not files:
            raise UserError(f"{path} has no train.jsonl; give a folder with one, or the path of a .jsonl file")
        found = {part: list(_objects(file)) for part, file in files.items()}
        names = list(dict.fromkeys(key for each in found["train"] for key in each))
        for part, objects in found.items():
            other = next((key for each in objects for key in each if key not in names), None)
            if other is not None:
                raise UserError(
                    f"{files[part]} has the key {other!r}, which the training part lacks; give every part the same keys"
                )
        parts = {part: [[each.get(name, "") for name in names] for each in objects] for part, objects in found.items()}
        return from_table(Table(path, names, parts), how.columns, how.texts)


def text_of(file: Path) -> str:
    """The content of a text file. Raises `UserError` where it is no UTF-8."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read as UTF-8 text: {error}; write it again") from error


def values(file: Path) -> Iterator[tuple[int, object]]:
    """The number of every line that is not empty, and what stands in it; lines end at newlines only.

    Raises `UserError` for one that is no JSON, or has a key twice.
    """
    for number, line in enumerate(text_of(file).split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line, object_pairs_hook=_once)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{file}: line {number} is not JSON ({error}); correct or remove it") from None


def first_object(file: Path) -> Mapping[str, object]:
    """The first object of a file; empty where it has none."""
    try:
        with file.open(encoding="utf-8-sig") as opened:
            found = json.loads(next((line for line in opened if line.strip()), ""))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _objects(file: Path) -> Iterator[dict[str, str]]:
    """The objects of a file with their values as text."""
    number = 0
    for number, found in values(file):
        if not isinstance(found, dict):
            raise UserError(f'{file}: line {number} is not an object; expected one such as {{"text": ..., "label": ...}}')
        yield {str(key): _cell(file, number, key, value) for key, value in found.items()}
    if not number:
        raise UserError(f"{file} is empty; expected an object on each line")


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _cell(file: Path, number: int, key: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    raise UserError(
        f"{file}: line {number} has a {type(value).__name__} at {key!r}; only numbers, strings, true and false can be read"
    )
