"""Figures of a model's answers: plain functions of logits (n, C) and labels (n,).

Letters: n samples, C classes, B bins. Shares lie between 0 and 1.
"""

from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor

from limbeck.errors import UserError, need_same_shape


def check(logits: Tensor, labels: Tensor) -> None:
    """Refuse logits and labels that do not go together."""
    if logits.dim() != 2 or labels.shape != logits.shape[:1]:
        raise UserError(
            f"expected logits (n, classes) and labels (n,), got {tuple(logits.shape)} and {tuple(labels.shape)}; "
            "give one label for each row of logits"
        )
    if not len(labels):
        raise UserError("there is no sample to measure: expected at least one, got none; give a partition that has some")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= logits.shape[1]:
        raise UserError(
            f"labels go from {low} to {high}, but the model answers classes 0 to {logits.shape[1] - 1}; "
            "use a model made for this data"
        )


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the share of samples whose largest logit is at the label.

    >>> accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]))
    0.5
    """
    check(logits, labels)
    return float((logits.argmax(1) == labels).double().mean())


def per_class(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the accuracy within each class (recall), (C,) float64; NaN for a class without samples."""
    counts = confusion(logits, labels).double()
    return counts.diag() / counts.sum(1)


def worst_class(logits: Tensor, labels: Tensor) -> tuple[int, float]:
    """Return the number and the accuracy of the class that is answered worst (the first, if several are)."""
    each = per_class(logits, labels)
    at = int(torch.where(each.isnan(), torch.full_like(each, 2.0), each).argmin())
    return at, float(each[at])


def confusion(logits: Tensor, labels: Tensor) -> Tensor:
    """Return counts (C, C) int64: row = label, column = answer."""
    check(logits, labels)
    classes = logits.shape[1]
    return torch.bincount(labels * classes + logits.argmax(1), minlength=classes * classes).view(classes, classes)


@dataclass(frozen=True)
class Reliability:
    """Confidence against correctness in B bins; the mean values are NaN where a bin is empty.

    Attributes:
        edges: (B + 1,) of the bins, each open at its lower edge. counts: (B,) samples.
        confidence: (B,) mean confidence. accuracy: (B,) share that is right.
    """

    edges: Tensor
    counts: Tensor
    confidence: Tensor
    accuracy: Tensor


def reliability(logits: Tensor, labels: Tensor, bins: int = 15) -> Reliability:
    """Return the reliability curve: samples by their largest probability, in `bins` bins of equal width.

    Bin m holds confidences in ((m - 1) / B, m / B], as in Guo et al. 2017 (arXiv 1706.04599).
    """
    check(logits, labels)
    confidence, answer = logits.double().softmax(1).max(1)
    right = (answer == labels).double()
    edges = torch.linspace(0, 1, bins + 1, dtype=torch.float64)
    at = torch.bucketize(confidence, edges[1:-1], right=False)
    counts = torch.bincount(at, minlength=bins)
    mean = [torch.bincount(at, weights=w, minlength=bins) / counts for w in (confidence, right)]
    return Reliability(edges, counts, mean[0], mean[1])


def calibration_error(logits: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Return the expected calibration error, sum over bins of |B_m| / n x |accuracy - confidence|.

    Guo et al. 2017, On Calibration of Modern Neural Networks, arXiv 1706.04599, equation 5; 15 bins as there.
    """
    curve = reliability(logits, labels, bins)
    gap = (curve.accuracy - curve.confidence).abs().nan_to_num(0.0)
    return float((gap * curve.counts).sum() / curve.counts.sum())


def agreement(a: Tensor, b: Tensor) -> float:
    """Return the share of samples for which two models, logits (n, C) each, give the same answer."""
    need_same_shape("agreement", a, b)
    return float((a.argmax(1) == b.argmax(1)).double().mean())


def mean_kl(student: Tensor, teacher: Tensor) -> float:
    """Return the mean KL(teacher || student) of their probabilities, in nats; 0 for equal predictions."""
    need_same_shape("mean_kl", student, teacher)
    p, q = teacher.double().log_softmax(1), student.double().log_softmax(1)
    return float((p.exp() * (p - q)).sum(1).mean().clamp_min(0.0))


def interval(correct: int, n: int, level: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval for a share of `correct` among `n`; it covers chance in the test samples only.

    >>> [round(v, 4) for v in interval(8, 10)]
    [0.4902, 0.9433]
    """
    from scipy.special import ndtri

    share, z = _count(correct, n) / n, float(ndtri(0.5 + level / 2))
    middle, width = share + z * z / (2 * n), z * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    low, high = ((middle + sign * width) / (1 + z * z / n) for sign in (-1, 1))
    return (0.0 if correct == 0 else low), (1.0 if correct == n else high)


def is_chance(correct: int, n: int, classes: int, level: float = 0.01) -> bool:
    """Say whether `correct` of `n` cannot be told from guessing among `classes` (exact binomial test, one-sided).

    A trained teacher for which this is true was usually fed wrongly scaled inputs, or other classes.

    >>> is_chance(13, 100, 10), is_chance(30, 100, 10)
    (True, False)
    """
    from scipy.special import bdtrc

    return _count(correct, n) == 0 or bool(bdtrc(correct - 1, n, 1 / classes) > level)


def near_chance(correct: int, n: int, classes: int) -> bool:
    """Whether a model is of no use as a teacher: at chance level, or less than a tenth of the way from there to
    perfect (Cohen's kappa below 0.1 for balanced classes). Untrained networks often lie a little above chance.

    >>> near_chance(15, 100, 10), near_chance(30, 100, 10)
    (True, False)
    """
    return is_chance(correct, n, classes) or (correct / n - 1 / classes) / (1 - 1 / classes) < 0.1


class McNemar(TypedDict):
    """What McNemar's test saw and said."""

    only_first: int
    only_second: int
    p: float


def paired(a: Tensor, b: Tensor, labels: Tensor) -> McNemar:
    """Compare two models, logits (n, C) each, on the same samples: McNemar's exact test.

    Returns:
        only_first, only_second: samples that only the one gets right; p: chance of so uneven a split, or more,
        if both were equally good on such samples.
    """
    from scipy.special import bdtr

    need_same_shape("paired", a, b)
    check(a, labels)
    first, second = a.argmax(1) == labels, b.argmax(1) == labels
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    split = only_first + only_second
    p = min(1.0, 2 * float(bdtr(min(only_first, only_second), split, 0.5))) if split else 1.0
    return McNemar(only_first=only_first, only_second=only_second, p=p)


def _count(correct: int, n: int) -> int:
    if not (float(correct).is_integer() and 0 <= correct <= n and n > 0):
        raise UserError(f"expected a number of right answers between 0 and n > 0, got {correct} of {n}; give counts, not shares")
    return int(correct)


def macro_f1(logits: Tensor, labels: Tensor) -> float:
    """Return the mean of F1 = 2 TP / (2 TP + FP + FN) over the classes that occur in labels or answers.

    >>> macro_f1(torch.tensor([[2.0, 1.0], [0.0, 3.0], [0.0, 3.0]]), torch.tensor([0, 0, 1]))
    0.6666666666666666
    """
    counts = confusion(logits, labels).double()
    both = counts.sum(0) + counts.sum(1)
    return float((2 * counts.diag() / both)[both > 0].mean())


def balanced_accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the mean of the accuracy within each class that has samples.

    >>> balanced_accuracy(torch.tensor([[2.0, 1.0], [0.0, 3.0], [0.0, 3.0]]), torch.tensor([0, 0, 1]))
    0.75
    """
    return float(per_class(logits, labels).nanmean())
