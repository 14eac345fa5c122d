"""Two normalised parts of soft labels."""

from functools import partial

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Field, Tap


@method(paper="Yang et al. 2023, From Knowledge Distillation to Self-Knowledge Distillation (NKD), arXiv 2303.13005", year=2023)
def nkd(gamma: float = 1.5, temperature: float = 1.0, labels: float = 1.0) -> Method:
    """The teacher's belief in the label weighs the task; the other classes, renormalised, are distilled apart.

    L = labels CE(y, p) - p_t,y log p_y - gamma T^2 sum_(i != y) p^_t,i log p^_i, p^ = renormalised without y

    After the authors' code (yzd-v/cls_KD), which adds the plain task loss too.

    Use it when the teacher's answer is split as in `dkd` but labels stay in charge: its belief in the label weighs the task
    sample by sample. A teacher that is wrong about a label just counts less there.

    Args:
        gamma: weight of the other classes, 1.5. temperature: T of them, 1. labels: weight of the task loss.
    """
    by = partial(losses.nkd, gamma=gamma, temperature=temperature)
    term = Term("nkd", by, student=Tap("student"), teacher=Tap("teacher").detach(), labels=Field("labels"))
    return single_stage(task(weight=labels), term)
