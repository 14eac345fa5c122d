"""Which values of a term count: pure functions from what a batch holds to true and false, for `Term.mask`.

Letters: n samples, h and w positions, C classes.
"""
# ruff: noqa: F722, F821

from jaxtyping import Bool, Float, Int
from torch import Tensor


def known(labels: Int[Tensor, "*n"] | Float[Tensor, "*n classes"]) -> Bool[Tensor, "*n"]:
    """Where a label is known: class numbers other than -100; rows of probabilities that are not all 0.

    >>> import torch
    >>> known(torch.tensor([3, -100])), known(torch.tensor([[0.5, 0.5], [0.0, 0.0]]))
    (tensor([ True, False]), tensor([ True, False]))
    """
    if labels.is_floating_point():
        return (labels != 0).any(-1)
    return labels != -100


def says_something(logits: Float[Tensor, "*n classes"], *, blank: int = 0) -> Bool[Tensor, "*n"]:
    """Where the likeliest class is not the blank of CTC: the frames at which something is said.

    >>> import torch
    >>> says_something(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([False,  True])
    """
    return logits.argmax(-1) != blank
