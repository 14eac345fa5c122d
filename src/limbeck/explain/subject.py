"""The models of a finished run, back from its folder as they were left, and its data."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import nn

from limbeck.after import load_data
from limbeck.casting import build_role
from limbeck.data import Batches, Data
from limbeck.data.draws import order
from limbeck.deploy.student import Deployed, load_student
from limbeck.errors import UserError
from limbeck.evaluate import CLASSIFY, Predictions, predict
from limbeck.models import load_weights
from limbeck.recipe import ModelSettings, Recipe, load, make
from limbeck.report.read import read_run
from limbeck.roles import Adapter, Cast
from limbeck.taps import Tap

MOST = 2000  # judged samples that are asked under every corruption


@dataclass(frozen=True, eq=False)
class Subject:
    """A run to be explained.

    entries: teacher, baseline (if the run had one) and student, from raw inputs to logits. teacher: the weights that a further
    run with this teacher needs; None where it was given as a module.
    """

    folder: Path
    recipe: Recipe
    data: Data
    card: Mapping[str, Any]
    entries: Mapping[str, Deployed]
    teacher: Path | None

    def batches(self, most: int | None = None) -> Batches:
        """The judged part, or so many samples of it drawn once for all."""
        part = self.data.judged
        if most is not None and most < len(part):
            part = part.select(order(0, len(part), "explain")[:most].sort().values)
        return Batches(part, self.data, size=min(256, self.data.task.at_once(self.data.shape)), seed=0)

    def answers(self) -> dict[str, Predictions]:
        """What each model answers to the judged part."""
        return {who: predict(entry, self.batches().ordered(), self.data.task) for who, entry in self.entries.items()}


def open_run(folder: Path, data: Data | None = None, given: Mapping[str, nn.Module] | None = None) -> Subject:
    """Read a finished run. data, given: what was not named but handed over from Python (the data, the teacher's module).

    Raises `UserError` if the run is not finished, has no teacher, or is no classification.
    """
    card = read_run(folder, predictions=False).card
    if not card or not (folder / "recipe.toml").exists():
        raise UserError(f"{folder} is not a finished run (card.json, recipe.toml); finish it with limbeck distill --resume")
    if "teacher" not in card["models"]:
        raise UserError(f"{folder} had no teacher that was there beforehand, so there is nothing to explain by it")
    recipe = make(load(folder / "recipe.toml"), str(folder / "recipe.toml"))
    chosen = data or load_data(folder, None, None)
    if chosen.task.name != CLASSIFY.name:
        raise UserError(f"explain looks at classes and confidences; the task of {chosen.name} is {chosen.task.name!r}")
    entries: dict[str, Deployed] = {}
    weights = None
    if given and "teacher" in given:
        adapter = Adapter(logits=chosen.task.finder(len(chosen.classes), tuple(chosen.shape)))
        entries["teacher"] = _entry("teacher", given["teacher"], adapter)
    else:
        weights = _teacher_weights(folder, recipe)
        entries["teacher"] = _rebuilt("teacher", recipe.teacher, weights, chosen, recipe.seed)
    if (folder / "weights" / "baseline.safetensors").exists():
        file = folder / "weights" / "baseline.safetensors"
        entries["baseline"] = _rebuilt("student", recipe.student, file, chosen, recipe.seed)
    entries["student"] = load_student(folder)[0]
    subject = Subject(folder, recipe, chosen, card, {who: entry.eval() for who, entry in entries.items()}, weights)
    _check_recorded(subject)
    return subject


def _teacher_weights(folder: Path, recipe: Recipe) -> Path:
    if recipe.teacher.weights is not None:
        return Path(recipe.teacher.weights)
    files = (folder / "weights" / f"{phase}.safetensors" for phase in ("teacher", "student"))
    found = next((file for file in files if file.exists()), None)
    if found is None:
        raise UserError(f"{folder / 'weights'} does not hold the teacher; explain needs the run folder as it was left")
    return found.resolve()


def _rebuilt(role: str, settings: ModelSettings, file: Path, data: Data, seed: int) -> Deployed:
    if settings.model.startswith("python object"):
        hint = (
            "explain(folder, data=..., given={'teacher': module})"
            if role == "teacher"
            else "a model named as package.module:factory"
        )
        raise UserError(f"the {role} was given as a {settings.model}, which cannot be rebuilt by name; use {hint}")
    module, adapter = build_role(role, settings.model_copy(update={"weights": None}), data, seed)
    load_weights(module, file, who=role)
    return _entry(role, module, adapter)


def _entry(role: str, module: nn.Module, adapter: Adapter) -> Deployed:
    return Deployed(Cast({role: module}, {role: adapter}), Tap(role))


def _check_recorded(subject: Subject) -> None:
    """The models must answer as they did when the run measured them: else the data or the weights have changed."""
    file = subject.folder / "predictions.safetensors"
    if not file.exists():
        return
    kept, labels = load_file(file), subject.data.judged.labels
    first = next(subject.batches().ordered())
    count = len(first["labels"])
    if labels is None or len(labels) != len(kept["labels"]) or not bool((kept["labels"][:count] == first["labels"]).all()):
        raise UserError(f"the data of {subject.folder} has changed since the run; explain needs the same test samples")
    for who, entry in subject.entries.items():
        said = predict(entry, [first], subject.data.task).logits.argmax(1)
        if who in kept and float((said == kept[who][:count].argmax(1)).float().mean()) < 0.98:
            raise UserError(
                f"the {who} of {subject.folder} no longer answers as recorded; its weights or preprocessing have changed"
            )
