"""What a phase of a run is made of: the labels-only method of a role, the judge on validation, and a phase taken up again."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from limbeck import engine, methods, models
from limbeck.data import Batches, Data
from limbeck.data.streams import Streams
from limbeck.deploy.student import Deployed, used
from limbeck.models.fitted import Fitted, fit_role, whole_train
from limbeck.plan import Method, Stage
from limbeck.plan.roles import Cast
from limbeck.tasks.bind import bind
from limbeck.tasks.predictions import predict
from limbeck.tasks.task import Task


def validator(method: Method, data: Data) -> Callable[[Cast], Mapping[str, float]] | None:
    """What measures the deployed answer on validation; None where the data has no such part."""
    if "validation" not in data.partitions:
        return None
    batches = list(Batches(data["validation"], data, size=data.task.at_once(data.shape), seed=0).ordered())

    def validate(cast: Cast) -> Mapping[str, float]:
        if not all(name in cast for name in used(method.deployed)):
            return {}
        device = next(iter(cast.state_dict().values())).device
        seen = predict(Deployed(cast, method.deployed).to(device).eval(), batches, data.task)
        return {"accuracy": data.task.score(seen)}

    return validate


def supervised(task: Task, cast: Cast, role: str = "student") -> Method:
    """How a role learns from the labels alone: `alone`, bound to the task, at once where the role has no gradient."""
    return at_once(bind(methods.alone(role=role), task), cast)


def at_once(method: Method, cast: Cast) -> Method:
    """The method with every stage that gives labels, and nothing else, to one role without gradient turned into a fit."""
    return method.but(stages=tuple(_fitted(stage) if _is_fit(stage, cast) else stage for stage in method.stages))


def _is_fit(stage: Stage, cast: Cast) -> bool:
    update = stage.updates[0]
    plain = len(stage.updates) == 1 and len(update.terms) == 1 and update.apply is None and update.trains[0] in cast
    return plain and isinstance(cast[update.trains[0]], Fitted) and "labels" in update.terms[0].inputs


def _fitted(stage: Stage) -> Stage:
    return Stage("fit", (replace(stage.updates[0], source=whole_train, apply=fit_role),), share=stage.share, steps=1)


def load_phase(method: Method, cast: Cast, streams: Streams, weights: Path, seed: int) -> None:
    """Make what the method adds to the cast, then load the weights of all."""
    engine.check.build_parts(method, cast, streams(("train",), 0) if method.parts else {})
    for index, stage in enumerate(method.stages):
        for action in stage.before:
            action(cast, seed=seed + index)
    models.load_weights(cast, weights, who="run")
