"""Texts whose next tokens are to be predicted: .txt files, or objects of JSON Lines or rows of Parquet without a label.

A .txt is one document. An object has `text`; or `prompt` and `completion`; or `messages`, a list of {"role", "content"}. A folder
has train.txt (.jsonl, .parquet), and validation and test where there are such.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from limbeck.data.assemble import Raw
from limbeck.data.language import Document, language
from limbeck.data.reader import How, Reader, part_files
from limbeck.data.readers.jsonl import first_object, text_of, values
from limbeck.data.readers.parquet import table_of
from limbeck.errors import UserError

KEYS = ({"text"}, {"prompt", "completion"}, {"messages"})
LINES, TABLE, PLAIN = (".jsonl", ".ndjson"), ".parquet", ".txt"
ROLES = ("system", "user", "assistant", "tool")


class Language(Reader):
    """Texts alone."""

    name = "language"
    layout = ".txt, or .jsonl or .parquet of text, prompt and completion, or messages"
    order = 5

    def serves(self, how: How) -> bool:
        return not how.unlabelled

    def recognises(self, path: Path) -> bool:
        files = part_files(path, PLAIN, *LINES, TABLE)
        return bool(files) and (files["train"].suffix.lower() == PLAIN or _keys(files["train"]) in KEYS)

    def read(self, path: Path, how: How) -> Raw:
        files = part_files(path, PLAIN, *LINES, TABLE)
        if not files:
            raise UserError(f"{path} has no train.txt, train.jsonl or train.parquet; give a folder with one, or such a file")
        parts = {part: list(_documents(file)) for part, file in files.items()}
        test = None if "test" in parts else how.test
        return language(str(path), parts, how.texts, test, how.split_seed)


def _keys(file: Path) -> set[str]:
    """The keys of the first object of a file; none where it has none."""
    if file.suffix.lower() == TABLE:
        try:
            return set(table_of(file).column_names)
        except UserError:
            return set()
    return set(first_object(file))


def _documents(file: Path) -> Iterator[Document]:
    """The documents of a file. Raises `UserError` for what cannot be read."""
    kind = file.suffix.lower()
    if kind == PLAIN:
        yield Document(_text(file))
        return
    objects = values(file) if kind in LINES else enumerate(table_of(file).to_pylist(), start=1)
    number = 0
    for number, each in objects:
        yield _document(f"{file}: {'line' if kind in LINES else 'row'} {number}", each)
    if not number:
        raise UserError(f"{file} is empty; expected a text in each {'line' if kind in LINES else 'row'}")


def _text(file: Path) -> str:
    text = text_of(file)
    if not text.strip():
        raise UserError(f"{file} is empty; expected a text")
    return text


def _document(where: str, each: object) -> Document:
    if not isinstance(each, Mapping) or set(each) not in KEYS:
        found = ", ".join(map(str, each))[:60] if isinstance(each, Mapping) else type(each).__name__
        raise UserError(f"{where} has {found}; expected text, or prompt and completion, or messages, and nothing else")
    if "messages" in each:
        return Document(messages=tuple(_message(where, one) for one in _list(where, each["messages"])))
    wrong = next((key for key, value in each.items() if not isinstance(value, str)), None)
    if wrong is not None:
        raise UserError(f"{where} has a {type(each[wrong]).__name__} at {wrong!r}; expected a string")
    return Document(each["text"]) if "text" in each else Document(each["completion"], prompt=each["prompt"])


def _list(where: str, value: object) -> list[object]:
    if not isinstance(value, list) or not value:
        raise UserError(f'{where}: messages must be a list of {{"role": ..., "content": ...}}; correct or remove it')
    return value


def _message(where: str, one: object) -> dict[str, str]:
    fine = isinstance(one, Mapping) and all(isinstance(one.get(key), str) for key in ("role", "content"))
    if not isinstance(one, Mapping) or not fine or one["role"] not in ROLES:
        raise UserError(f"{where}: a message needs a role ({', '.join(ROLES)}) and a content, both strings; correct or remove it")
    return {"role": one["role"], "content": one["content"]}
