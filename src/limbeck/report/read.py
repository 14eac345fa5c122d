"""A run folder as the page needs it. Whatever is absent or damaged is named in `missing`, never an error."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from limbeck.cards.schema import Card, ModelEntry, marked_classes, read_card
from limbeck.deploy.measured import Measurement, read_measured
from limbeck.deploy.shipment import ExportRow, exports
from limbeck.errors import UserError
from limbeck.report.drawing import drawing
from limbeck.runs.folder import ENVIRONMENT, Environment, read_environment
from limbeck.tasks.figure import known
from limbeck.tasks.keeping import WHO, Kept, read_predictions
from limbeck.tasks.task import Task


@dataclass(frozen=True)
class CurveRecord:
    """A line of metrics.jsonl, as far as it is drawn: who was trained, and what the epoch gave."""

    who: str
    stage: str
    step: float
    epoch: float
    terms: dict[str, float]
    validation: dict[str, float]


@dataclass
class RunView:
    """What a run folder holds.

    Attributes:
        card, environment: as written. metrics: the records. recipe: TOML text. svg: the abstract view, checked.
        task: what the kept predictions answer. kept: these predictions.
        exports, measured: the exported files, and what they cost; none where nothing was exported or measured.
        missing: a sentence for each piece that is not there. chances: see `chance`.
    """

    folder: Path
    card: Card = field(default_factory=Card)
    environment: Environment = field(default_factory=dict)
    metrics: list[CurveRecord] = field(default_factory=list)
    recipe: str = ""
    svg: str = ""
    task: Task | None = None
    kept: Kept | None = None
    exports: list[ExportRow] = field(default_factory=list)
    measured: list[Measurement] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    chances: dict[str, float | None] = field(default_factory=dict)

    @property
    def models(self) -> dict[str, ModelEntry]:
        """The card's models in the order teacher, baseline, student, then any other."""
        given = self.card.get("models", {})
        order = [*(w for w in WHO if w in given), *(w for w in given if w not in WHO)]
        return {who: given[who] for who in order}

    def chance(self, who: str) -> float | None:
        """How likely chance alone makes the student differ so much from another model; None where that cannot be told. The test
        is made once, however many sentences ask for it."""
        kept = self.kept.predictions if self.kept is not None else {}
        if self.task is None or not {"student", who} <= set(kept):
            return None
        if who not in self.chances:
            self.chances[who] = self.task.paired(kept["student"], kept[who])
        return self.chances[who]

    def class_names(self) -> list[str]:
        """The names of the classes; their numbers where no names are known."""
        named = self.card["data"]["classes"] if "data" in self.card else []
        counted = self.kept.width if self.kept is not None else 0
        return [str(c) for c in named] if named and len(named) >= counted else [str(i) for i in range(counted)]

    def marked_names(self) -> list[str]:
        """The same, marked where too few samples were judged to tell."""
        names, marked = self.class_names(), marked_classes(self.card)
        return marked if len(marked) == len(names) else names


def read_run(folder: Path, *, predictions: bool = True) -> RunView:
    """Read a run folder, with what was answered to every test sample or without it.

    Raises:
        UserError: it is no folder, or holds nothing of a run.
    """
    if not folder.is_dir():
        raise UserError(f"there is no run folder at {folder}; give the folder that `limbeck distill` made")
    if not any((folder / name).exists() for name in ("card.json", "metrics.jsonl", "recipe.toml")):
        raise UserError(
            f"{folder} is not a run folder: it has no card.json, metrics.jsonl or recipe.toml; "
            "give the folder that `limbeck distill` made"
        )
    view = RunView(folder)
    _read_card(view)
    _read_environment(view)
    view.recipe = _text(view, "recipe.toml", "the recipe was not recorded")
    view.metrics = _records(_text(view, "metrics.jsonl", "no learning curves were recorded"))
    if predictions:
        _read_predictions(view)
    _read_svg(view)
    _read_files(view)
    return view


def _text(view: RunView, name: str, otherwise: str) -> str:
    try:
        return (view.folder / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        view.missing.append(f"No {name}: {otherwise}.")
        return ""


def _read_card(view: RunView) -> None:
    if not (view.folder / "card.json").exists():
        view.missing.append("No card.json: the card is not written yet, so there is no result table.")
        return
    try:
        view.card = read_card(view.folder)
    except UserError as error:
        view.missing.append(f"There is no result table: {error}.")


def _read_environment(view: RunView) -> None:
    lacking = "the machine and versions were not recorded"
    try:
        if not (view.folder / ENVIRONMENT).exists():
            view.missing.append(f"No {ENVIRONMENT}: {lacking}.")
        view.environment = read_environment(view.folder)
    except UserError:
        view.missing.append(f"{ENVIRONMENT} cannot be read as a JSON object: {lacking}.")


def _read_files(view: RunView) -> None:
    """What was exported and measured; a damaged list is said, and no more."""
    try:
        view.exports = exports(view.folder)
        view.measured = read_measured(view.folder)
    except UserError as error:
        view.missing.append(f"Exported files are left out: {error}.")


def _records(text: str) -> list[CurveRecord]:
    """The lines that are whole records; a run that was stopped may leave half a line."""
    found = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "who" in record and known(record.get("step")):
            found.append(_record(record))
    return found


def _record(line: Mapping[str, object]) -> CurveRecord:
    """What the charts need of a line; values that are no numbers are left out."""
    step = line["step"]
    assert known(step), "the caller has looked"
    who, stage = str(line["who"]), str(line.get("stage", ""))
    epoch = line.get("epoch")
    return CurveRecord(
        who,
        stage,
        float(step),
        float(epoch) if known(epoch) else 0.0,
        _numbers(line.get("terms")),
        _numbers(line.get("validation")),
    )


def _numbers(values: object) -> dict[str, float]:
    return {str(key): value for key, value in values.items() if known(value)} if isinstance(values, Mapping) else {}


def _read_predictions(view: RunView) -> None:
    try:
        found = read_predictions(view.folder)
    except UserError:
        view.missing.append("predictions.safetensors cannot be read: charts from it are left out.")
        return
    if found is None:
        view.missing.append(
            "There is no predictions.safetensors: confusion matrix, calibration and differing samples are left out."
        )
        return
    view.task, view.kept = found


def _read_svg(view: RunView) -> None:
    """Take the drawing only if it consists of what our drawings consist of."""
    name = Path(str(view.card.get("svg") or "method.svg")).name
    text = _text(view, name, "the drawing of the method is left out")
    if not text:
        return
    view.svg = drawing(text)
    if not view.svg:
        view.missing.append(f"{name} is not a drawing of limbeck's: the drawing of the method is left out.")
