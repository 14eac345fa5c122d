"""Target and non-target knowledge apart."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.schedules import linear
from limbeck.plan.taps import Field, Tap


@method(paper="Zhao et al. 2022, Decoupled Knowledge Distillation, arXiv 2203.08679", year=2022)
def dkd(alpha: float = 1.0, beta: float = 8.0, temperature: float = 4.0, warm_up: float = 1 / 12) -> Method:
    """KD split into the target class against the rest (alpha) and the rest among themselves (beta).

    L = CE(y, p) + ramp T^2 (alpha KL(b_t || b_s) + beta KL(p^_t || p^_s)), b = (p_y, 1 - p_y),
    p^ = p renormalised without y

    Use it when the task has many classes and the teacher is well trained: the weight of its probabilities of the wrong classes is
    set apart from its confidence. With ten classes or fewer the defaults, tuned for a hundred, are strong and should be lowered.

    Args:
        alpha, beta: weights; 1 and 8 are the authors' for CIFAR-100 ResNet pairs.
        temperature: T.
        warm_up: part of the run over which the distillation weight rises from 0 (authors: 20 of 240 epochs).
    """
    by = partial(losses.dkd, alpha=alpha, beta=beta, temperature=temperature)
    weight = linear(0.0, 1.0, over=warm_up) if warm_up else 1.0
    term = Term("dkd", by, weight=weight, student=Tap("student"), teacher=Tap("teacher").detach(), labels=Field("labels"))
    return single_stage(task(), term)
