"""A teacher's answer, refined by the label."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import rest_weight, task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.schedules import linear
from limbeck.plan.taps import Field, Tap


@method(
    paper="Sun et al. 2024, Knowledge Distillation with Refined Logits (RLD), arXiv 2408.07703",
    year=2024,
    serves=("wrong labels",),
    by_classes={"beta": rest_weight},
)
def rld(
    alpha: float = 1.0,
    beta: float | None = None,
    temperature: float = 4.0,
    confidence_temperature: float = 1.0,
    warm_up: float = 1 / 12,
) -> Method:
    """The label gets the teacher's confidence; classes that the teacher puts above the label are left out of the rest.

    L = CE(y, p) + w(t) [alpha T_c^2 KL(b_t || b_s) + beta T^2 KL(p^_t || p^_s)], b_t = (max p_t, rest), b_s = (p_y, rest),
    p^ = renormalised over the classes with z_t < z_t,y

    After the authors' code. alpha and beta change with the pair of networks there; these are those of `dkd`.

    Use it when the teacher makes mistakes on the training data or was trained on other labels: classes which it wrongly puts
    above the label are left out. With a teacher that is nearly always right it is close to `dkd` with a sharper first part.

    Args:
        alpha: weight of the confidence. beta: of the rest; None: as in `dkd`. temperature: T of the rest, 4.
        confidence_temperature: T_c, 1; at T both parts are `dkd` wherever the teacher is right.
        warm_up: part of the run over which w rises from 0 to 1.
    """
    sides = {"student": Tap("student"), "teacher": Tap("teacher").detach(), "labels": Field("labels")}
    parts = (
        ("confidence", partial(losses.rld_confidence, temperature=confidence_temperature), alpha),
        ("correlation", partial(losses.rld_correlation, temperature=temperature), 8.0 if beta is None else beta),
    )
    terms = (
        Term(name, by, weight=linear(0.0, weight, over=warm_up) if warm_up else weight, **sides) for name, by, weight in parts
    )
    return single_stage(task(), *terms)
