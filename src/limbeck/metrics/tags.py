"""Figures of several labels at once: plain functions of logits and labels (n, C), 1 there, 0 not there, -100 unknown.

A label counts as answered where its logit is above 0. Letters: n samples, C labels.
"""

import torch
from torch import Tensor

from limbeck.metrics import bootstrap


def counts(logits: Tensor, labels: Tensor) -> Tensor:
    """Return (n, 3, C) int64: right answers, answers too many, labels missed.

    >>> counts(torch.tensor([[1.0, 1.0, -1.0]]), torch.tensor([[1, 0, 1]]))[0]
    tensor([[1, 0, 0],
            [0, 1, 0],
            [0, 0, 1]])
    """
    predicted, there, known = logits > 0, labels == 1, labels != -100
    return torch.stack([predicted & there, predicted & ~there & known, ~predicted & there], 1).long()


def f1(found: Tensor) -> Tensor:
    """Return 2 right / (2 right + too many + missed) of counts (..., 3, C), (..., C) float64; NaN for a label that is nowhere."""
    right, many, missed = found.double().unbind(-2)
    return 2 * right / (2 * right + many + missed)


def micro_f1(found: Tensor) -> Tensor:
    """Return `f1` of the counts (..., 3, C) of all labels together, (...) float64."""
    return f1(found.sum(-1, keepdim=True)).squeeze(-1)


def interval(found: Tensor, *, draws: int = 1000, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of `micro_f1` by the percentile bootstrap over samples, counts (n, 3, C)."""
    return bootstrap.interval(
        found.sum(-1).double(), lambda sums: micro_f1(sums.unsqueeze(-1)), draws=draws, seed=seed, level=level
    )


def average_precision(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the average precision of each label, sum over its steps of (recall gained) x precision, (C,) float64; NaN for a
    label that no sample has.

    >>> average_precision(torch.tensor([[3.0], [2.0], [1.0]]), torch.tensor([[1], [0], [1]]))
    tensor([0.8333], dtype=torch.float64)
    """
    return torch.stack([_one(logits[:, c], labels[:, c]) for c in range(logits.shape[1])])


def _one(logits: Tensor, labels: Tensor) -> Tensor:
    known = labels != -100
    values, order = logits[known].sort(descending=True)
    there = (labels[known][order] == 1).double()
    last = torch.ones(len(values), dtype=torch.bool)
    last[:-1] = values[1:] != values[:-1]  # of equal logits only the last is a step
    right = there.cumsum(0)[last]
    total = there.sum()
    precision = right / (torch.nonzero(last)[:, 0] + 1)
    gained = torch.diff(right, prepend=right.new_zeros(1)) / total
    return (gained * precision).sum() if total else right.new_tensor(torch.nan)
