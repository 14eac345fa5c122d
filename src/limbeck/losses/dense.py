"""Losses on maps (n, c, h, w), position by position.

Letters: n samples, c channels, h × w positions.
"""
# ruff: noqa: F722, F821

import torch  # noqa: F401  doctests
from jaxtyping import Float
from torch import Tensor

from limbeck.losses.traits import loss
from limbeck.transforms.numerics import norm, pair, unit, upcast


@loss(
    family="angle",
    knowledge=None,
    over="values",
    symmetric=True,
    source="He et al. 2019 (knowledge adaptation), https://arxiv.org/abs/1903.04688",
)
def unit_l2(student: Float[Tensor, "n c *d"], teacher: Float[Tensor, "n c *d"]) -> Float[Tensor, "n"]:
    """Distance of directions: mean over positions j of ‖F_s,j/‖F_s,j‖ − F_t,j/‖F_t,j‖‖₂; at most 2, lengths do not count.

    student, teacher: equal channels and positions; j runs over the positions, F_j are its c channels. Its gradient does
    not fade near the match, where it is 0 by definition. Raises `UserError` on unequal shapes.

    >>> unit_l2(torch.tensor([[[3.0], [0.0]]]), torch.tensor([[[0.0], [1.0]]]))
    tensor([1.4142])
    """
    student, teacher = pair("unit_l2", student, teacher)
    gap = norm(unit(student.flatten(2), dim=1) - unit(teacher.flatten(2), dim=1), dim=1)
    return gap.mean(1)


@loss(
    family="penalty",
    knowledge=None,
    over="values",
    minimum=None,
    source="sparse codes: He et al. 2019 (knowledge adaptation), https://arxiv.org/abs/1903.04688",
)
def magnitude(code: Float[Tensor, "n *d"]) -> Float[Tensor, "n"]:
    """Size of a code: mean |x| over its entries, which keeps it sparse. 0 for the zero code.

    >>> magnitude(torch.tensor([[1.0, -3.0]]))
    tensor([2.])
    """
    return upcast(code).abs().flatten(1).mean(1)
