"""Losses of several labels at once, each there or not, one value for each sample.

Letters: n samples, C labels.
"""
# ruff: noqa: F722, F821

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from limbeck.errors import UserError, need_same_shape
from limbeck.losses.traits import loss
from limbeck.transforms.numerics import pair, upcast


@loss(family="divergence", knowledge=None, over="classes", minimum=None, source="Bernoulli likelihood of each label")
def binary_cross_entropy(student: Float[Tensor, "*n classes"], labels: Int[Tensor, "*n classes"]) -> Float[Tensor, "*n"]:
    """−Σ_c [y_c log σ(s_c) + (1 − y_c) log(1 − σ(s_c))] over the labels that are known.

    student: one logit s_c for each label. labels: 1 where it is there, 0 where it is not, -100 where nobody knows, which
    adds nothing. Raises `UserError` on unequal shapes or whole-number labels other than these.

    >>> import torch
    >>> binary_cross_entropy(torch.zeros(2, 2), torch.tensor([[1, 0], [1, -100]]))
    tensor([1.3863, 0.6931])
    """
    need_same_shape("binary_cross_entropy", student, labels)
    known = labels != -100
    if bool(((labels != 0) & (labels != 1) & known).any()):
        raise UserError("binary_cross_entropy: labels must be 1 (present), 0 (absent) or -100 (unknown)")
    student = upcast(student)
    each = F.binary_cross_entropy_with_logits(student, labels.clamp_min(0).to(student.dtype), reduction="none")
    return each.masked_fill(~known, 0.0).sum(-1)


@loss(family="divergence", knowledge=None, over="classes", source="Hinton et al. 2015, arXiv 1503.02531, by label")
def binary_soft_target(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], *, temperature: float = 4.0
) -> Float[Tensor, "*n"]:
    """Hinton's loss for each label by itself, T² times `binary_kl`; T² keeps the gradient's size when T changes.

    student, teacher: one logit for each label. temperature: T > 0. Raises `UserError` on unequal shapes.

    >>> import torch
    >>> binary_soft_target(torch.zeros(1, 1), torch.tensor([[2.0]]), temperature=2.0)
    tensor([0.4438])
    """
    return temperature**2 * binary_kl(student, teacher, temperature=temperature)


@loss(family="divergence", knowledge=None, over="classes", source="Kullback-Leibler divergence of Bernoulli variables")
def binary_kl(
    student: Float[Tensor, "*n classes"], teacher: Float[Tensor, "*n classes"], *, temperature: float = 1.0
) -> Float[Tensor, "*n"]:
    """Σ_c KL(Bernoulli(σ(t_c / T)) ‖ Bernoulli(σ(s_c / T))), summed over labels; 0 at a match.

    student, teacher: one logit for each label. temperature: T > 0. Raises `UserError` on unequal shapes.

    >>> import torch
    >>> binary_kl(torch.zeros(1, 1), torch.tensor([[2.0]]))
    tensor([0.3278])
    """
    student, teacher = pair("binary_kl", student, teacher)
    s, t = student / temperature, teacher / temperature
    there = t.sigmoid() * (F.logsigmoid(t) - F.logsigmoid(s))
    absent = (-t).sigmoid() * (F.logsigmoid(-t) - F.logsigmoid(-s))
    return (there + absent).sum(-1)
