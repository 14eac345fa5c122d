"""Arithmetic that losses and transforms share: precision kept, gradients finite at zero."""

from typing import Any

import torch
from torch import Tensor

from limbeck.errors import need_same_shape


def upcast(tensor: Tensor) -> Tensor:
    """The tensor in float32 or better: half precision and integers are raised, float64 is kept.

    >>> upcast(torch.zeros(1, dtype=torch.bfloat16)).dtype
    torch.float32
    """
    return tensor if tensor.dtype in (torch.float32, torch.float64) else tensor.float()


def product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix product of the upcast tensors, also inside autocast (which would lower it to half precision).

    >>> product(torch.ones(1, 2), torch.ones(2, 1))
    tensor([[2.]])
    """
    with torch.autocast(left.device.type, enabled=False):
        return upcast(left) @ upcast(right)


def root(square: Tensor) -> Tensor:
    """√x whose gradient is 0, not infinite, at x = 0.

    >>> x = torch.zeros(1, requires_grad=True)
    >>> root(x).backward(); x.grad
    tensor([0.])
    """
    positive = square > 0
    return torch.where(positive, square, 1.0).sqrt() * positive


def norm(tensor: Tensor, dim: int | tuple[int, ...] = -1, keepdim: bool = False) -> Tensor:
    """Euclidean length along `dim`, with gradient 0 at the zero vector.

    >>> norm(torch.tensor([3.0, 4.0]))
    tensor(5.)
    """
    return root(tensor.square().sum(dim, keepdim=keepdim))


def unit(tensor: Tensor, dim: int = -1, eps: float = 1e-12) -> Tensor:
    """Scaled to length 1 along `dim`; the zero vector stays zero.

    >>> unit(torch.tensor([3.0, 4.0]))
    tensor([0.6000, 0.8000])
    """
    return tensor / norm(tensor, dim, keepdim=True).clamp_min(eps)


class _MeanSquare(torch.autograd.Function):
    """Keeps the features alone for the gradient, which is one product: five times quicker than what autograd
    makes of a square and a mean, whose steps each hold and copy a tensor of the features' size."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        return features.square().mean(1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        return features * (grads[0] * (2 / features.shape[1])).unsqueeze(1)


def mean_square(features: Tensor) -> Tensor:
    """Mean over dimension 1 of the squares: (n, c, ...) to (n, ...).

    >>> mean_square(torch.tensor([[[3.0], [4.0]]]))
    tensor([[12.5000]])
    """
    return _MeanSquare.apply(features)


def pearson(left: Tensor, right: Tensor, dim: int = -1, eps: float = 0.0) -> Tensor:
    """Pearson correlation along `dim`; 0 where one side is constant. eps is added to the product of the lengths.

    >>> round(pearson(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 4.0, 7.0])).item(), 4)
    0.9934
    """
    left, right = (x - x.mean(dim, keepdim=True) for x in (left, right))
    lengths = norm(left, dim) * norm(right, dim) + eps
    return (left * right).sum(dim) / lengths.clamp_min(1e-24)


def pair(who: str, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both tensors upcast, refused unless their shapes are equal.

    >>> pair("mse", torch.zeros(2), torch.zeros(2))[0].shape
    torch.Size([2])
    """
    need_same_shape(who, student, teacher)
    return upcast(student), upcast(teacher)


def rows(tensor: Tensor) -> Tensor:
    """One upcast row per sample: (n, ...) -> (n, everything else).

    >>> rows(torch.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 48])
    """
    return upcast(tensor).reshape(tensor.shape[0], -1)


def same_samples(who: str, student: Tensor, teacher: Tensor) -> None:
    """Refuse unless both have the same samples: for losses whose other dimensions may differ.

    >>> same_samples("rkd", torch.zeros(2, 3), torch.zeros(2, 8))
    """
    if student.shape[:1] != teacher.shape[:1] or (student.ndim == 1) != (teacher.ndim == 1):
        need_same_shape(who, student, teacher)


def row_pair(who: str, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of two tensors with the same samples: for losses on relations between samples.

    >>> [x.shape[1] for x in row_pair("rkd", torch.zeros(2, 3), torch.zeros(2, 8))]
    [3, 8]
    """
    same_samples(who, student, teacher)
    return rows(student), rows(teacher)
