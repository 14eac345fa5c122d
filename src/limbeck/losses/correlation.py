"""Losses that compare how answers vary, not what they are: correlations between and within classes.

Letters: n samples, C classes, q = softmax(z_s/T) and p = softmax(z_t/T). All logits must be finite.
"""
# ruff: noqa: F722, F821

from jaxtyping import Float
from torch import Tensor

from limbeck.losses.response import log_pair
from limbeck.losses.traits import loss
from limbeck.transforms.numerics import pearson

DIST = "Huang et al. 2022, https://arxiv.org/abs/2205.10536; code hunto/image_classification_sota dist_kd.py"


@loss(family="correlation", knowledge=None, over="classes", symmetric=True, source=DIST)
def dist_inter(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    *,
    temperature: float = 1.0,
    eps: float = 0.0,
) -> Float[Tensor, "*n"]:
    """DIST between classes: T² (1 − pearson_j(q, p)) for each sample.

    student, teacher: logits, C ≥ 2. temperature: T > 0, the code's 1. eps: added to the
    product of the lengths; the code's 1e-8 keeps a match from being 0. Raises `UserError` on unequal shapes.

    >>> import torch
    >>> dist_inter(torch.tensor([[0.0, 1.0]]), torch.tensor([[2.0, 0.0]]))
    tensor([2.])
    """
    log_q, log_p = log_pair("dist_inter", student, teacher, temperature)
    return temperature**2 * (1 - pearson(log_q.exp(), log_p.exp(), eps=eps))


@loss(family="correlation", knowledge=None, over="classes", batchwise=True, symmetric=True, source=DIST)
def dist_intra(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    *,
    temperature: float = 1.0,
    eps: float = 0.0,
) -> Float[Tensor, "*n"]:
    """DIST within a class: T² (1 − mean_j pearson_n(q_·j, p_·j)), one number given to every sample.

    student, teacher: logits, at least two samples. temperature: T > 0. eps: as in `dist_inter`.
    Raises `UserError` on unequal shapes.

    >>> import torch
    >>> dist_intra(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 2.0]]))
    tensor([2., 2.])
    """
    log_q, log_p = log_pair("dist_intra", student, teacher, temperature)
    q, p = log_q.exp().flatten(0, -2), log_p.exp().flatten(0, -2)
    return (temperature**2 * (1 - pearson(q, p, dim=0, eps=eps).mean())).expand(student.shape[:-1])


@loss(family="correlation", knowledge=None, over="classes", batchwise=True, symmetric=True, source=DIST)
def dist(
    student: Float[Tensor, "*n classes"],
    teacher: Float[Tensor, "*n classes"],
    *,
    beta: float = 1.0,
    gamma: float = 1.0,
    temperature: float = 1.0,
    eps: float = 0.0,
) -> Float[Tensor, "*n"]:
    """DIST, match correlations instead of values: β `dist_inter` + γ `dist_intra`.

    student, teacher: logits. beta, gamma: ≥ 0; 1 and 1 are the code's defaults. temperature: T > 0.
    eps: as in `dist_inter`, where the code has 1e-8.
    Raises `UserError` on unequal shapes. Huang et al. 2022, https://arxiv.org/abs/2205.10536.

    >>> import torch
    >>> dist(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 2.0]]))
    tensor([4., 4.])
    """
    inter = dist_inter(student, teacher, temperature=temperature, eps=eps)
    return beta * inter + gamma * dist_intra(student, teacher, temperature=temperature, eps=eps)
