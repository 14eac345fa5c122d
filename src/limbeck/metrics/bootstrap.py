"""Intervals by drawing samples again: for figures that are functions of sums over samples."""

from collections.abc import Callable

import torch
from torch import Tensor

Sums = Callable[[Tensor], Tensor]


def interval(values: Tensor, figure: Sums, *, draws: int = 1000, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Return the percentile bootstrap's interval of a figure, for samples drawn with replacement.

    Args:
        values: (n, ...) float64, what each sample adds to the sums. figure: sums (draws, ...) to (draws,); NaN is left out.

    It covers chance in the choice of samples only.

    >>> interval(torch.ones(5, 1).double(), lambda sums: sums[:, 0] / 5)
    (1.0, 1.0)
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(0, draws, 100):  # so many at once: a table of draws x n is large where n is
        rows = torch.randint(len(values), (100, len(values)), generator=generator)
        times = torch.zeros(100, len(values), dtype=torch.float64).scatter_add_(1, rows, torch.ones(rows.shape).double())
        found.append(figure((times @ values.flatten(1)).view(100, *values.shape[1:])))
    told = torch.cat(found)[:draws]
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2]).double()
    low, high = torch.nanquantile(told, ends).tolist()
    return low, high
