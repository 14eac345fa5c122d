"""Soft labels."""

from limbeck.methods._terms import soft, task
from limbeck.plan import Method, method, single_stage


@method(paper="Hinton, Vinyals & Dean 2015, Distilling the Knowledge in a Neural Network, arXiv 1503.02531", year=2015)
def kd(temperature: float = 4.0, alpha: float = 0.9) -> Method:
    """The student matches the teacher's tempered probabilities and the labels.

    L = (1 - alpha) CE(y, p) + alpha T^2 KL(p_teacher^T || p_student^T)

    Use it when you start: any classifier, any two architectures, only the teacher's logits are needed and its answers can be
    stored. It says least where classes are few or the teacher is sure of everything, and a very large teacher can be too hard to
    follow.

    Args:
        temperature: T > 0; 4 is the field's usual choice on CIFAR (Tian et al. 2020).
        alpha: share of the teacher, 0 .. 1; 0.9 likewise.
    """
    return single_stage(task(weight=1 - alpha), soft(temperature=temperature, weight=alpha))
