"""Words with a tag each: CoNLL's columns, or JSON Lines with lists `tokens` and `tags`.

CoNLL: a word on each line, its columns split by tabs or spaces, the first the word and the last its tag (data.text and data.label
number others from 1), an empty line between sentences; lines of -DOCSTART- are left out. A file, or a folder with train.conll
(.bio, .iob, .txt, .jsonl) and others. Tags in JSON Lines are words, or numbers; `ner_tags` and `labels` mean tags, too.
"""

from collections.abc import Iterator
from pathlib import Path

from limbeck.data.assemble import Raw
from limbeck.data.reader import How, Reader, part_files
from limbeck.data.readers.jsonl import first_object, text_of, values
from limbeck.data.tagged import Tagged, tagged
from limbeck.data.words import lines
from limbeck.errors import UserError
from limbeck.metrics.entities import spelt
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.token_classification import TokenClassification

COLUMNS, OBJECTS, PLAIN = (".conll", ".bio", ".iob", ".iob2"), (".jsonl", ".ndjson"), ".txt"
TAGS = ("tags", "ner_tags", "labels")
LOOKED_AT = 500  # lines of a .txt by which it is recognised
START = "-DOCSTART-"


class TaggedWords(Reader):
    """A sentence of words with tags."""

    name = "conll"
    layout = "CoNLL columns (.conll, .bio, .txt), or .jsonl with tokens and tags"
    order = 4

    def serves(self, how: How) -> bool:
        return not how.unlabelled

    def recognises(self, path: Path) -> bool:
        files = part_files(path, *COLUMNS, PLAIN, *OBJECTS)
        if not files:
            return False
        first = files["train"]
        kind = first.suffix.lower()
        if kind in OBJECTS:
            return "tokens" in (keys := first_object(first)) and any(name in keys for name in TAGS)
        return kind in COLUMNS or _looks_tagged(first)

    def read(self, path: Path, how: How) -> Raw:
        if how.columns.task not in (CLASSIFY.name, TokenClassification.name) or len(how.columns.label) > 1:
            raise UserError(
                f"{path} holds words with one tag each; leave data.task out, and name one column as data.label at most"
            )
        files = part_files(path, *COLUMNS, PLAIN, *OBJECTS)
        if not files:
            raise UserError(f"{path} has no train.conll, .txt or .jsonl; give a folder with one, or such a file")
        objects = files["train"].suffix.lower() in OBJECTS
        if objects:
            parts = {part: list(_objects(file)) for part, file in files.items()}
            where = "tags, beside tokens"
        else:
            word, tag = _place(how.texts.columns, "data.text", 0), _place(how.columns.label, "data.label", -1)
            parts = {part: list(_sentences(file, word, tag)) for part, file in files.items()}
            where = "the last column" if tag == -1 else f"column {tag + 1}, as set"
        return tagged(str(path), parts, how.texts, where)


def _place(named: tuple[str, ...], setting: str, usual: int) -> int:
    """A column's place from its number, which counts from 1."""
    if not named:
        return usual
    if len(named) > 1 or not named[0].isdigit() or named[0] == "0":
        raise UserError(f"{setting} numbers a column of CoNLL from 1, got {', '.join(named)[:40]!r}")
    return int(named[0]) - 1


def _looks_tagged(file: Path) -> bool:
    """Whether a .txt has columns, as many on each line, of which the last is O or B- and the like on all of them."""
    try:
        with file.open(encoding="utf-8-sig") as opened:
            few = [line.split() for line, _ in zip(opened, range(LOOKED_AT), strict=False)]
    except (OSError, UnicodeDecodeError):
        return False
    rows = [row for row in few if row and row[0] != START]
    return len(rows) > 1 and len({len(row) for row in rows}) == 1 and len(rows[0]) > 1 and spelt([row[-1] for row in rows])


def _sentences(file: Path, word: int, tag: int) -> Iterator[Tagged]:
    """The sentences of a file of columns."""
    words: list[str] = []
    tags: list[str] = []
    width = 0
    for number, line in enumerate([*lines(text_of(file)), ""], start=1):
        cells = line.split("\t") if "\t" in line else line.split()
        if not line.strip():
            if words:
                yield words, tags
                words, tags = [], []
            continue
        if cells[0].startswith(START) or (not words and line.startswith("# ") and width != len(cells)):
            continue
        width = width or len(cells)
        if len(cells) != width or not max(word, tag) < width > 1:
            needed = max(width, 2, word + 1, tag + 1)
            raise UserError(f"{file}: line {number} has {len(cells)} columns where {needed} are expected; correct it")
        words.append(cells[word].strip())
        tags.append(cells[tag].strip())


def _objects(file: Path) -> Iterator[Tagged]:
    """The sentences of JSON Lines."""
    for number, found in values(file):
        key = next((name for name in TAGS if isinstance(found, dict) and name in found), "tags")
        words, tags = (found.get(name) if isinstance(found, dict) else None for name in ("tokens", key))
        fine = isinstance(words, list) and isinstance(tags, list) and all(isinstance(one, str) for one in words)
        if not isinstance(words, list) or not isinstance(tags, list) or not fine:
            raise UserError(f'{file}: line {number} needs {{"tokens": [words], "tags": [a tag each]}}; correct or remove it')
        if not all(isinstance(one, str) or (isinstance(one, int) and not isinstance(one, bool)) for one in tags):
            raise UserError(f"{file}: line {number} has tags that are no words and no whole numbers; correct or remove it")
        if words:
            yield words, [str(one) for one in tags]
