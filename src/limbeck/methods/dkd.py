"""Target and non-target knowledge apart."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import rest_weight, task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.schedules import linear
from limbeck.plan.taps import Field, Tap


@method(paper="Zhao et al. 2022, Decoupled Knowledge Distillation, arXiv 2203.08679", year=2022, by_classes={"beta": rest_weight})
def dkd(alpha: float = 1.0, beta: float | None = None, temperature: float = 4.0, warm_up: float = 1 / 12) -> Method:
    """KD split into the target class against the rest (alpha) and the rest among themselves (beta).

    L = CE(y, p) + ramp T^2 (alpha KL(b_t || b_s) + beta KL(p^_t || p^_s)), b = (p_y, 1 - p_y),
    p^ = p renormalised without y

    Use it when the task has many classes and the teacher is well trained: the weight of its probabilities of the wrong classes is
    set apart from its confidence.

    Args:
        alpha: weight of the target's part. beta: of the rest's; 1 and 8 are the authors' for CIFAR-100 ResNet pairs. None: 1 up
            to 20 classes of the data, 8 beyond, and 8 as long as there is no data.
        temperature: T.
        warm_up: part of the run over which the distillation weight rises from 0 (authors: 20 of 240 epochs).
    """
    by = partial(losses.dkd, alpha=alpha, beta=8.0 if beta is None else beta, temperature=temperature)
    weight = linear(0.0, 1.0, over=warm_up) if warm_up else 1.0
    term = Term("dkd", by, weight=weight, student=Tap("student"), teacher=Tap("teacher").detach(), labels=Field("labels"))
    return single_stage(task(), term)
