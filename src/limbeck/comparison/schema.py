"""`comparison.json` and `leaderboard.json`: what a comparison is and what came of it, as types. Versioned."""

from pathlib import Path
from typing import Literal, NotRequired, final

from typing_extensions import TypedDict

from limbeck.cards.schema import Card, ModelEntry
from limbeck.data.core import DataFacts
from limbeck.files import read_json, write_json
from limbeck.metrics.significance import PairedFacts
from limbeck.tasks.task import TaskFacts

COMPARISON, LEADERBOARD, VERSION = "comparison.json", "leaderboard.json", 1
Opponent = Literal["to_baseline", "to_best"]  # of a paired comparison


class EntryFile(TypedDict):
    """A method with its settings under a name."""

    name: str
    method: str
    arguments: dict[str, object]


class ComparisonFile(TypedDict):
    """What comparison.json holds; recipe: as TOML. search: trials of settings for every entry."""

    version: int
    recipe: str
    entries: list[EntryFile]
    seeds: list[int]
    search: NotRequired[int]


@final
class Done(TypedDict):
    """A run that has its card."""

    entry: str
    seed: int
    card: Card


@final
class Failed(TypedDict):
    """A run that failed, and why."""

    entry: str
    seed: int
    error: str


RunResult = Done | Failed


class Mean(TypedDict):
    """The mean over the seeds with its 95 % interval; None where it is unknown."""

    mean: float | None
    low: float | None
    high: float | None


class Gap(PairedFacts):
    """A paired comparison with another method, this one minus `to`. seeds_needed: for the difference, if it is as it looks."""

    to: str
    differs: bool
    seeds_needed: float | None


class BoardRow(TypedDict):
    """One method: means over its seeds. Scores, and `worst`, are multiplied by the score's scale (100 for shares).

    seeds: those that are done. missing: runs that are neither done nor failed. scores: by seed. figures: means of the task's.
    pull: of the lessons, as they are trained, beside the labels at the start; of the last stage that has both.
    size_ratio, teacher_score: what the distillation score at another alpha is computed of. errors: a sentence per failed run.
    """

    name: str
    seeds: list[int]
    missing: int
    scores: dict[str, float]
    score: Mean
    worst: float | None
    figures: dict[str, float | None]
    parameters: float | None
    bytes: float | None
    latency_ms: float | None
    train_seconds: float | None
    steps: float | None
    teacher_samples: float | None
    distillation_score: float | None
    size_ratio: float | None
    teacher_score: float | None
    errors: list[str]
    pull: NotRequired[float | None]
    to_baseline: NotRequired[Gap]
    to_best: NotRequired[Gap]


class Ranking(TypedDict):
    """The order of the methods by distillation score from this alpha on."""

    alpha: float
    order: list[str]


class Board(TypedDict):
    """What leaderboard.json holds: a row per method, best first, and what it says in sentences.

    task, data, teacher: of the first run that has a card; None before. chosen: the settings that a search chose, by method.
    """

    version: int
    rows: list[BoardRow]
    verdict: list[str]
    ranking_by_alpha: list[Ranking]
    alpha: float
    seeds: list[int]
    budget: dict[str, object]
    task: TaskFacts | None
    data: DataFacts | None
    teacher: ModelEntry | None
    hyperparameters: str
    correction: str
    chosen: NotRequired[dict[str, dict[str, object]]]


def mean_of(row: BoardRow) -> float:
    """The mean score of a row that has a seed."""
    mean = row["score"]["mean"]
    assert mean is not None, row["name"]
    return mean


def half_of(bounds: Mean | Gap) -> float | None:
    """Half the width of an interval; None where it is unknown."""
    return None if bounds["high"] is None or bounds["low"] is None else (bounds["high"] - bounds["low"]) / 2


def read_comparison(folder: Path) -> ComparisonFile:
    """What a folder's comparison is. Raises `UserError` if its file is missing, damaged, or of another version."""
    return read_json(folder / COMPARISON, ComparisonFile, VERSION)


def write_comparison(folder: Path, facts: ComparisonFile) -> None:
    write_json(folder / COMPARISON, facts)


def write_leaderboard(folder: Path, board: Board) -> None:
    write_json(folder / LEADERBOARD, board)
