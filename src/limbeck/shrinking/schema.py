"""`shrink.json`: what a search was asked for, what it tried and what it found, as types. Versioned."""

from pathlib import Path
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from limbeck.files import read_json, write_json
from limbeck.tasks.task import TaskFacts

FILE, VERSION = "shrink.json", 1
Cost = Literal["latency_ms", "bytes"]


class LimitsFile(TypedDict):
    """`Limits`: seconds, bytes, a score; None: any."""

    latency: float | None
    size: int | None
    score: float | None


class SearchRequest(TypedDict):
    """What a search was asked for; a folder is only continued with the same. recipe: of one training, in full."""

    recipe: dict[str, object]
    limits: LimitsFile
    format: str
    int8: bool
    on: str
    threads: int
    guided: bool


class CandidateRow(TypedDict):
    """A candidate. work: operations of one answer. dropped: why it is not trained, "" if it fits; costs: if it was measured."""

    name: str
    dropped: str
    parameters: int | None
    work: NotRequired[float]
    latency_ms: NotRequired[float]
    bytes: NotRequired[int]


class TrialRow(TypedDict):
    """A training of a candidate. state: Optuna's, such as complete, pruned, fail. validation: the score; error: why it failed."""

    number: int
    state: str
    folder: str | None
    candidate: str
    settings: dict[str, float]
    latency_ms: float
    bytes: int
    parameters: int
    validation: float | None
    error: str | None


class TeacherRow(TypedDict):
    """The teacher: its parameters, and its score on validation."""

    parameters: int
    validation: float | None


class Verdict(TypedDict):
    """What a search answers, in sentences; chosen: the training, or None where nothing fits; nearest: the candidate's name."""

    chosen: TrialRow | None
    nearest: str | None
    words: list[str]


class ChosenStudent(TypedDict):
    """The file that is shipped, tested once and measured again."""

    folder: str
    file: str
    score: float | None
    latency_ms: float
    bytes: int
    distillation_score: float | None
    words: list[str]


class Shrunk(TypedDict):
    """What shrink.json holds; what is not required is there once it is known, the verdict at the end.

    spent: seconds. data: its fingerprint. floor_ms: the least that any file takes on the target. guess: the validation score of
    an answer that does not look.
    """

    version: int
    asked: SearchRequest
    trials: list[TrialRow]
    spent: float
    data: NotRequired[str]
    floor_ms: NotRequired[float]
    task: NotRequired[TaskFacts]
    candidates: NotRequired[list[CandidateRow]]
    teacher: NotRequired[TeacherRow]
    guess: NotRequired[float]
    verdict: NotRequired[Verdict]
    chosen: NotRequired[ChosenStudent]


def read_search(folder: Path) -> Shrunk:
    """What a folder holds of a search. Raises `UserError` if its file is missing, damaged, or of another version."""
    return read_json(folder / FILE, Shrunk, VERSION)


def write_search(folder: Path, state: Shrunk) -> None:
    write_json(folder / FILE, state)
