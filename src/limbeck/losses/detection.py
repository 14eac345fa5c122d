"""Losses of detectors, one value for each place.

Letters: n samples and places, C classes with "nothing here" as the last, d numbers of a box.
"""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Float
from torch import Tensor

from limbeck.errors import need_same_shape
from limbeck.losses.traits import loss
from limbeck.transforms.numerics import pair, upcast

CHEN = "Chen et al. 2017, Learning Efficient Object Detection Models with Knowledge Distillation, NeurIPS"


@loss(family="divergence", knowledge=None, over="classes", minimum=None, source=CHEN)
def background_cross_entropy(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], *, background: float = 1.5
) -> Float[Tensor, "*n"]:
    """Soft cross-entropy that weighs the background: −Σ_c w_c p_c log q_c, w = `background` for the last class, else 1.

    student, teacher: logits. 1.5 is the paper's. At the match it is the weighted entropy of the teacher, not 0.
    Raises `UserError` on unequal shapes.

    >>> background_cross_entropy(torch.zeros(1, 2), torch.zeros(1, 2))
    tensor([0.8664])
    """
    student, teacher = pair("background_cross_entropy", student, teacher)
    weights = torch.ones(student.shape[-1], dtype=student.dtype, device=student.device)
    weights[-1] = background
    return -(weights * teacher.softmax(-1) * student.log_softmax(-1)).sum(-1)


@loss(
    family="absolute",
    knowledge=None,
    over="values",
    symmetric=True,
    source="Girshick 2015 (Fast R-CNN), https://arxiv.org/abs/1504.08083",
)
def smooth_l1(student: Float[Tensor, "*n d"], teacher: Float[Tensor, "*n d"]) -> Float[Tensor, "*n"]:
    """Sum over d of x²/2 where |x| < 1, else |x| − 1/2, x the difference. Raises `UserError` on unequal shapes.

    >>> smooth_l1(torch.tensor([[0.0, 3.0]]), torch.tensor([[1.0, 0.0]]))
    tensor([3.])
    """
    student, teacher = pair("smooth_l1", student, teacher)
    gap = (student - teacher).abs()
    return torch.where(gap < 1, gap.square() / 2, gap - 0.5).sum(-1)


@loss(family="squares", knowledge=None, over="values", raw=True, minimum=None, source=CHEN)
def bounded_regression(
    student: Float[Tensor, "*n d"], teacher: Float[Tensor, "*n d"], goal: Float[Tensor, "*n d"], *, margin: float = 0.0
) -> Float[Tensor, "*n"]:
    """‖s − y‖² where ‖s − y‖² + m > ‖t − y‖², else 0: the student is only corrected where it is worse than the teacher.

    goal: y, the true numbers. margin: m ≥ 0. Never below 0; zero at the goal, and where student and teacher agree with
    m = 0. Raises `UserError` on unequal shapes.

    >>> bounded_regression(torch.tensor([[2.0], [1.0]]), torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [0.0]]))
    tensor([4., 0.])
    """
    need_same_shape("bounded_regression", student, goal)
    student, teacher = pair("bounded_regression", student, teacher)
    mine, theirs = ((x - upcast(goal)).square().sum(-1) for x in (student, teacher))
    return torch.where(mine + margin > theirs, mine, 0.0)
