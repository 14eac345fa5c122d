"""RandAugment for a whole batch: Cubuk et al. 2020 (https://arxiv.org/abs/1909.13719), in the same spirit.

Every sample draws its own ops and strengths. Sums over a sample are taken in integers, so that the result does
not depend on the batch to the last bit. Letters: n samples, c channels, h and w pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from limbeck.data.views.ops import Op
from limbeck.transforms.draws import Draw


def _warp(images: Tensor, matrix: Tensor) -> Tensor:
    """Resample with (n, 6) rows of the affine map from new to old coordinates (-1 .. 1); outside is black."""
    h, w = images.shape[-2:]
    y = ((2 * torch.arange(h) + 1) / h - 1).view(1, h, 1)
    x = ((2 * torch.arange(w) + 1) / w - 1).view(1, 1, w)
    a, b, c, d, e, f = (column.view(-1, 1, 1) for column in matrix.unbind(1))
    grid = torch.stack([a * x + b * y + c, d * x + e * y + f], dim=-1)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _matrix(n: int, **entries: Tensor) -> Tensor:
    matrix = torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]).repeat(n, 1)
    for place, value in entries.items():
        matrix[:, "abcdef".index(place)] = value
    return matrix


def _translate_x(images: Tensor, level: Tensor) -> Tensor:
    return _warp(images, _matrix(len(images), c=0.6 * level))


def _translate_y(images: Tensor, level: Tensor) -> Tensor:
    return _warp(images, _matrix(len(images), f=0.6 * level))


def _shear_x(images: Tensor, level: Tensor) -> Tensor:
    return _warp(images, _matrix(len(images), b=0.3 * level))


def _shear_y(images: Tensor, level: Tensor) -> Tensor:
    return _warp(images, _matrix(len(images), d=0.3 * level))


def _rotate(images: Tensor, level: Tensor) -> Tensor:
    angle = level.double() * (torch.pi / 6)
    cos, sin = angle.cos().float(), angle.sin().float()
    return _warp(images, _matrix(len(images), a=cos, b=-sin, d=sin, e=cos))


def _blend(images: Tensor, other: Tensor, level: Tensor) -> Tensor:
    factor = (1 + 0.9 * level).view(-1, 1, 1, 1)
    return (other + factor * (images - other)).clamp(0, 1)


def _grey(images: Tensor) -> Tensor:
    if images.shape[1] != 3:
        return images
    red, green, blue = images.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def _brightness(images: Tensor, level: Tensor) -> Tensor:
    return _blend(images, torch.zeros(()), level)


def _colour(images: Tensor, level: Tensor) -> Tensor:
    return _blend(images, _grey(images), level)


def _contrast(images: Tensor, level: Tensor) -> Tensor:
    grey = (_grey(images) * 65280).round().to(torch.int64).flatten(1)
    mean = (grey.sum(1).double() / (grey.shape[1] * 65280)).float()
    return _blend(images, mean.view(-1, 1, 1, 1), level)


def _sharpness(images: Tensor, level: Tensor) -> Tensor:
    padded = F.pad(images, (1, 1, 1, 1), mode="replicate")
    h, w = images.shape[-2:]
    total = 4.0 * images
    for dy in range(3):
        for dx in range(3):
            total = total + padded[:, :, dy : dy + h, dx : dx + w]
    return _blend(images, total / 13, level)


def _posterize(images: Tensor, level: Tensor) -> Tensor:
    keep = torch.exp2(8 - (4 * level.abs()).floor()).view(-1, 1, 1, 1)  # 4 to 8 bits are kept
    values = (images * 255).round()
    return torch.floor(values * keep / 256) * (256 / keep) / 255


def _solarize(images: Tensor, level: Tensor) -> Tensor:
    return torch.where(images >= (1 - level.abs()).view(-1, 1, 1, 1), 1 - images, images)


def _autocontrast(images: Tensor, level: Tensor) -> Tensor:
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    span = high - low
    return torch.where(span > 0, (images - low) / span.clamp_min(1e-6), images).clamp(0, 1)


def _identity(images: Tensor, level: Tensor) -> Tensor:
    return images


CHOICES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    _identity,
    _translate_x,
    _translate_y,
    _shear_x,
    _shear_y,
    _rotate,
    _brightness,
    _colour,
    _contrast,
    _sharpness,
    _posterize,
    _solarize,
    _autocontrast,
)


@dataclass(frozen=True)
class RandAugment(Op):
    """Applies `count` ops drawn for each sample, of strength `magnitude` (0 .. 1) and random sign.

    At magnitude 1: moves by 30 % of the side, shears by 0.3, turns by 30 degrees, changes brightness, colour,
    contrast and sharpness by 90 %, keeps 4 bits, inverts everything.
    """

    count: int = 2
    magnitude: float = 0.5
    needs = "image"
    places = False

    def __post_init__(self) -> None:
        self._within("count", 1, 8)
        self._within("magnitude", 0, 1)

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        chosen = draw.integers("op", len(CHOICES), self.count)
        sign = draw.integers("sign", 2, self.count) * 2 - 1
        level = sign.to(torch.float32) * self.magnitude
        images = images.clone()
        for turn in range(self.count):
            for k, change in enumerate(CHOICES):
                rows = (chosen[:, turn] == k).nonzero()[:, 0]
                if len(rows) and change is not _identity:
                    images[rows] = change(images[rows].contiguous(), level[rows, turn])
        return images
