"""What a role is given of a sample: some of its bands, the differences of its frames; then scaled as the role expects.

It is the role's own preprocessing, the same in training and after, so teacher and student may look at different sides of
one sample: a privileged view, another modality. Letters: n samples, c channels.
"""

import torch
from torch import Tensor, nn

from limbeck.data.core import Data, statistics
from limbeck.data.views.ops import Op
from limbeck.data.views.view import parse, to_float
from limbeck.errors import UserError


class RoleInputs(nn.Module):
    """Gives (n, c', ...) of (n, c, ...): the ops of a spelling that have no chance in them, then (x - mean) / std.

    >>> RoleInputs("bands:1:3", (0.0, 1.0), (1.0, 2.0))(torch.ones(1, 4))
    tensor([[1., 0.]])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, spelling: str, mean: tuple[float, ...] = (), std: tuple[float, ...] = ()):
        super().__init__()
        if len(mean) != len(std) or any(s <= 0 for s in std):
            raise UserError(f"sees = {spelling!r} needs as many stds as means, all positive; got mean {mean} and std {std}")
        self.spelling, self.ops = spelling, ops_of(spelling)
        self.mean_values, self.std_values = tuple(map(float, mean)), tuple(map(float, std))
        self.register_buffer("mean", torch.tensor(self.mean_values), persistent=False)
        self.register_buffer("std", torch.tensor(self.std_values), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        for op in self.ops:
            x = op(x, None)  # type: ignore[arg-type]
        if not self.mean_values:
            return x
        trailing = (1,) * (x.dim() - 2)
        return (x - self.mean.view(-1, *trailing)) / self.std.view(-1, *trailing)


class Whole(nn.Module):
    """Gives whole numbers as int64, for networks that take them so (an embedding); batches hold them as float32.

    >>> Whole()(torch.tensor([[3.0, 0.0]]))
    tensor([[3, 0]])
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.long()


def ops_of(spelling: str) -> tuple[Op, ...]:
    """The ops of a spelling such as `bands:0:20`; refuses those that are augmentation."""
    ops = parse(spelling).ops
    for op in ops:
        if not op.fixed:
            raise UserError(f"{op} is augmentation, which cannot be set for one role; use it in data.augment")
    return ops


def shape_seen(spelling: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what is left of an input.

    >>> shape_seen("bands:0:20", (40, 61))
    (20, 61)
    """
    return tuple(RoleInputs(spelling)(torch.zeros(1, *shape)).shape[1:])


def seen_in(spelling: str, data: Data) -> RoleInputs:
    """What is seen of the data by this spelling, scaled by its mean and standard deviation over the training part."""
    inputs = data["train"].inputs
    if not isinstance(inputs, Tensor):
        raise UserError(f"sees = {spelling!r}: the samples of {data.name} are read one by one; give mean and std too")
    return RoleInputs(spelling, *statistics(RoleInputs(spelling)(to_float(inputs)), "other"))


__all__ = ["RoleInputs", "Whole", "ops_of", "seen_in", "shape_seen"]
