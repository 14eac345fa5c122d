"""A figure of the user's own beside a task's: any function of predictions and labels."""

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from limbeck.errors import UserError, reason
from limbeck.files.programs import find, is_program
from limbeck.tasks.figure import Figure, Judged
from limbeck.tasks.task import Task

Metric = Callable[[np.ndarray, np.ndarray], float]
"""From predictions, as the task keeps them (logits (n, C) of a classification), and labels to a number."""


@dataclass(frozen=True)
class Own:
    """A metric as the value of a figure; what it raises, and what is no finite number, is an unknown value."""

    by: Metric

    def __call__(self, judged: Judged) -> float | None:
        try:
            return self.asked(judged)
        except UserError:
            return None

    def asked(self, judged: Judged) -> float:
        """The value. Raises `UserError` where the metric fails, or gives no number."""
        try:
            found = float(self.by(judged.predictions.answers.numpy(), judged.predictions.labels.numpy()))
        except Exception as error:  # code of the user's
            raise UserError(f"the metric {_called(self.by)} fails ({reason(error)[:150]}); correct it") from error
        if not isfinite(found):
            raise UserError(f"the metric {_called(self.by)} gives {found}; let it return a finite number")
        return found


def with_metric(task: Task, metric: str | Metric) -> Task:
    """The task with a further figure, behind its score: called as the function is, higher is better unless the function has an
    attribute `greater_is_better` that is false; its first line of documentation is the definition.

    Args:
        metric: a function (predictions, labels) -> number, or where one is: `package.module:function`.

    Raises:
        UserError: it is no function, or the task has a figure of that name.
    """
    by: Any = metric
    if isinstance(metric, str):
        if not is_program(metric):
            raise UserError(f"data.metric = {metric!r} is no package.module:function; write both sides of the colon")
        by = find(metric, "metric")
    if not callable(by):
        raise UserError(f"the metric {metric!r} is a {type(by).__name__}; name a function of predictions and labels")
    name = _called(by)
    if any(figure.key == name for figure in task.figures):
        raise UserError(f"a task of {task.name} has a figure {name!r} already; give your function another name")
    words = str(getattr(by, "__doc__", None) or "A metric of your own.").strip().splitlines()[0]
    better = "higher" if getattr(by, "greater_is_better", True) else "lower"
    figure = Figure(name, name.replace("_", " "), Own(by), words, better=better, form=".4g")  # type: ignore[arg-type]
    first, *others = task.figures
    kind = type(type(task).__name__, (type(task),), {"figures": (first, figure, *others)})
    made: Task = object.__new__(kind)
    made.__dict__.update(vars(task))
    return made


def own_figures(task: Task) -> list[Own]:
    """The metrics of the user's own that a task has."""
    return [figure.value for figure in task.figures if isinstance(figure.value, Own)]


def _called(by: object) -> str:
    inner = getattr(by, "func", by)  # of a functools.partial
    return str(getattr(inner, "__name__", type(inner).__name__))
