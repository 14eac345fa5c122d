"""What the rows share: a run through `limbeck.runs.session`, with teachers and baselines of equal settings trained once.

A trained phase lies in a run folder under `weights/`, and a run that finds one there continues after it. So a teacher or a
baseline that another row has trained with the same data, network, budget and seed is copied there: the same bits.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from limbeck.data import Batches
from limbeck.deploy.student import Deployed
from limbeck.engine.turns import last
from limbeck.face.run import conclude
from limbeck.metrics.classification import accuracy
from limbeck.plan import Method
from limbeck.plan.taps import Source, Tap
from limbeck.runs.recipes import make
from limbeck.runs.session import Finished, Session
from limbeck.runs.settings import Recipe
from limbeck.runs.sources import open_sources
from limbeck.tasks.predictions import predict

Model = tuple[str, dict[str, Any]]
TRAIN = {"epochs": 15, "batch": 32, "lr": 0.05}
MNIST = {"name": "mnist", "limit": 4000, "validation": 0.1, "download": False}
# few images and many epochs, as in the papers: networks that can learn their training part by heart have something to gain
FASHION = {"name": "fashion_mnist", "limit": 1200, "validation": 0.1, "download": False}
MANY = {"epochs": 45}
SMALL: dict[str, Any] = {"model": "resnet8", "arguments": {"width": 4}}
LARGE: dict[str, Any] = {"model": "resnet8", "arguments": {"width": 8}}
# five views that repeat: what a frozen teacher says of them is stored once for all rows and seeds
CIFAR = {"name": "cifar10", "limit": 4000, "validation": 0.1, "download": False, "augment": "crop,flip", "views": 5}
WORDS = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10"}


def resnet(depth: int, data: Path | None = None) -> dict[str, Any]:
    """A published CIFAR-10 ResNet with its weights and preprocessing; it was trained on all 50,000 images.

    data: the folder of all data, else $LIMBECK_DATA.
    """
    folder = (data or Path(os.environ["LIMBECK_DATA"])) / "pretrained_cifar10_resnet"
    (weights,) = folder.glob(f"resnet{depth}-*.th")
    return {"model": f"resnet{depth}", "weights": str(weights), "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def model(name: str, **arguments: Any) -> dict[str, Any]:
    return {"model": name, "arguments": arguments}


def run(
    row: int,
    seed: int,
    *,
    method: str,
    data: Mapping[str, Any],
    student: dict[str, Any],
    arguments: Mapping[str, Any] | None = None,
    teacher: dict[str, Any] | None = None,
    roles: Mapping[str, dict[str, Any]] | None = None,
    train: Mapping[str, Any] | None = None,
    baseline: bool = True,
    own: Method | None = None,
    tag: str = "",
) -> tuple[Finished, dict[str, Any]]:
    """Do one run in a folder of its own and return it with its card."""
    work = Path(os.environ["LIMBECK_SURVEY_WORK"])
    settings: dict[str, Any] = {
        "seed": seed,
        "onnx": False,
        "baseline": baseline,
        "device": "cpu",
        "data": dict(data),
        "method": {"name": method, "arguments": dict(arguments or {})},
        "student": student,
        "roles": dict(roles or {}),
        "train": TRAIN | (MANY if data["name"] == "fashion_mnist" else {}) | dict(train or {}),
        "store": {"path": str(work / "store"), "limit_gb": 2.0},
    } | ({"teacher": teacher} if teacher else {})
    recipe = make(settings, f"row {row}")
    folder = work / f"row{row}{tag}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "weights").mkdir(parents=True)
    shared = {"baseline": _key(recipe, "baseline", student)}
    if teacher and not teacher.get("weights") and method not in OWN_TEACHER:
        shared["teacher"] = _key(recipe, "teacher", teacher)
    for who, key in shared.items():
        for file in (work / "trained").glob(f"{key}.*"):
            shutil.copy(file, folder / "weights" / f"{who}{file.suffix}")
    made = last(Session(open_sources(recipe, method=own), folder).steps())
    assert made is not None
    card = conclude(made)
    (work / "trained").mkdir(exist_ok=True)
    for who, key in shared.items():
        for file in (folder / "weights").glob(f"{who}.*"):
            shutil.copy(file, work / "trained" / f"{key}{file.suffix}")
    return made, card


def well_trained(seed: int) -> dict[str, Any]:
    """The larger network with weights from ten times the images: a teacher that knows more than its student can see."""
    weights = Path(os.environ["LIMBECK_SURVEY_WORK"]) / f"row0-{seed}" / "student.safetensors"
    if not weights.exists():
        data = FASHION | {"limit": 12000}
        run(0, seed, method="alone", data=data, student=LARGE, train={"epochs": 10}, baseline=False)
    return LARGE | {"weights": str(weights)}


TAUGHT = "the teacher: 10 epochs of 12,000 images"
OWN_TEACHER = ("rco", "rco_greedy", "gradual")  # train the role "teacher" themselves


def _key(recipe: Recipe, who: str, settings: Mapping[str, Any]) -> str:
    facts = {"who": who, "model": dict(settings), "seed": recipe.seed}
    facts |= {"data": recipe.data.model_dump(), "train": recipe.train.model_dump()}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def also(made: Finished, source: Source | str) -> tuple[float, int]:
    """(test accuracy in percent, parameters) of another answer of the same trained cast: a larger peer, the last exit."""
    data = made.sources.data
    entry = Deployed(made.sources.cast, Tap(source) if isinstance(source, str) else source).eval()
    found = predict(entry, Batches(data.judged, data, size=256, seed=0).ordered(), data.task)
    example = next(Batches(data.judged, data, size=2, seed=0).ordered())["inputs"]
    return 100 * accuracy(found.logits, found.labels), entry.parameter_count(example)


def line(made: Finished, card: Mapping[str, Any], *, words: str = "", **changes: Any) -> dict[str, Any]:
    """A record of the survey from a card; `changes` take the place of what it says."""
    found, recipe = card["models"], made.sources.recipe
    teacher, baseline, student = (found.get(who) for who in ("teacher", "baseline", "student"))
    kept = {
        "method": card["method"]["name"],
        "arguments": recipe.method.arguments,
        "data": f"{WORDS.get(recipe.data.name, recipe.data.name)}, {recipe.data.limit:,} training images",
        "budget": f"{recipe.train.epochs:g} epochs, batch {recipe.train.batch}{', ' + words if words else ''}",
        "metric": "test accuracy",
        "networks": " -> ".join(
            _model_words(m) for m in (recipe.teacher if "teacher" in found else None, recipe.student) if m is not None
        ),
        "teacher": None if teacher is None else 100 * teacher["score"],
        "baseline": None if baseline is None else 100 * baseline["score"],
        "student": 100 * student["score"],
        "teacher_size": None if teacher is None else teacher["parameters"],
        "student_size": student["parameters"],
        "teacher_bytes": None if teacher is None else teacher["bytes"],
        "student_bytes": student["bytes"],
        "seconds": round(sum(m["train_seconds"] or 0 for m in found.values()), 1),
    }
    return kept | changes


def _model_words(settings: Any) -> str:
    return settings.model + (f"({', '.join(f'{k}={v}' for k, v in settings.arguments.items())})" if settings.arguments else "")
