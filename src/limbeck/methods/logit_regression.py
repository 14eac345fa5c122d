"""Logits by regression."""

from limbeck import losses
from limbeck.methods._terms import task
from limbeck.plan import Method, Term, method, single_stage
from limbeck.plan.taps import Tap


@method(paper="Ba & Caruana 2014, Do Deep Nets Really Need to be Deep?, arXiv 1312.6184", year=2014, serves=("unlabelled",))
def logit_regression(weight: float = 1.0, labels: float = 0.0) -> Method:
    """The student regresses the teacher's logits, before any softmax.

    L = weight 1/2 ||z_student - z_teacher||^2 + labels CE(y, p)

    Use it when the whole answer of the teacher shall be copied, its scale included, as for a shallow student on plenty of
    unlabelled data. Large logits of a confident teacher dominate the loss; lower the weight or the rate then.

    Args:
        weight: of the regression.
        labels: of the task loss; 0 in the paper, which trains on the teacher's logits alone.
    """
    regress = Term("logits", losses.logit_regression, weight=weight, student=Tap("student"), teacher=Tap("teacher").detach())
    return single_stage(regress, *((task(weight=labels),) if labels else ()))
