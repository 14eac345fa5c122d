"""Texts without labels: a .txt file with a text on each line, or a folder with train.txt and others; for encoders."""

from pathlib import Path

from limbeck.data.assemble import Raw
from limbeck.data.reader import How, Reader, part_files
from limbeck.data.text import texts
from limbeck.data.words import lines
from limbeck.errors import UserError


class Lines(Reader):
    """A text on each line; empty lines are left out."""

    name = "txt"
    layout = ".txt of texts, a line each (without labels, for data.task = embed)"
    order = 95

    def serves(self, how: How) -> bool:
        return how.unlabelled

    def recognises(self, path: Path) -> bool:
        return bool(part_files(path, ".txt"))

    def read(self, path: Path, how: How) -> Raw:
        files = part_files(path, ".txt")
        if not files:
            raise UserError(f"{path} has no train.txt; give a folder with one, or the path of a .txt file")
        notes: list[str] = []
        found = {part: [(line, "") for line in _lines(file, notes)] for part, file in files.items()}
        raw = texts(str(path), found, how=how.texts)
        raw.notes[:0] = notes
        return raw


def _lines(file: Path, notes: list[str]) -> list[str]:
    """The lines of a file that are not empty, as UTF-8, else as Latin-1, which is said."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror}; allow it or give another") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
        notes.append(f"{file.name} is not UTF-8 and was read as Latin-1")
    found = [line.strip() for line in lines(text) if line.strip()]
    if not found:
        raise UserError(f"{file} is empty; expected a text on each line")
    return found
