"""Losses on what is computed from feature maps: where they attend, how one layer leads to the next.

Letters: n samples, c channels, h × w positions; F_s and F_t the two sides' features.
"""
# ruff: noqa: F722, F821

import torch.nn.functional as F  # noqa: N812
from jaxtyping import Float
from torch import Tensor

from limbeck.losses.traits import loss
from limbeck.transforms import attention_map, flow_matrix
from limbeck.transforms.numerics import norm, pair, same_samples

ATTENTION = "Zagoruyko & Komodakis 2017, https://arxiv.org/abs/1612.03928"
FSP = "Yim et al. 2017 (FSP), CVPR"


@loss(
    family="squares",
    knowledge="attention maps",
    over="values",
    symmetric=True,
    source=ATTENTION + "; code szagoruyko/attention-transfer, mdistiller AT.py",
)
def attention(
    student: Float[Tensor, "n c1 h w"], teacher: Float[Tensor, "n c2 h w"], *, power: float = 2.0
) -> Float[Tensor, "n"]:
    """Attention transfer as in the authors' code: mean over positions of (Q_s − Q_t)², Q from `attention_map`.

    student, teacher: maps of equal height and width; channels may differ. power: p > 0, 2 in paper and code.
    The paper's Eq. 2 is `attention_paper`. Raises `UserError` if the maps differ in size.

    >>> import torch
    >>> attention(torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 1.0]]]]))
    tensor([1.])
    """
    same_samples("attention", student, teacher)
    student, teacher = pair("attention", attention_map(student, power=power), attention_map(teacher, power=power))
    return (student - teacher).square().mean(-1)


@loss(family="squares", knowledge="attention maps", over="values", symmetric=True, source=ATTENTION + ", Eq. 2")
def attention_paper(
    student: Float[Tensor, "n c1 h w"], teacher: Float[Tensor, "n c2 h w"], *, power: float = 2.0
) -> Float[Tensor, "n"]:
    """Attention transfer as in the paper, without its weight β/2: ‖Q_s − Q_t‖₂, Q from `attention_map`.

    student, teacher: maps of equal height and width; channels may differ. power: p > 0, 2 in the paper.
    The gradient at Q_s = Q_t is taken as 0. Raises `UserError` if the maps differ in size.

    >>> import torch
    >>> attention_paper(torch.tensor([[[[1.0, 0.0]]]]), torch.tensor([[[[0.0, 1.0]]]]))
    tensor([1.4142])
    """
    same_samples("attention_paper", student, teacher)
    student, teacher = pair("attention_paper", attention_map(student, power=power), attention_map(teacher, power=power))
    return norm(student - teacher)


@loss(
    family="squares",
    knowledge="relations of layers",
    over="values",
    symmetric=True,
    source=FSP + "; code HobbitLong/RepDistiller FSP.py",
)
def fsp(
    student_first: Float[Tensor, "n c1 h1 w1"],
    student_second: Float[Tensor, "n c2 h2 w2"],
    teacher_first: Float[Tensor, "n c1 h3 w3"],
    teacher_second: Float[Tensor, "n c2 h4 w4"],
) -> Float[Tensor, "n"]:
    """Flow between two layers as in RepDistiller: mean over the matrix of (G_s − G_t)², G from `flow_matrix`.

    The larger map of a pair is average-pooled. Inputs: two layers of each side, with equal channels across
    sides. The paper's form is `fsp_paper`. Raises `UserError` if the matrices differ in shape. Yim et al. 2017.

    >>> import torch
    >>> one = torch.ones(1, 1, 2, 2)
    >>> fsp(one, one, one, 3 * one)
    tensor([4.])
    """
    student, teacher = pair("fsp", flow_matrix(student_first, student_second), flow_matrix(teacher_first, teacher_second))
    return (student - teacher).square().mean((1, 2))


@loss(family="squares", knowledge="relations of layers", over="values", symmetric=True, source=FSP)
def fsp_paper(
    student_first: Float[Tensor, "n c1 h1 w1"],
    student_second: Float[Tensor, "n c2 h2 w2"],
    teacher_first: Float[Tensor, "n c1 h3 w3"],
    teacher_second: Float[Tensor, "n c2 h4 w4"],
) -> Float[Tensor, "n"]:
    """Flow between two layers as in the paper: ‖G_s − G_t‖² (a sum over the matrix), the larger map max-pooled.

    Inputs as in `fsp`. Raises `UserError` if the matrices differ in shape. Yim et al. 2017, CVPR.

    >>> import torch
    >>> one = torch.ones(1, 2, 2, 2)
    >>> fsp_paper(one, one, one, 3 * one)
    tensor([16.])
    """
    by = F.adaptive_max_pool2d
    student = flow_matrix(student_first, student_second, by=by)
    student, teacher = pair("fsp_paper", student, flow_matrix(teacher_first, teacher_second, by=by))
    return (student - teacher).square().sum((1, 2))
