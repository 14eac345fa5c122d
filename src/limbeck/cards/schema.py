"""`card.json`: what a run measured, as types. Versioned; a file of another version is refused."""

from pathlib import Path

from typing_extensions import TypedDict

from limbeck.data.core import DataFacts
from limbeck.deploy.exits import Exits
from limbeck.deploy.measure import Latency
from limbeck.deploy.writing import Writing
from limbeck.files import read_json, write_json
from limbeck.runs.decided import PullFacts
from limbeck.tasks.figure import marked
from limbeck.tasks.task import TaskFacts

FILE, VERSION = "card.json", 1


class MethodFacts(TypedDict, total=False):
    """A method: by name, with its arguments, where it is from, its place in the taxonomy and its abstract view as text."""

    name: str
    arguments: dict[str, object]
    paper: str
    year: int
    taxonomy: str
    text: str


class WorstFacts(TypedDict):
    """The class that is predicted worst, and the score within it."""

    name: str
    value: float


class PackedFacts(TypedDict):
    """A quantised student's file in few bits; same_predictions: whether it predicts as the student does, None where unknown."""

    file: str
    bytes: int
    same_predictions: bool | None


class ModelEntry(TypedDict, total=False):
    """One model of a card.

    score: the first of `figures`, by the keys of the task's figures; interval: its 95 % interval over the samples; intervals: of
    other figures that have one. worst, per_class: of the score within classes. parameters, bytes: of what is deployed.
    train_seconds, steps, teacher_samples: of its training; None where it was not trained in this run.
    """

    model: str
    samples: int
    score: float | None
    interval: list[float] | None
    figures: dict[str, float | None]
    worst: WorstFacts | None
    per_class: list[float | None] | None
    intervals: dict[str, list[float]]
    parameters: int | None
    bytes: int | None
    latency_ms: Latency | None
    train_seconds: float | None
    steps: int | None
    teacher_samples: int | None
    packed: PackedFacts


class StartFacts(TypedDict):
    """How a layer of a student started: of which layer of its teacher, "" at random; and what of it, or why nothing."""

    layer: str
    of: str
    how: str


class ExportFacts(TypedDict, total=False):
    """The student's ONNX file beside the student."""

    file: str
    bytes: int
    largest_difference: float
    same_predictions: float
    score: float | None
    latency_ms: Latency | None


class Card(TypedDict, total=False):
    """What card.json holds.

    drop_percent, gain_percent, size_cut_percent, distillation_score: the survey's relative figures, None where they have no
    meaning; lesson_percent: the gain over the baseline that starts from the teacher as the student does. start: where the student
    started so, layer by layer. pull: how hard lessons pull, by stage. rates: that were probed, by who was trained. svg: the file
    of the method's drawing. command: what does the run again. A run that is not finished has no card; a process that only helps
    to train gets an empty one.
    """

    version: int
    limbeck: str
    method: MethodFacts
    svg: str
    task: TaskFacts
    data: DataFacts
    seed: int
    alpha: float
    budget: dict[str, object]
    models: dict[str, ModelEntry]
    drop_percent: float | None
    gain_percent: float | None
    lesson_percent: float | None
    size_cut_percent: float | None
    distillation_score: float | None
    exits: Exits
    writing: Writing
    export: dict[str, ExportFacts]
    start: list[StartFacts]
    pull: list[PullFacts]
    rates: dict[str, float]
    notes: list[str]
    command: str


def read_card(folder: Path) -> Card:
    """The card of a run's folder. Raises `UserError` if it is missing, damaged, or of another version."""
    return read_json(folder / FILE, Card, VERSION)


def onnx_of(card: Card) -> ExportFacts:
    """What the card says of the ONNX file; nothing where there is none."""
    return card.get("export", {}).get("onnx", ExportFacts())


def marked_classes(card: Card) -> list[str]:
    """The names of the classes, marked where the part that models were measured on has too few samples of one."""
    if "data" not in card:
        return []
    names, parts = card["data"]["classes"], card["data"]["partitions"]
    part = parts.get("test", parts.get("validation"))
    counts = part["per_class"] if part else None
    return [marked(*each) for each in zip(names, counts, strict=True)] if counts and len(counts) == len(names) else names


def latency_of(entry: ModelEntry | ExportFacts) -> Latency | None:
    """The latency of a model or a file, where it was measured."""
    return entry.get("latency_ms")


def median_of(entry: ModelEntry | ExportFacts) -> float | None:
    """The median of it in milliseconds."""
    latency = latency_of(entry)
    return latency["median"] if latency else None


def finished(folder: Path) -> Card | None:
    """The card of a run that is done: its test part has been read, and is not read again."""
    return read_card(folder) if (folder / FILE).exists() else None


def write_card(folder: Path, card: Card) -> None:
    write_json(folder / FILE, card)
