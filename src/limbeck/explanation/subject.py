"""The models of a finished run, back from its folder as they were left, and its data."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from limbeck.cards.schema import Card
from limbeck.data import Batches, Data
from limbeck.deploy.student import Deployed, load_student
from limbeck.errors import UserError
from limbeck.models import load_weights
from limbeck.models.outside import came_trained
from limbeck.plan.copies import copied
from limbeck.plan.roles import Adapter, Cast
from limbeck.plan.taps import Tap
from limbeck.report.read import read_run
from limbeck.runs.recipes import read
from limbeck.runs.settings import Recipe
from limbeck.runs.sources import Given
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.keeping import read_predictions
from limbeck.tasks.predictions import Predictions, predict
from limbeck.transforms.draws import order

MOST = 2000  # judged samples that are asked under every corruption


@dataclass(frozen=True, eq=False)
class Subject:
    """A run to be explained.

    entries: teacher, baseline (if the run had one) and student, from raw inputs to logits.
    """

    folder: Path
    recipe: Recipe
    data: Data
    card: Card
    entries: Mapping[str, Deployed]

    def batches(self, most: int | None = None) -> Batches:
        """The judged part, or so many samples of it drawn once for all."""
        part = self.data.judged
        if most is not None and most < len(part):
            part = part.select(order(0, len(part), "explain")[:most].sort().values)
        return Batches(part, self.data, size=min(256, self.data.task.at_once(self.data.shape)), seed=0)

    def answers(self) -> dict[str, Predictions]:
        """What each model answered to the whole judged part: as the run recorded it, else asked again."""
        kept = recorded(self.folder)
        if all(who in kept for who in self.entries):
            return {who: kept[who] for who in self.entries}
        return {who: predict(entry, self.batches().ordered(), self.data.task) for who, entry in self.entries.items()}


def open_run(
    folder: Path,
    data: Data | None = None,
    given: Mapping[str, nn.Module] | None = None,
    adapters: Mapping[str, Adapter] | None = None,
    trust: bool = False,
) -> Subject:
    """Read a finished run. data, given, adapters: what was not named but handed over from Python; trust: see `explain`.

    Raises `UserError` if the run is not finished, has no teacher, or is no classification.
    """
    card = read_run(folder, predictions=False).card
    if not card or not (folder / "recipe.toml").exists():
        raise UserError(f"{folder} is not a finished run (card.json, recipe.toml); finish it with limbeck distill --resume")
    if "teacher" not in card["models"]:
        raise UserError(f"{folder} had no teacher with weights, so there is nothing to explain")
    recipe = read(folder, trust=trust)
    chosen = data or recipe.data.load()
    if chosen.task.name != CLASSIFY.name:
        raise UserError(f"explain looks at classes and confidences; the task of {chosen.name} is {chosen.task.name!r}")
    made = {role: _copy(role, module, chosen, (adapters or {}).get(role)) for role, module in (given or {}).items()}
    entries: dict[str, Deployed] = {}
    given_teacher = made.get("teacher")
    entries["teacher"] = given_teacher or _rebuilt("teacher", recipe, _teacher_weights(folder, recipe), chosen)
    if entries["teacher"].fed != "inputs":
        raise UserError(
            f"explain asks the teacher about changed samples and looks into its layers, and that of {folder} is a file of answers"
        )
    file = folder / "weights" / "baseline.safetensors"
    if file.exists():
        entries["baseline"] = _filled(made["student"], file) if "student" in made else _rebuilt("student", recipe, file, chosen)
    file = folder / "student.safetensors"
    entries["student"] = _filled(made["student"], file) if "student" in made else load_student(folder, trust)[0]
    subject = Subject(folder, recipe, chosen, card, {who: entry.eval() for who, entry in entries.items()})
    _check_recorded(subject)
    return subject


def _teacher_weights(folder: Path, recipe: Recipe) -> Path:
    """The file it came from if that is still there, else what the run left of it."""
    own = [] if recipe.teacher.weights is None else [Path(recipe.teacher.weights)]
    files = [*own, *(folder / "weights" / f"{phase}.safetensors" for phase in ("teacher", "student"))]
    found = next((file for file in files if file.exists()), None)
    if found is None:
        raise UserError(f"{folder / 'weights'} does not hold the teacher; explain needs the run folder as it was left")
    return found


def _rebuilt(role: str, recipe: Recipe, file: Path, data: Data) -> Deployed:
    settings = recipe.teacher if role == "teacher" else recipe.student
    if settings.model.startswith("python object"):
        hint = f"limbeck.explanation.explain(folder, data=..., given={{{role!r}: module, ...}})"
        raise UserError(f"the {role} was given as a {settings.model}, which cannot be rebuilt by name; from Python, call {hint}")
    module, adapter = settings.model_copy(update={"weights": None}).build(role, data, recipe.seed)
    if role != "teacher" or settings.weights is not None or not came_trained(module):
        load_weights(module, file, who=role)
    return Deployed(Cast({role: module}, {role: adapter}), Tap(role))


def _copy(role: str, module: nn.Module, data: Data, adapter: Adapter | None) -> Deployed:
    """A module that was handed over, as it is now; what is done to the copy does not reach it."""
    own, found = Given({role: module}, {role: adapter} if adapter else {}).role(role, data)
    return Deployed(Cast({role: copied(own, role)}, {role: found}), Tap(role))


def _filled(entry: Deployed, file: Path) -> Deployed:
    """The same network with other weights."""
    twin = copy.deepcopy(entry)
    load_weights(twin.cast["student"], file, who="student")
    return twin


def recorded(folder: Path) -> dict[str, Predictions]:
    """What a run kept of each model's answers, or nothing."""
    found = read_predictions(folder)
    return dict(found[1].predictions) if found is not None else {}


def _check_recorded(subject: Subject) -> None:
    """The models must answer as they did when the run measured them: else the data or the weights have changed."""
    kept, labels = recorded(subject.folder), subject.data.judged.labels
    if not kept:
        return
    first, old = next(subject.batches().ordered()), next(iter(kept.values())).labels
    count = len(first["labels"])
    if labels is None or len(labels) != len(old) or not bool((old[:count] == first["labels"]).all()):
        raise UserError(f"the data of {subject.folder} has changed since the run; explain needs the same test samples")
    for who, entry in subject.entries.items():
        said = predict(entry, [first], subject.data.task).logits.argmax(1)
        if who in kept and float((said == kept[who].logits[:count].argmax(1)).float().mean()) < 0.98:
            raise UserError(
                f"the {who} of {subject.folder} no longer predicts as recorded; its weights or preprocessing have changed"
            )
