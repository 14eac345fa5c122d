"""Shallow maps reviewed in the light of deep ones (ReviewKD: Chen et al. 2021, authors' code).

Shapes: n samples, c channels, h x w pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limbeck.errors import UserError


class Reviewer(nn.Module):
    """Attention-based fusion: a layer's map (1x1 convolution, batch-norm) and what came from the deeper layer,
    enlarged, weighed against each other by two attention maps; a 3x3 convolution with batch-norm leads out."""

    def __init__(self, channels: int, width: int, out: int, *, deepest: bool):
        super().__init__()
        self.enter = nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width))
        self.leave = nn.Sequential(nn.Conv2d(width, out, 3, padding=1, bias=False), nn.BatchNorm2d(out))
        self.attend = None if deepest else nn.Sequential(nn.Conv2d(2 * width, 2, 1), nn.Sigmoid())

    def forward(self, x: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.enter(x)
        if self.attend is not None and deeper is not None:
            deeper = F.interpolate(deeper, x.shape[2:], mode="nearest")
            shares = self.attend(torch.cat([x, deeper], dim=1))
            x = x * shares[:, :1] + deeper * shares[:, 1:]
        return self.leave(x), x


def as_map(x: Tensor) -> Tensor:
    """An embedding (n, c) as a map of one pixel; maps stay as they are.

    >>> as_map(torch.zeros(2, 3)).shape
    torch.Size([2, 3, 1, 1])
    """
    return x[:, :, None, None] if x.dim() == 2 else x


class Review(nn.Module):
    """The student's maps from shallow to deep, each fused with all deeper ones and brought to the teacher's form.

    Built from the student's maps, then the teacher's, as many; embeddings count as maps of one pixel. Called with the
    student's; returns as many maps, shallow to deep. width: of the fused maps; None takes the student's last channels, at most
    512, as the code does.
    """

    def __init__(self, *both: Tensor, width: int | None = None):
        super().__init__()
        if len(both) % 2:
            raise UserError(f"a review joins as many student as teacher layers; got {len(both)} maps together")
        half = len(both) // 2
        mine, theirs = [as_map(x) for x in both[:half]], [as_map(x) for x in both[half:]]
        self.sizes = [tuple(x.shape[2:]) for x in theirs]
        width = width or min(512, mine[-1].shape[1])
        self.fuse = nn.ModuleList(
            Reviewer(x.shape[1], width, y.shape[1], deepest=k == half - 1)
            for k, (x, y) in enumerate(zip(mine, theirs, strict=True))
        )

    def forward(self, *maps: Tensor) -> tuple[Tensor, ...]:
        deeper, found = None, []
        for x, fuse, size in reversed(list(zip(maps, self.fuse, self.sizes, strict=True))):
            out, deeper = fuse(as_map(x), deeper)
            found.append(out if tuple(out.shape[2:]) == size else F.interpolate(out, size, mode="nearest"))
        return tuple(reversed(found))
