"""Figures of segmentation masks: plain functions of answers and labels (n, h, w) of class numbers.

Letters: n images, h and w pixels, C classes. A pixel with label -100 is not counted.
"""

import torch
from torch import Tensor


def overlaps(answers: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return (n, 3, C) int64 for each image and class: pixels in both, in the answer, in the labels.

    >>> overlaps(torch.tensor([[[0, 1, 1]]]), torch.tensor([[[0, 0, -100]]]), 2)
    tensor([[[1, 0],
             [1, 1],
             [2, 0]]])
    """
    counts = torch.zeros(len(labels), 3, classes, dtype=torch.int64)
    for row, (predicted, label) in enumerate(zip(answers, labels, strict=True)):
        counted = label != -100
        predicted, label = predicted[counted].long(), label[counted].long()
        for place, values in enumerate((predicted[predicted == label], predicted, label)):
            counts[row, place] = torch.bincount(values, minlength=classes)
    return counts


def iou(counts: Tensor) -> Tensor:
    """Return intersection over union of each class, (..., C) float64 of (..., 3, C); NaN where a class nowhere occurs."""
    both, predicted, label = counts.double().unbind(-2)
    return both / (predicted + label - both)


def mean_iou(counts: Tensor) -> float:
    """Return the mean of `iou` over the classes that occur in labels or answers, of counts (3, C).

    >>> mean_iou(torch.tensor([[1, 0], [1, 1], [2, 0]]))
    0.25
    """
    return float(iou(counts).nanmean())


def interval(counts: Tensor, *, draws: int = 1000, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of `mean_iou` by the percentile bootstrap over images, counts (n, 3, C).

    It covers chance in the choice of test images only. One image alone says nothing: (0, 1).
    """
    if len(counts) < 2:
        return 0.0, 1.0
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randint(len(counts), (draws, len(counts)), generator=generator)
    times = torch.zeros(draws, len(counts), dtype=torch.float64).scatter_add_(1, rows, torch.ones(rows.shape).double())
    means = iou((times @ counts.double().flatten(1)).view(draws, *counts.shape[1:])).nanmean(-1)
    low, high = torch.quantile(means, torch.tensor([(1 - level) / 2, (1 + level) / 2]).double()).tolist()
    return low, high


def confusion(answers: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Return pixel counts (C, C) int64: row = label, column = answer."""
    total = torch.zeros(classes * classes, dtype=torch.int64)
    for predicted, label in zip(answers, labels, strict=True):
        counted = label != -100
        total += torch.bincount(label[counted].long() * classes + predicted[counted].long(), minlength=classes * classes)
    return total.view(classes, classes)
