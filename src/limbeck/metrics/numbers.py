"""Figures of predicted numbers: plain functions of answers and labels (n, k), k targets.

R2 is 1 - sum (answer - label)^2 / sum (label - mean)^2: 1 where all is right, 0 for the mean, below 0 for worse than that.
"""

import torch
from torch import Tensor

from limbeck.metrics import bootstrap


def r2(answers: Tensor, labels: Tensor) -> Tensor:
    """Return R2 of each target, (k,) float64; NaN for a target that does not vary.

    >>> r2(torch.tensor([[1.0], [2.0], [4.0]]), torch.tensor([[1.0], [2.0], [3.0]]))
    tensor([0.5000], dtype=torch.float64)
    """
    return _r2(_sums(answers, labels).sum(0))


def rmse(answers: Tensor, labels: Tensor) -> Tensor:
    """Return the root of the mean squared error of each target, (k,) float64."""
    return (answers.double() - labels.double()).square().mean(0).sqrt()


def mae(answers: Tensor, labels: Tensor) -> Tensor:
    """Return the mean absolute error of each target, (k,) float64."""
    return (answers.double() - labels.double()).abs().mean(0)


def r2_interval(answers: Tensor, labels: Tensor) -> tuple[float, float] | None:
    """Return the interval of the mean of `r2` over targets, by the percentile bootstrap over samples."""
    return _interval(_sums(answers, labels), _mean_r2)


def rmse_interval(answers: Tensor, labels: Tensor) -> tuple[float, float] | None:
    """Return the interval of the mean of `rmse` over targets, by the percentile bootstrap over samples."""
    return _interval((answers.double() - labels.double()).square() / len(labels), _mean_root)


def mae_interval(answers: Tensor, labels: Tensor) -> tuple[float, float] | None:
    """Return the interval of the mean of `mae` over targets, by the percentile bootstrap over samples."""
    return _interval((answers.double() - labels.double()).abs() / len(labels), _mean)


def _sums(answers: Tensor, labels: Tensor) -> Tensor:
    """(n, 4, k) float64: what each sample adds to 1, y, y^2 and the squared error; y is centred, so that no digit is lost."""
    y = labels.double() - labels.double().mean(0)
    error = (answers.double() - labels.double()).square()
    return torch.stack([torch.ones_like(y), y, y.square(), error], 1)


def _r2(sums: Tensor) -> Tensor:
    count, first, second, error = sums.unbind(-2)
    spread = second - first.square() / count
    return torch.where(spread > 1e-12 * second.clamp_min(1e-300), 1 - error / spread, torch.nan)


def _mean_r2(sums: Tensor) -> Tensor:
    return _r2(sums).nanmean(-1)


def _mean_root(sums: Tensor) -> Tensor:
    return sums.sqrt().mean(-1)


def _mean(sums: Tensor) -> Tensor:
    return sums.mean(-1)


def _interval(values: Tensor, figure: bootstrap.Sums) -> tuple[float, float] | None:
    low, high = bootstrap.interval(values, figure)
    return None if low != low else (low, high)
