"""`student.json`: how a student is built again, what it takes and gives. Versioned; a file of another version is refused."""

from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict

from limbeck.data import Data
from limbeck.data.columns import ColumnFacts
from limbeck.data.tokens import TokenFacts
from limbeck.errors import UserError
from limbeck.files import read_json, write_json

FILE, VERSION = "student.json", 1


class MethodFile(TypedDict):
    """A method by name, with its arguments."""

    name: str
    arguments: dict[str, object]


class RoleFile(TypedDict):
    """A deployed role: its model by name, and what its inputs go through first.

    folder: of a model of transformers, the folder beside student.json that holds its configuration. tokens: by which names it is
    given a tokenizer's tokens. order: the places of the data's classes among its logits, where they stand in another.
    """

    model: str
    arguments: dict[str, object]
    mean: list[float]
    std: list[float]
    classes: NotRequired[int]
    sees: NotRequired[str]
    words: NotRequired[bool]
    whole: NotRequired[bool]
    folder: NotRequired[str]
    tokens: NotRequired[list[str]]
    order: NotRequired[list[int]]


class TaskFile(TypedDict):
    """A task by name, with what makes it again."""

    name: str
    settings: dict[str, object]


class PackedFile(TypedDict):
    """The file of a quantised student in few bits."""

    file: str
    bytes: int
    blake2b: str


class StudentFile(TypedDict):
    """What student.json holds."""

    version: int
    limbeck: str
    method: MethodFile
    roles: dict[str, RoleFile]
    classes: list[str]
    shape: list[int]
    kind: str
    task: TaskFile
    inputs: str
    outputs: str
    data: str
    words: NotRequired[list[str]]
    columns: NotRequired[list[ColumnFacts]]
    tokens: NotRequired[TokenFacts]
    tile: NotRequired[int]
    sound: NotRequired[list[int]]
    packed: NotRequired[PackedFile]
    repaired: NotRequired[dict[str, object]]


def read_student_file(folder: Path) -> StudentFile:
    """Read and check it. Raises `UserError` if it is missing, damaged, or of another version."""
    if not (folder / FILE).is_file():
        raise UserError(f"{folder} holds no {FILE}; give the folder of a finished run")
    return read_json(folder / FILE, StudentFile, VERSION)


def inside(folder: Path, name: str) -> Path:
    """A folder that student.json names, which must lie beside it. Raises `UserError` where it does not."""
    if name in ("", ".", "..") or Path(name).name != name or not (folder / name).is_dir():
        raise UserError(f"{folder / FILE} names the folder {name[:60]!r}, which must lie beside it; take it from a copy")
    return folder / name


def need_same_data(info: StudentFile, data: Data) -> None:
    """Refuse data whose inputs or classes mean something else to a student than those that it was trained on.

    Raises `UserError` saying what differs.
    """
    who = f"{data.name} cannot be answered by a student of {info['data']}"
    if data.kind == info["kind"] == "text" and list(data.words) != info.get("words", list(data.words)):
        raise UserError(f"{who}: its words are numbered otherwise; number sentences by the words of student.json")
    own, its = data.tokens, info.get("tokens")
    if data.kind == "text" and (own is None) != (its is None) or (own and its and own.facts["fingerprint"] != its["fingerprint"]):
        raise UserError(f"{who}: its texts are numbered by another tokenizer; set data.tokenizer to the run's folder student/")
    columns = [column.facts() for column in data.columns]
    known = info.get("columns", columns) if columns else []
    odd = next((own["name"] for own, its in zip(columns, known, strict=False) if own != its), "")
    if columns and (odd or len(columns) != len(known)):
        where = f"column {odd!r} is another, or has other values" if odd else "it has other columns"
        raise UserError(f"{who}: {where}; encode its rows by the columns of student.json")
    ours, theirs = list(data.classes), info["classes"]
    unnamed = [str(k) for k in range(len(ours))]  # numbers from Python stand for whatever the other side calls them
    worded = [names for names in (ours, theirs) if not all(map(str.isdigit, names))]
    if ours != theirs and len(ours) == len(theirs) and not (unnamed in (ours, theirs) and len(worded) == 1):
        odd = next(f"{a[:30]!r} where it has {b[:30]!r}" for a, b in zip(ours, theirs, strict=True) if a != b)
        raise UserError(f"{who}: its classes are others ({odd}); give it the same classes")


def write_student_file(folder: Path, info: StudentFile) -> None:
    write_json(folder / FILE, info)
