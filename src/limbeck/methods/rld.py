"""A teacher's answer, refined by the label."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.schedules import linear
from limbeck.plan.taps import Field, Tap


@method(
    paper="Sun et al. 2024, Knowledge Distillation with Refined Logits (RLD), arXiv 2408.07703",
    year=2024,
    serves=("wrong labels",),
)
def rld(alpha: float = 1.0, beta: float = 8.0, temperature: float = 4.0, warm_up: float = 1 / 12) -> Method:
    """The label gets the teacher's confidence; classes that the teacher puts above the label are left out of the rest.

    L = CE(y, p) + w(t) T^2 [alpha KL(b_t || b_s) + beta KL(p^_t || p^_s)], b_t = (max p_t, rest), b_s = (p_y, rest),
    p^ = renormalised over the classes with z_t < z_t,y

    After the authors' code. alpha and beta change with the pair of networks there; these are those of `dkd`.

    Use it when the teacher makes mistakes on the training data or was trained on other labels: classes which it wrongly puts
    above the label are left out. With a teacher that is nearly always right it is close to `dkd`.

    Args:
        alpha, beta: weights. temperature: T of both parts.
        warm_up: part of the run over which w rises from 0 to 1.
    """
    sides = {"student": Tap("student"), "teacher": Tap("teacher").detach(), "labels": Field("labels")}
    parts = (("confidence", losses.rld_confidence, alpha), ("correlation", losses.rld_correlation, beta))
    terms = (
        Term(name, partial(by, temperature=temperature), weight=linear(0.0, weight, over=warm_up) if warm_up else weight, **sides)
        for name, by, weight in parts
    )
    return single_stage(task(), *terms)
