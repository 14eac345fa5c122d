"""What a search needs of others: Optuna, the settings it may try, who is still at work, the teacher's own figures."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limbeck.data import Batches, Data
from limbeck.deploy.student import Deployed
from limbeck.errors import UserError
from limbeck.files.locks import alive
from limbeck.metrics.score import distillation_score
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Tap
from limbeck.runs.settings import ModelSettings, Recipe
from limbeck.shrinking.schema import TeacherRow, TrialRow
from limbeck.tasks.figure import finite
from limbeck.tasks.predictions import predict

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial


@dataclass(frozen=True)
class FittingCost:
    """What a candidate that fits costs."""

    latency_ms: float
    bytes: int
    parameters: int


SPACES: Mapping[str, Sequence[tuple[str, float, float]]] = {
    "kd": (("temperature", 1.0, 10.0), ("alpha", 0.3, 0.95)),
    "dkd": (("temperature", 1.0, 8.0), ("beta", 0.5, 8.0)),
}


def judge_teacher(recipe: Recipe, settings: ModelSettings, data: Data) -> TeacherRow:
    """The teacher's parameters and its score on validation, for the distillation score."""
    cast = Cast({})
    cast.add("teacher", *settings.build("teacher", data, recipe.seed))
    batches = Batches(data["validation"], data, size=data.task.at_once(data.shape), seed=0)
    seen = predict(Deployed(cast, Tap("teacher")).eval(), batches.ordered(), data.task)
    return {"parameters": sum(p.numel() for p in cast.parameters()), "validation": finite(data.task.score(seen))}


def score_of(row: TrialRow, parameters: float, score: float, alpha: float) -> float | None:
    """The distillation score of a training on validation."""
    if row["validation"] is None or row["validation"] < 0 or not parameters or score <= 0:
        return None
    return distillation_score(row["parameters"], parameters, row["validation"], score, alpha)


def need_optuna() -> None:
    """See that Optuna is there, or say how to install it."""
    try:
        import optuna
    except ImportError:
        raise UserError('Optuna is not installed; run: pip install "limbeck[search]"') from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def open_study(storage: str, seed: int) -> "Study":
    """The study of a storage, new or as it was left. Raises `UserError` where Optuna cannot use the storage."""
    import optuna

    try:
        return optuna.create_study(
            study_name="limbeck",
            storage=storage,
            sampler=sampler(seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=1),
            direction="maximize",
            load_if_exists=True,
        )
    except Exception as error:  # each storage has errors of its own
        why = str(error).splitlines()[0][:160]
        raise UserError(f"Optuna cannot use the storage {storage}: {why}; check --storage") from error


def done(study: "Study") -> int:
    """Trainings that need not be continued."""
    trials = study.get_trials(deepcopy=False)
    return sum(t.state.name in ("COMPLETE", "PRUNED") or "error" in t.user_attrs for t in trials)


def left_behind(study: "Study", shared: bool) -> "list[Trial]":
    """Trainings that a killed process left behind, to be continued under their numbers, the oldest first.

    shared: other machines work on the study, and only what died on this one is taken.
    """
    from optuna.trial import Trial, TrialState

    found = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        worker = trial.user_attrs.get("worker")
        if not shared or (worker and worker[0] == platform.node() and not alive(worker[1])):
            found.append(Trial(study, trial._trial_id))
    return found


def steps_told(trial: "Trial") -> set[int]:
    """The steps of which a trial has a score."""
    frozen = next(each for each in trial.study.get_trials(deepcopy=False) if each.number == trial.number)
    return set(frozen.intermediate_values)


def sampler(seed: int) -> "BaseSampler":
    """What draws settings."""
    import optuna

    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=6)


def trial_rows(study: "Study", costs: Mapping[str, FittingCost]) -> list[TrialRow]:
    """Every training of a candidate whose cost is known, with its settings and score; a running one's score so far."""
    rows: list[TrialRow] = []
    for trial in study.get_trials(deepcopy=False):
        name = str(trial.params.get("candidate"))
        if name not in costs:
            continue
        values, cost = list(trial.intermediate_values.values()), costs[name]
        rows.append({
            "number": trial.number, "state": trial.state.name.lower(), "folder": trial.user_attrs.get("folder"),
            "candidate": name, "settings": {k: v for k, v in trial.params.items() if k != "candidate"},
            "latency_ms": cost.latency_ms, "bytes": cost.bytes, "parameters": cost.parameters,
            "validation": trial.value if trial.value is not None else (values[-1] if values else None),
            "error": trial.user_attrs.get("error"),
        })  # fmt: skip
    return rows
