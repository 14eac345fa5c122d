"""Boxes around objects: pure functions of labels and of what a one-stage detector answers.

Labels are (n, m, 5) float: class and x0, y0, x1, y1 in pixels of the input; class -100 fills up images with fewer than m, and
DIFFICULT - c is an object of class c that is neither learned nor counted: who finds it is neither right nor wrong.
Answers are (n, h, w, C + 5): logits of C classes and of "nothing here" as the last class, then four numbers for a box:
its middle beside the cell's, (x - x_cell) / s and (y - y_cell) / s, and log(width / s), log(height / s); s = pixels per
cell. Letters: n samples, m boxes, h and w cells, H and W pixels, C classes.
"""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from limbeck.transforms.facts import transform

DIFFICULT = -200.0


@transform(boxes=True)
def iou(first: Float[Tensor, "*n a 4"], second: Float[Tensor, "*n b 4"]) -> Float[Tensor, "*n a b"]:
    """Intersection over union of every pair of boxes x0, y0, x1, y1; 0 for boxes without area.

    >>> iou(torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 0.0, 3.0, 2.0]]))
    tensor([[0.3333]])
    """
    low = torch.maximum(first[..., :, None, :2], second[..., None, :, :2])
    high = torch.minimum(first[..., :, None, 2:], second[..., None, :, 2:])
    both = (high - low).clamp_min(0).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).clamp_min(0).prod(-1) for b in (first, second)]
    return both / (areas[0][..., :, None] + areas[1][..., None, :] - both).clamp_min(1e-9)


@transform(boxes=True)
def middles(cells: tuple[int, int], size: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """((h, w, 2) middles of the cells as x, y in pixels, (2,) pixels per cell along x and y)."""
    step = torch.tensor([size[1] / cells[1], size[0] / cells[0]], device=like.device, dtype=torch.float32)
    y, x = (torch.arange(count, device=like.device) + 0.5 for count in cells)
    grid = torch.stack([x[None, :].expand(cells), y[:, None].expand(cells)], -1)
    return grid * step, step


@transform(boxes=True)
def owners(
    labels: Float[Tensor, "n m 5"], cells: tuple[int, int], size: tuple[int, int], *, radius: float = 1.0
) -> Int[Tensor, "n h w"]:
    """Which box a cell answers for: the smallest whose middle is within `radius` cells along both sides; -1 for none."""
    grid, step = middles(cells, size, labels)
    centre = (labels[..., 1:3] + labels[..., 3:5]) / 2
    near = ((grid[None, :, :, None] - centre[:, None, None]).abs() < radius * step).all(-1)
    near &= (labels[..., 0] >= 0)[:, None, None]
    area = (labels[..., 3:5] - labels[..., 1:3]).prod(-1)[:, None, None]
    smallest, which = torch.where(near, area, torch.inf).min(-1)
    return torch.where(smallest.isinf(), -1, which)


@transform(boxes=True)
def class_targets(
    labels: Float[Tensor, "n m 5"], answers: Float[Tensor, "n h w k"], inputs: Float[Tensor, "n c H W"]
) -> Int[Tensor, "n h w"]:
    """The class that every cell should answer: that of its box, or C for nothing."""
    own = owners(labels, answers.shape[1:3], inputs.shape[-2:])  # type: ignore[arg-type]
    classes = labels[..., 0].gather(1, own.clamp_min(0).flatten(1)).view(own.shape).long()
    return torch.where(own >= 0, classes, answers.shape[-1] - 5)


@transform(boxes=True)
def box_targets(
    labels: Float[Tensor, "n m 5"], answers: Float[Tensor, "n h w k"], inputs: Float[Tensor, "n c H W"]
) -> Float[Tensor, "n h w 4"]:
    """The four numbers that every cell should answer; those of the first box where it answers for none."""
    cells, size = answers.shape[1:3], inputs.shape[-2:]
    own = owners(labels, cells, size).clamp_min(0)  # type: ignore[arg-type]
    box = labels[..., 1:].gather(1, own.flatten(1)[..., None].expand(-1, -1, 4)).view(*own.shape, 4)
    grid, step = middles(cells, size, labels)  # type: ignore[arg-type]
    place = ((box[..., :2] + box[..., 2:]) / 2 - grid) / step
    return torch.cat([place, ((box[..., 2:] - box[..., :2]).clamp_min(1e-3) / step).log()], -1)


@transform(boxes=True)
def objects(
    labels: Float[Tensor, "n m 5"], answers: Float[Tensor, "n h w k"], inputs: Float[Tensor, "n c H W"]
) -> Bool[Tensor, "n h w"]:
    """The cells that answer for a box."""
    return owners(labels, answers.shape[1:3], inputs.shape[-2:]) >= 0  # type: ignore[arg-type]


@transform(boxes=True)
def class_logits(answers: Float[Tensor, "n h w k"]) -> Float[Tensor, "n h w c"]:
    """The C + 1 logits of every cell, nothing last."""
    return answers[..., :-4]


@transform(boxes=True)
def box_numbers(answers: Float[Tensor, "n h w k"]) -> Float[Tensor, "n h w 4"]:
    """The four numbers of every cell."""
    return answers[..., -4:]


@transform(boxes=True)
def boxes_of(numbers: Float[Tensor, "n h w 4"], size: tuple[int, int]) -> Float[Tensor, "n hw 4"]:
    """The boxes x0, y0, x1, y1 in pixels that the cells' numbers stand for, cut off at the picture's edges."""
    grid, step = middles(numbers.shape[1:3], size, numbers)  # type: ignore[arg-type]
    centre = grid + numbers[..., :2] * step
    half = numbers[..., 2:].clamp(max=8).exp() * step / 2
    limit = torch.tensor([size[1], size[0]] * 2, device=numbers.device)
    return torch.cat([centre - half, centre + half], -1).flatten(1, 2).clamp_min(0).minimum(limit)


@transform(boxes=True)
def detections(
    answers: Float[Tensor, "n h w k"], size: tuple[int, int], *, keep: int = 100, overlap: float = 0.5, floor: float = 0.05
) -> Float[Tensor, "n keep 6"]:
    """The boxes found, best first: class, probability, x0, y0, x1, y1; class -100 fills up.

    Per class, boxes of probability above `floor`, without those that cover a better one by more than `overlap`.
    """
    chances, boxes = class_logits(answers).softmax(-1)[..., :-1].flatten(1, 2), boxes_of(box_numbers(answers), size)
    out = torch.full((len(answers), keep, 6), -100.0)
    for row in range(len(answers)):
        found = []
        for c in range(chances.shape[-1]):
            score = chances[row, :, c]
            order = score.argsort(descending=True, stable=True)[: 4 * keep]
            order = order[score[order] > floor]
            best = order[_apart(boxes[row, order], overlap)]
            found.append(torch.cat([torch.full((len(best), 1), float(c)), score[best, None], boxes[row, best]], 1))
        every = torch.cat(found)
        every = every[every[:, 1].argsort(descending=True, stable=True)][:keep]
        out[row, : len(every)] = every
    return out


def _apart(boxes: Tensor, overlap: float) -> Tensor:
    """Positions of the boxes, in their order, that no earlier kept one overlaps by more than `overlap`."""
    covers, kept = iou(boxes, boxes) > overlap, []
    gone = torch.zeros(len(boxes), dtype=torch.bool)
    for k in range(len(boxes)):
        if not gone[k]:
            kept.append(k)
            gone |= covers[k]
    return torch.tensor(kept, dtype=torch.int64)
