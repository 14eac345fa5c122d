"""Mean average precision: which boxes are right, in the order of their scores, and how sure the mean is.

Boxes found are (n, k, 6): class, score, x0, y0, x1, y1; labels (n, m, 5): class, x0, y0, x1, y1; class -100 fills up, and
DIFFICULT - c is an object of class c that does not count.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from limbeck.transforms.boxes import DIFFICULT, iou


@dataclass(frozen=True, eq=False)
class Matched:
    """Every box found: its image, class, score and whether it is right; and how many objects (n, C) there are."""

    image: Tensor
    label: Tensor
    score: Tensor
    right: Tensor
    objects: Tensor


def match(found: Tensor, labels: Tensor, classes: int, *, overlap: float = 0.5) -> Matched:
    """Match boxes to objects as PASCAL VOC does: each, best first, to the object of its class that it covers most; right
    if that is at least `overlap` and the object is not taken yet. One on a difficult object is passed over, as is that object."""
    right, passed = (torch.zeros(found.shape[:2], dtype=torch.bool) for _ in range(2))
    objects = torch.zeros(len(labels), classes, dtype=torch.int64)
    for row in range(len(labels)):
        for c in range(classes):
            hard = labels[row, :, 0] == DIFFICULT - c
            chosen = hard | (labels[row, :, 0] == c)
            own, hard = labels[row, chosen, 1:], hard[chosen]
            objects[row, c] = int((~hard).sum())
            at = (found[row, :, 0] == c).nonzero()[:, 0]
            if not len(own) or not len(at):
                continue
            at = at[found[row, at, 1].argsort(descending=True, stable=True)]
            covers, which = iou(found[row, at, 2:], own).max(1)
            taken = torch.zeros(len(own), dtype=torch.bool)
            for k, (cover, goal) in enumerate(zip(covers.tolist(), which.tolist(), strict=True)):
                if cover >= overlap and hard[goal]:
                    passed[row, at[k]] = True
                elif cover >= overlap and not taken[goal]:
                    right[row, at[k]] = taken[goal] = True
    real = (found[..., 0] >= 0) & ~passed
    image = torch.arange(len(found))[:, None].expand(real.shape)[real]
    return Matched(image, found[..., 0][real].long(), found[..., 1][real], right[real], objects)


def average_precision(matched: Matched, times: Tensor | None = None) -> Tensor:
    """Return (draws, C) float64: the area under precision against recall, precision made falling; NaN without objects.

    times: (draws, n) how often each image counts; None for each once.
    """
    times = torch.ones(1, len(matched.objects)) if times is None else times
    times = times.double()
    out = []
    for c in range(matched.objects.shape[1]):
        at = (matched.label == c).nonzero()[:, 0]
        at = at[matched.score[at].argsort(descending=True, stable=True)]
        total = times @ matched.objects[:, c].double()
        weight = times[:, matched.image[at]]
        right = (weight * matched.right[at]).cumsum(1)
        precision = right / weight.cumsum(1).clamp_min(1e-12)
        precision = precision.flip(1).cummax(1).values.flip(1) if len(at) else precision
        area = (weight * matched.right[at] * precision).sum(1) / total
        out.append(torch.where(total > 0, area, torch.nan))
    return torch.stack(out, 1)


def interval(matched: Matched, *, draws: int = 1000, seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    """Return the interval of the mean over classes by the percentile bootstrap over images."""
    count = len(matched.objects)
    if count < 2:
        return 0.0, 1.0
    rows = torch.randint(count, (draws, count), generator=torch.Generator().manual_seed(seed))
    times = torch.zeros(draws, count).scatter_add_(1, rows, torch.ones(rows.shape))
    means = torch.cat([average_precision(matched, part).nanmean(1) for part in times.split(100)])
    low, high = torch.nanquantile(means, torch.tensor([(1 - level) / 2, (1 + level) / 2]).double()).tolist()
    return low, high
