"""What a search needs of others: Optuna, the settings it may try, who is still at work, the teacher's own figures."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from limbeck.data import Batches, Data
from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.metrics.score import distillation_score
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Tap
from limbeck.runs.settings import ModelSettings, Recipe
from limbeck.tasks.figure import finite
from limbeck.tasks.predictions import predict

SPACES: Mapping[str, Sequence[tuple[str, float, float]]] = {
    "kd": (("temperature", 1.0, 10.0), ("alpha", 0.3, 0.95)),
    "dkd": (("temperature", 1.0, 8.0), ("beta", 0.5, 8.0)),
}


def judge_teacher(recipe: Recipe, settings: ModelSettings, data: Data) -> dict[str, Any]:
    """The teacher's parameters and its score on validation, for the distillation score."""
    cast = Cast({})
    cast.add("teacher", *settings.build("teacher", data, recipe.seed))
    batches = Batches(data["validation"], data, size=data.task.at_once(data.shape), seed=0)
    seen = predict(Deployed(cast, Tap("teacher")).eval(), batches.ordered(), data.task)
    return {"parameters": sum(p.numel() for p in cast.parameters()), "validation": finite(data.task.score(seen))}


def score_of(row: Mapping[str, Any], parameters: float, score: float, alpha: float) -> float | None:
    """The distillation score of a training on validation."""
    if row["validation"] is None or row["validation"] < 0 or not parameters or score <= 0:
        return None
    return distillation_score(row["parameters"], parameters, row["validation"], score, alpha)


def alive(pid: int) -> bool:
    """Whether a process of this machine still runs."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def optuna_module() -> Any:
    """Optuna, or how to install it."""
    try:
        import optuna
    except ImportError:
        raise UserError('Optuna is not installed; run: pip install "limbeck[search]"') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
