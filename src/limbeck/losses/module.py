"""From values per sample to one number: masks, means, and a loss as a module."""

from collections.abc import Callable

from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.transforms.numerics import upcast


def masked_sum(values: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The sum of the values where the mask is true, and how many they are: sum / count is the masked mean.

    values: any shape `*n`. mask: None (all count), or a tensor of the same shape; true or non-zero counts
    (it chooses, it does not weigh). A position left out adds exactly zero to the sum and gets a zero
    gradient, even if it holds nan. With nothing left the sum is zero, still attached to the graph, and
    the count is 1 so that sum / count is 0.

    >>> import torch
    >>> masked_sum(torch.tensor([1.0, 2.0, torch.nan]), torch.tensor([True, True, False]))
    (tensor(3.), tensor(2.))
    """
    values = upcast(values)
    if mask is None:
        return values.sum(), values.new_full((), float(max(values.numel(), 1)))
    if mask.shape != values.shape:
        raise UserError(
            f"masked_sum: values {tuple(values.shape)} and mask {tuple(mask.shape)} differ; "
            "give one mask entry per value of the loss"
        )
    keep = mask.bool()
    return values.masked_fill(~keep, 0.0).sum(), keep.sum().clamp(min=1).to(values.dtype)


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """The mean of the values where the mask is true; zero with its graph if it is true nowhere.

    >>> import torch
    >>> masked_mean(torch.tensor([1.0, 2.0, 9.0]), torch.tensor([1, 1, 0]))
    tensor(1.5000)
    """
    total, count = masked_sum(values, mask)
    return total / count


class Loss(nn.Module):
    """A loss function with its hyper-parameters bound, as a module that returns the (masked) mean.

    fn: any function that returns one value per sample. hyper: its keyword-only arguments.
    Called with the tensors of `fn`, and `mask=` to leave positions out.

    >>> import torch
    >>> from limbeck.losses import kl
    >>> Loss(kl, temperature=2.0)(torch.tensor([[0.0, 1.0]]), torch.tensor([[0.0, 1.0]]))
    tensor(0.)
    """

    def __init__(self, fn: Callable[..., Tensor], **hyper: object) -> None:
        super().__init__()
        self.fn = fn
        self.hyper = hyper

    def forward(self, *tensors: Tensor, mask: Tensor | None = None) -> Tensor:
        return masked_mean(self.fn(*tensors, **self.hyper), mask)

    def extra_repr(self) -> str:
        return ", ".join([getattr(self.fn, "__name__", repr(self.fn)), *(f"{k}={v!r}" for k, v in self.hyper.items())])
