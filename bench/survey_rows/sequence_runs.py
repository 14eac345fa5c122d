"""What the rows on sequences share: where the data is, a run in a folder that is thrown away, and its record."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from limbeck.data import Batches, Data
from limbeck.deploy.student import Deployed
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.face.run import conclude
from limbeck.metrics.classification import accuracy
from limbeck.plan.taps import Tap
from limbeck.runs.recipes import make
from limbeck.runs.session import Finished, Session
from limbeck.runs.sources import Given, open_sources
from limbeck.tasks.predictions import predict

TRAIN = {"epochs": 12, "batch": 32, "optimizer": "adamw", "lr": 0.004, "weight_decay": 0.01, "clip": 5.0}


def folder(name: str) -> Path:
    """Where a data set lies: below $LIMBECK_BENCH_DATA, else $LIMBECK_DATA."""
    root = os.environ.get("LIMBECK_BENCH_DATA") or os.environ.get("LIMBECK_DATA")
    if not root:
        raise UserError("the rows on sequences need data; set LIMBECK_BENCH_DATA to the folder that holds it")
    return Path(root) / name


def model(name: str, sees: str = "", **arguments: Any) -> dict[str, Any]:
    return {"model": name, "arguments": arguments, "sees": sees}


def run(
    seed: int, given: Data, method: str, *, after: Finished | None = None, **settings: Any
) -> tuple[Finished, dict[str, Any]]:
    """Do one run and return it with its card; `settings` as in a recipe; the teachers of the run `after` are taken over."""
    arguments = settings.pop("arguments", {})
    settings = {"seed": seed, "onnx": False, "store": {"use": False}, "device": "cpu"} | settings
    settings["train"] = TRAIN | dict(settings.get("train", {}))
    with tempfile.TemporaryDirectory() as place:
        taken = Given()
        if after is not None:
            cast = after.sources.cast
            teachers = {role: module for role, module in cast.items() if role.startswith("teacher")}
            taken = Given(teachers, {role: cast.adapter_of(role) for role in teachers})
        recipe = make(settings | {"method": {"name": method, "arguments": arguments}})
        made = last(Session(open_sources(recipe, data=given, given=taken), Path(place)).steps())
        assert made is not None
        return made, conclude(made)


def score(made: Finished, data: Data, role: str) -> float:
    """Another role's accuracy on the test part, in percent."""
    found = predict(
        Deployed(made.sources.cast, Tap(role)).eval(), Batches(data["test"], data, size=256, seed=0).ordered(), data.task
    )
    return 100 * accuracy(found.logits, found.labels)


def line(made: Finished, card: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """A record of the survey from a card; `changes` take the place of what it says."""
    teacher, baseline, student = (card["models"].get(who) for who in ("teacher", "baseline", "student"))
    train = made.sources.recipe.train
    return {
        "method": card["method"]["name"],
        "budget": f"{train.epochs:g} epochs, batch {train.batch}",
        "metric": "test accuracy",
        "teacher": None if teacher is None else 100 * teacher["score"],
        "baseline": None if baseline is None else 100 * baseline["score"],
        "student": 100 * student["score"],
        "teacher_size": None if teacher is None else teacher["parameters"],
        "student_size": student["parameters"],
        "seconds": round(sum(m["train_seconds"] or 0 for m in card["models"].values()), 1),
    } | changes


def report(rows: Mapping[int, Callable[[int], dict[str, Any]]]) -> None:
    """Print a line for each row and seed; the command line may name how many seeds, and then rows."""
    import json
    import sys

    seeds, *only = map(int, sys.argv[1:] or ["3"])
    for seed in range(seeds):
        for row in only or rows:
            print(json.dumps({"row": row, "seed": seed, **rows[row](seed)}), flush=True)
