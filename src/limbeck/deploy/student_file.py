"""`student.json`: how a student is built again, what it takes and gives. Versioned; a file of another version is refused."""

from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict

from limbeck.errors import UserError
from limbeck.files import read_json, write_json

FILE, VERSION = "student.json", 1


class MethodFile(TypedDict):
    """A method by name, with its arguments."""

    name: str
    arguments: dict[str, object]


class RoleFile(TypedDict):
    """A deployed role: its model by name, and what its inputs go through first."""

    model: str
    arguments: dict[str, object]
    mean: list[float]
    std: list[float]
    classes: NotRequired[int]
    sees: NotRequired[str]
    words: NotRequired[bool]
    whole: NotRequired[bool]


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
    packed: NotRequired[PackedFile]
    repaired: NotRequired[dict[str, object]]


def read_student_file(folder: Path) -> StudentFile:
    """Read and check it. Raises `UserError` if it is missing, damaged, or of another version."""
    if not (folder / FILE).is_file():
        raise UserError(f"{folder} holds no {FILE}; give the folder of a finished run")
    return read_json(folder / FILE, StudentFile, VERSION)


def write_student_file(folder: Path, info: StudentFile) -> None:
    write_json(folder / FILE, info)
