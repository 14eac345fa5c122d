"""How much of the gain is label smoothing, re-weighting of examples, relations between classes: by training without them.

Five students with the same recipe, budget and, per seed, the same initial weights, order and views: on the labels alone, on
smoothed labels, on the teacher's confidence, on the teacher's labels with the rest shuffled, on the teacher's labels.
The parts are differences of their accuracies and add up to the whole gain:

    smoothing = smoothing - labels,  re-weighting = confidence - smoothing,  relations = full - confidence
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from typing_extensions import TypedDict

from limbeck import methods
from limbeck.data import Batches, Data
from limbeck.data.views import parse
from limbeck.deploy.student import Deployed
from limbeck.engine.turns import last
from limbeck.explanation import removed
from limbeck.explanation.schema import Arm, Parts, TakenApart
from limbeck.explanation.subject import Subject
from limbeck.files import read_json, write_json
from limbeck.metrics.significance import corrected, mean_interval, paired
from limbeck.plan import Method
from limbeck.plan.taps import Tap
from limbeck.runs.events import Listener, Message, RunBegins
from limbeck.runs.folder import open_folder
from limbeck.runs.recipes import make
from limbeck.runs.session import Session
from limbeck.runs.settings import Recipe
from limbeck.runs.sources import Given, open_sources
from limbeck.tasks.figure import finite
from limbeck.tasks.predictions import predict

ANSWERED, VERSION = "answered.json", 1
TEMPERATURE, ALPHA = 4.0, 0.9  # of `kd`, for methods that have none of their own
ARMS = ("labels", "smoothing", "confidence", "shuffled", "full")
PARTS = {  # name -> (with it, without it)
    "label smoothing": ("smoothing", "labels"),
    "re-weighting of examples": ("confidence", "smoothing"),
    "relations between classes": ("full", "confidence"),
}


class Answered(TypedDict):
    """What answered.json holds of a student that is done."""

    version: int
    accuracy: float


@dataclass(frozen=True)
class Taught:
    """What the students of a decomposition share: settings, data, teacher, and the parts' own settings.

    teacher: from raw inputs to logits, as it was in the run. amount: mean of its 1 - p_y over the training part.
    """

    recipe: Recipe
    data: Data
    folder: Path
    temperature: float
    alpha: float
    amount: float
    teacher: Deployed

    def arm(self, name: str) -> Method:
        """The declaration of one of the five."""
        how = {"temperature": self.temperature, "alpha": self.alpha}
        if name == "labels":
            return methods.alone()
        if name == "smoothing":
            return removed.smoothing(self.amount, **how)
        return {"confidence": removed.confidence, "shuffled": removed.shuffled, "full": removed.full}[name](**how)


def unfit(subject: Subject) -> str:
    """Why this run's gain cannot be taken apart, or nothing."""
    recipe, train = subject.recipe, subject.data["train"]
    if recipe.student.model.startswith("python object"):
        return "the student was given as a Python object, of which no fresh one can be built by name"
    if not any(True for _ in subject.entries["student"].parameters()):
        return "the student is fitted at once, not by gradient"
    if parse(recipe.data.augment).mixes:
        return "the recipe's view mixes samples, so that they have no single label"
    if train.labels is None or bool((train.labels < 0).any()):
        return "not every training sample has a label"
    return ""


def settings_of(subject: Subject) -> dict[str, float]:
    """The temperature and share of the teacher's labels: the run's own where its method has them, else those of `kd`."""
    given = subject.recipe.method.arguments
    usual = {"temperature": TEMPERATURE, "alpha": ALPHA}
    own = {k: float(v) for k, v in given.items() if k in usual and isinstance(v, int | float)}
    return usual | own


@torch.no_grad()
def mean_doubt(teacher: Deployed, data: Data, temperature: float) -> float:
    """Mean of 1 - p_y over the training part, unaugmented, at a temperature: how much the teacher smooths on average."""
    seen = predict(teacher, Batches(data["train"], data, size=256, seed=0).ordered(), data.task)
    soft = (seen.logits.double() / temperature).softmax(1)
    return round(float(1 - soft.gather(1, seen.labels[:, None]).mean()), 6)


