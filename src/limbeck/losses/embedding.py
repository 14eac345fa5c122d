"""Losses on standardised features and embeddings: correlation, direction and projected distance.

Letters: n samples, c channels, d features; F_s and F_t the two sides' features.
"""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Float, Int
from torch import Tensor

from limbeck.errors import need_same_shape
from limbeck.losses.traits import loss
from limbeck.transforms.numerics import norm, pair, pearson, root, rows, unit, upcast

PKD = "Cao et al. 2022 (PKD), https://arxiv.org/abs/2207.02039"


@loss(family="correlation", knowledge=None, over="values", raw=True, symmetric=True, source=PKD)
def one_minus_pearson(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"]) -> Float[Tensor, "n"]:
    """1 − pearson(F_s, F_t) over all features of one sample: blind to a sample's mean and scale.

    student, teacher: equal shapes, not constant (that counts as correlation 0). Raises `UserError` on
    unequal shapes. It is `pkd` with statistics of the sample instead of a channel of the batch.

    >>> one_minus_pearson(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[9.0, 8.0, 7.0]]))
    tensor([2.])
    """
    student, teacher = pair("one_minus_pearson", student, teacher)
    return 1 - pearson(rows(student), rows(teacher))


@loss(
    family="correlation",
    knowledge=None,
    over="values",
    batchwise=True,
    symmetric=True,
    source=PKD + "; code open-mmlab/mmrazor pkd_loss.py",
)
def pkd(student: Float[Tensor, "n c *d"], teacher: Float[Tensor, "n c *d"]) -> Float[Tensor, "n"]:
    """Half the mean squared difference of standardised maps: ½ mean (F̂_s − F̂_t)², whose batch mean is 1 − mean_c pearson.

    F̂ = (F − mean)/std per channel over batch and space, std with divisor M (= n·h·w); mmrazor's divisor M − 1
    and + 1e-6 make it smaller by the factor (M−1)/M. student, teacher: equal shapes. Raises `UserError` otherwise.
    Cao et al. 2022, https://arxiv.org/abs/2207.02039.

    >>> pkd(torch.tensor([[1.0], [3.0]]), torch.tensor([[9.0], [7.0]]))
    tensor([2., 2.])
    """
    student, teacher = (_standardised(x) for x in pair("pkd", student, teacher))
    return (student - teacher).square().mean((1, 2)) / 2


def _standardised(features: Tensor) -> Tensor:
    flat = features.reshape(*features.shape[:2], -1)
    centred = flat - flat.mean((0, 2), keepdim=True)
    return centred / root(centred.square().mean((0, 2), keepdim=True)).clamp_min(1e-12)


@loss(
    family="angle",
    knowledge=None,
    over="classes",
    minimum=None,
    source="Wang et al. 2023 (KD++), https://arxiv.org/abs/2305.17007; code WangYZ1608 DirectNormLoss",
)
def norm_direction(
    student: Float[Tensor, "n d"],
    teacher: Float[Tensor, "n d"],
    labels: Int[Tensor, "n"],
    centers: Float[Tensor, "classes d"],
) -> Float[Tensor, "n"]:
    """Norm and direction: 1 − ⟨F_s, e_y⟩ / max(‖F_s‖, ‖F_t‖), e_y = centre_y/‖centre_y‖. Not zero at a match.

    student, teacher: embeddings, equal shapes. labels: class numbers, -100 gives 0. centers: the teacher's class means.
    Lengths below the teacher's are pulled up, directions towards the class. Raises `UserError` on unequal shapes.
    Wang et al. 2023, https://arxiv.org/abs/2305.17007.

    >>> norm_direction(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([0]), torch.tensor([[3.0, 0.0]]))
    tensor([0.5000])
    """
    student, teacher = pair("norm_direction", student, teacher)
    if labels.shape != student.shape[:-1]:
        need_same_shape("norm_direction", student[..., 0], labels)
    along = (student * unit(upcast(centers))[labels.clamp_min(0)]).sum(-1)
    value = 1 - along / torch.maximum(norm(student), norm(teacher)).clamp_min(1e-12)
    return value.masked_fill(labels == -100, 0.0)


@loss(
    family="squares",
    knowledge=None,
    over="values",
    batchwise=True,
    minimum=None,
    symmetric=True,
    source="Miles & Mikolajczyk 2024, https://arxiv.org/abs/2303.11098",
)
def srd(student: Float[Tensor, "n *d"], teacher: Float[Tensor, "n *d"], *, exponent: float = 4.0) -> Float[Tensor, "n"]:
    """Log-sum distance of projected embeddings: log Σ_{n,d} |F_s − F_t|^a over the whole batch, given to every sample.

    Unbounded below; at a match it stops at the log of the smallest normal number, with gradient 0.
    student, teacher: projected and batch-normalised, equal shapes. exponent: a > 1, the authors' 4; their
    code weighs it by 2 beside a KL (as read by torchdistill). Raises `UserError` on unequal shapes.

    >>> srd(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([0.6931])
    """
    student, teacher = pair("srd", student, teacher)
    total = (student - teacher).abs().pow(exponent).sum()
    return total.clamp_min(torch.finfo(total.dtype).tiny).log().expand(student.shape[0])
