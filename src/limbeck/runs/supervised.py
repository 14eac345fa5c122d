"""How a role learns from the labels alone: the supervised baseline of every task, by gradient or fitted at once."""

from dataclasses import replace

from limbeck import methods
from limbeck.models.fitted import Fitted, fit_role, whole_train
from limbeck.plan import Method, Stage
from limbeck.plan.roles import Cast
from limbeck.tasks.bind import bind
from limbeck.tasks.task import Task


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