def taught_by(subject: Subject) -> Taught:
    """The decomposition of a run."""
    how = settings_of(subject)
    teacher = subject.entries["teacher"]
    amount = mean_doubt(teacher, subject.data, how["temperature"])
    return Taught(subject.recipe, subject.data, subject.folder / "explain", amount=amount, teacher=teacher, **how)


def take_apart(taught: Taught, seeds: Sequence[int], listen: Listener) -> TakenApart:
    """Train what is not trained yet, and say what each part was worth; ready for JSON."""
    scores: dict[str, list[float]] = {name: [] for name in ARMS}
    total = len(ARMS) * len(seeds)
    for number, (seed, name) in enumerate((s, n) for s in seeds for n in ARMS):
        listen(RunBegins(name, seed, number, total))
        scores[name].append(_score(taught, name, seed, listen))
    return {
        "temperature": taught.temperature,
        "alpha": taught.alpha,
        "amount": taught.amount,
        "seeds": list(seeds),
        "samples": len(taught.data.judged),
        "arms": {name: _arm(values) for name, values in scores.items()},
        **parts(scores),
    }


def parts(scores: Mapping[str, Sequence[float]]) -> Parts:
    """The parts in points of accuracy, each with its interval over the seeds, and p corrected for their number (Holm)."""
    points = {name: [100 * v for v in values] for name, values in scores.items()}
    found = corrected([paired(points[more], points[less]) for more, less in PARTS.values()])
    whole, check = paired(points["full"], points["labels"]), paired(points["full"], points["shuffled"])
    plain = {name: each.plain() for name, each in zip(PARTS, found, strict=True)}
    return {"parts": plain, "gain": whole.plain(), "against_shuffled": check.plain()}


def _arm(values: Sequence[float]) -> Arm:
    mean, low, high = mean_interval(values)
    return {"accuracy": list(values), "mean": mean, "low": finite(low), "high": finite(high)}


def _score(taught: Taught, name: str, seed: int, listen: Listener) -> float:
    """Train one student, unless an earlier go has, and ask it the judged part."""
    method = taught.arm(name)
    recipe = _recipe(taught, method, seed)
    with open_folder(taught.folder / f"{name}-seed{seed}", recipe, resume=True) as folder:
        return _answered(folder, taught, method, recipe, listen)


def _answered(folder: Path, taught: Taught, method: Method, recipe: Recipe, listen: Listener) -> float:
    done = folder / ANSWERED
    if done.exists():
        return read_json(done, Answered, VERSION)["accuracy"]
    quiet = lambda event: None if isinstance(event, Message) else listen(event)  # noqa: E731  of every student the same
    cast = taught.teacher.cast  # given as it is, not by its path: a run folder may be moved
    given = Given({"teacher": cast["teacher"]}, {"teacher": cast.adapter_of("teacher")})
    sources = open_sources(recipe, method=method, data=taught.data, given=given)
    last(Session(sources, folder, quiet).learning())
    back = sources.cast.to(torch.device("cpu"))  # the teacher too: the next student has the same one
    student = Deployed(back, Tap("student")).eval()
    seen = predict(student, Batches(taught.data.judged, taught.data, size=256, seed=0).ordered(), taught.data.task)
    accuracy = taught.data.task.score(seen)
    write_json(done, Answered(version=VERSION, accuracy=accuracy))
    return accuracy


def _recipe(taught: Taught, method: Method, seed: int) -> Recipe:
    """The run's own settings but for the method; its name says where the declaration is."""
    settings = taught.recipe.model_dump(mode="json", exclude_none=True)
    own = method.name if method.name in methods.CATALOGUE else f"explain.{method.name}"
    settings |= {"seed": seed, "baseline": False, "onnx": False, "tensorboard": False, "roles": {}}
    settings["method"] = {"name": own, "arguments": dict(method.arguments)}
    return make(settings)
