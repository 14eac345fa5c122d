"""Numbers to be predicted: brought to one scale, and where they are known.

Letters: n samples, k targets.
"""
# ruff: noqa: F722, F821

from jaxtyping import Bool, Float
from torch import Tensor


def standardised(values: Float[Tensor, "n k"], *, mean: tuple[float, ...], std: tuple[float, ...]) -> Float[Tensor, "n k"]:
    """(values - mean) / std, target by target.

    >>> import torch
    >>> standardised(torch.tensor([[3.0, 10.0]]), mean=(1.0, 10.0), std=(2.0, 5.0))
    tensor([[1., 0.]])
    """
    return (values - values.new_tensor(mean)) / values.new_tensor(std)


def told(values: Float[Tensor, "n k"]) -> Bool[Tensor, "n"]:
    """Samples of which every number is known (is no NaN).

    >>> import torch
    >>> told(torch.tensor([[1.0], [torch.nan]]))
    tensor([ True, False])
    """
    return ~values.isnan().any(-1)


def filled(values: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """The values, 0 where one is not known: a mask leaves it out, and its gradient stays a number.

    >>> import torch
    >>> filled(torch.tensor([[1.0], [torch.nan]]))
    tensor([[1.],
            [0.]])
    """
    return values.nan_to_num(0.0)
