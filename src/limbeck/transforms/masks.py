"""Which values of a term count: pure functions from what a batch holds to true and false, for `Term.mask`.

Letters: n samples, m boxes, h and w positions, H and W pixels, C classes. Boxes are as in `boxes`.
"""
# ruff: noqa: F722, F821

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from limbeck.transforms import boxes


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
    """Where the likeliest class is not the blank of CTC: the frames with a symbol.

    >>> import torch
    >>> says_something(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([False,  True])
    """
    return logits.argmax(-1) != blank


def near_objects(
    labels: Float[Tensor, "n m 5"],
    features: Float[Tensor, "n c h w"],
    inputs: Float[Tensor, "n c1 H W"],
    *,
    share: float = 0.5,
    sides: tuple[float, ...] = (2.0, 4.0, 8.0),
    shapes: tuple[float, ...] = (0.5, 1.0, 2.0),
) -> Bool[Tensor, "n h w"]:
    """The places of a map near objects: where some anchor overlaps a box by more than `share` of that box's best anchor.

    An anchor for each place, side (in cells) and shape (height / width). Wang et al. 2019, CVPR, arXiv 1906.03609, which
    has share = 0.5 and the detector's own anchors; an anchor-free detector has none, so these are ours.
    """
    cells, size = (features.shape[2], features.shape[3]), (inputs.shape[-2], inputs.shape[-1])
    grid, step = boxes.middles(cells, size, labels)
    found = torch.zeros(len(labels), *cells, dtype=torch.bool, device=labels.device)
    real = labels[..., 0] >= 0
    anchors = []
    for side in sides:
        for shape in shapes:
            half = side * step * torch.tensor([shape**-0.5, shape**0.5], device=labels.device) / 2
            anchors.append(torch.cat([grid - half, grid + half], -1).flatten(0, 1))
    every = torch.stack(anchors)  # (k, hw, 4)
    for row in range(len(labels)):
        own = labels[row, real[row], 1:]
        if len(own):
            overlap = boxes.iou(every.flatten(0, 1), own)
            near = (overlap > share * overlap.amax(0)).any(1)
            found[row] = near.view(len(anchors), *cells).any(0)
    return found


def tokens(inputs: Float[Tensor, "n t"]) -> Bool[Tensor, "nt"]:
    """Where a place holds a word: all places of all samples in one row, 0 being what stands behind the end.

    >>> import torch
    >>> tokens(torch.tensor([[5.0, 0.0], [7.0, 6.0]]))
    tensor([ True, False,  True,  True])
    """
    return (inputs != 0).flatten()
