"""How a role learns from the labels alone: the supervised baseline of every task, by gradient or fitted at once."""

from dataclasses import replace
from functools import partial

from limbeck import methods
from limbeck.data import Data
from limbeck.errors import UserError
from limbeck.losses import cross_entropy
from limbeck.models.fitted import Fitted, fit_role, whole_train
from limbeck.plan import Method, Stage
from limbeck.plan.roles import Cast
from limbeck.runs.settings import TrainSettings
from limbeck.tasks.bind import Loss, bind
from limbeck.tasks.task import Task


def supervised(task: Task, cast: Cast, role: str = "student", labels: Loss | None = None) -> Method:
    """How a role learns from the labels alone: `alone`, bound to the task, at once where the role has no gradient.

    labels: see `bind`.
    """
    own = task.alone(role)
    if own is not None:
        return own
    return at_once(bind(methods.alone(role=role), task, labels), cast)


def learns_from_labels(data: Data) -> bool:
    """Whether there are labels that a supervised baseline could learn from."""
    return not data.task.headless or data.task.alone("student") is not None


def at_once(method: Method, cast: Cast) -> Method:
    """The method with every stage that gives labels, and nothing else, to one role without gradient turned into a fit."""
    return method.but(stages=tuple(_fitted(stage) if _is_fit(stage, cast) else stage for stage in method.stages))


def _is_fit(stage: Stage, cast: Cast) -> bool:
    update = stage.updates[0]
    plain = len(stage.updates) == 1 and len(update.terms) == 1 and update.apply is None and update.trains[0] in cast
    return plain and isinstance(cast[update.trains[0]], Fitted) and "labels" in update.terms[0].inputs


def _fitted(stage: Stage) -> Stage:
    return Stage("fit", (replace(stage.updates[0], source=whole_train, apply=fit_role),), share=stage.share, steps=1)


def label_loss(train: TrainSettings, data: Data) -> Loss | None:
    """The loss of labels that settings ask for; None for plain cross-entropy. Class c weighs n / (C n_c), on average 1.

    Raises `UserError` where the data has no classes to be weighed.
    """
    known = data["train"].labels
    if data.task.headless and (train.label_smoothing or train.class_weights != "none"):
        raise UserError("train.label_smoothing and train.class_weights are for labels, which teach no encoder; leave them out")
    weights: tuple[float, ...] = ()
    if train.class_weights == "balanced":
        counts = None if known is None else data.task.occurrences(known, len(data.classes))
        if counts is None or len(counts) != len(data.classes):
            raise UserError(f"train.class_weights is for classes, and {data.name} has none that can be counted; leave it out")
        there = [count for count in counts if count]
        weights = tuple(round(sum(there) / (len(there) * count), 9) if count else 0.0 for count in counts)
    if not weights and not train.label_smoothing:
        return None
    return partial(cross_entropy, label_smoothing=train.label_smoothing, weights=weights)
