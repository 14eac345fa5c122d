"""The steps of a view: each changes n samples at once, with random numbers that are its own for every sample.

Letters: n samples, c channels, h and w pixels. Crop, Flip and Cutout take uint8 or float images alike;
the others get floats, 0 .. 1 for images. An op never looks at another sample, except Mixup.
"""

import functools
from dataclasses import dataclass, fields
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from limbeck.data.parts import numbers
from limbeck.errors import UserError
from limbeck.transforms.draws import Draw


@dataclass(frozen=True)
class Op:
    """A step of a view.

    needs: on what it works, "any", "image" (c, h, w) or "table" (features,). places: whether labels that belong to
    pixels can follow it, by `move`.
    """

    needs: ClassVar[str] = "any"
    places: ClassVar[bool] = True
    raw: ClassVar[bool] = False  # True: works on uint8 as well, before the conversion to float
    fixed: ClassVar[bool] = False  # True: no chance in it, another shape: a way in which a role sees every sample

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        raise NotImplementedError

    def move(self, masks: Tensor, draw: Draw) -> Tensor:
        """Masks (n, h, w) as they are after this step, by the same numbers; places from outside are -100."""
        return masks

    def move_boxes(self, boxes: Tensor, draw: Draw, size: tuple[int, int]) -> Tensor:
        """Boxes (n, m, 5) of class, x0, y0, x1, y1 as they are after this step; those that left are of class -100."""
        return boxes

    def __str__(self) -> str:
        given = [getattr(self, f.name) for f in fields(self)]
        while given and given[-1] == fields(self)[len(given) - 1].default:
            given.pop()
        return ":".join([type(self).__name__.lower(), *(repr(v) for v in given)])

    def _within(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            limits = f"between {low:g} and {high:g}" if high < float("inf") else f"at least {low:g}"
            raise UserError(f"view op {type(self).__name__.lower()}: {name} must be {limits}, got {value!r}")


@dataclass(frozen=True)
class Identity(Op):
    """Leaves the samples as they are."""

    raw = True

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        return images


@dataclass(frozen=True)
class Crop(Op):
    """Pads `padding` black pixels on each side and cuts the old size out anywhere, all places equally likely.

    padding: 0 stands for an eighth of the shorter side, as the usual 4 of 32 pixels.
    """

    padding: int = 0
    needs = "image"
    raw = True

    def __post_init__(self) -> None:
        self._within("padding", 0, 4096)

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        return self._cut(images, draw, outside=0)

    def _padding(self, height: int, width: int) -> int:
        return self.padding or max(1, round(min(height, width) / 8))

    def _cut(self, images: Tensor, draw: Draw, outside: int) -> Tensor:
        h, w = images.shape[-2:]
        padding = self._padding(h, w)
        corner = draw.integers("corner", 2 * padding + 1, 2)
        padded = F.pad(images, (padding,) * 4, value=outside)
        places = padded.unfold(2, h, 1).unfold(3, w, 1)
        rows = torch.arange(len(images))
        return places[rows, :, corner[:, 0], corner[:, 1]]

    def move(self, masks: Tensor, draw: Draw) -> Tensor:
        return self._cut(masks[:, None], draw, outside=-100)[:, 0]

    def move_boxes(self, boxes: Tensor, draw: Draw, size: tuple[int, int]) -> Tensor:
        """Shifted and cut off at the edges; a box whose middle is outside has left."""
        padding = self._padding(*size)
        corner = draw.integers("corner", 2 * padding + 1, 2)
        shift = (padding - corner.flip(1)).to(boxes.dtype)[:, None]  # along x, along y
        moved = boxes[..., 1:] + torch.cat([shift, shift], -1)
        limit = torch.tensor([size[1], size[0]], dtype=boxes.dtype)
        middle = (moved[..., :2] + moved[..., 2:]) / 2
        stays = ((middle > 0) & (middle < limit)).all(-1, keepdim=True) & (boxes[..., :1] >= 0)
        moved = moved.clamp_min(0).minimum(torch.cat([limit, limit]))
        return torch.where(stays, torch.cat([boxes[..., :1], moved], -1), torch.full_like(boxes, -100))


@dataclass(frozen=True)
class Flip(Op):
    """Mirrors left and right with the given probability."""

    probability: float = 0.5
    needs = "image"
    raw = True

    def __post_init__(self) -> None:
        self._within("probability", 0, 1)

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        flipped = draw.uniform("flip") < self.probability
        h, w = images.shape[-2:]
        columns = torch.where(flipped, w - 1 - torch.arange(w), torch.arange(w))  # (n, w): where each comes from
        return images.gather(3, columns[:, None, None, :].expand(-1, images.shape[1], h, -1))

    def move(self, masks: Tensor, draw: Draw) -> Tensor:
        return self(masks[:, None], draw)[:, 0]

    def move_boxes(self, boxes: Tensor, draw: Draw, size: tuple[int, int]) -> Tensor:
        turned = boxes.clone()
        turned[..., 1], turned[..., 3] = size[1] - boxes[..., 3], size[1] - boxes[..., 1]
        return torch.where((draw.uniform("flip") < self.probability)[..., None] & (boxes[..., :1] >= 0), turned, boxes)


@dataclass(frozen=True)
class Cutout(Op):
    """Blackens a square of `size` pixels around a pixel drawn anywhere, cut off at the edges.

    DeVries and Taylor 2017, https://arxiv.org/abs/1708.04552.
    """

    size: int = 8
    needs = "image"
    raw = True

    def __post_init__(self) -> None:
        self._within("size", 1, 4096)

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        h, w = images.shape[-2:]
        top = draw.integers("y", h) - self.size // 2
        left = draw.integers("x", w) - self.size // 2
        y, x = torch.arange(h) - top, torch.arange(w) - left
        inside = ((y >= 0) & (y < self.size))[:, :, None] & ((x >= 0) & (x < self.size))[:, None, :]
        return images.masked_fill(inside[:, None], 0)


@dataclass(frozen=True)
class Noise(Op):
    """Adds normal noise: of standard deviation `sd` on the scale 0 .. 1 for images (then cut to 0 .. 1),
    of `sd` times its column's standard deviation for tables."""

    sd: float = 0.1

    def __post_init__(self) -> None:
        self._within("sd", 0, float("inf"))

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        noise = draw.normal("noise", images[0].numel()).view(images.shape) * self.sd
        if draw.scale is None:  # images
            return (images + noise).clamp(0, 1)
        return images + noise * draw.scale.view(-1, *(1,) * (images.dim() - 2))


@dataclass(frozen=True)
class FeatureDropout(Op):
    """Replaces each column of a table with probability `probability` by its mean, which says nothing."""

    probability: float = 0.1
    needs = "table"

    def __post_init__(self) -> None:
        self._within("probability", 0, 1)

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        dropped = draw.uniform("drop", images.shape[1]) < self.probability
        centre = draw.centre if draw.centre is not None else torch.zeros(())
        return torch.where(dropped, centre, images)


@dataclass(frozen=True)
class Columns(Op):
    """Keeps the named columns of a table, `columns:0-5+8`; the others get their mean, which says nothing."""

    kept: str = "0"
    needs = "table"

    def __str__(self) -> str:
        return f"columns:{self.kept}"

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        centre = draw.centre if draw.centre is not None else torch.zeros(images.shape[1])
        rows = numbers(self.kept, str(self), images.shape[1], between="+")
        return torch.where(torch.isin(torch.arange(images.shape[1]), rows), images, centre)


@dataclass(frozen=True)
class Channels(Op):
    """Keeps the named channels of an image, `channels:0-2`; the others become black: one modality of several."""

    kept: str = "0"
    needs = "image"
    raw = True

    def __str__(self) -> str:
        return f"channels:{self.kept}"

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        rows = numbers(self.kept, str(self), images.shape[1], between="+")
        gone = ~torch.isin(torch.arange(images.shape[1]), rows)
        return images.masked_fill(gone.view(-1, 1, 1), 0)


@dataclass(frozen=True)
class Bands(Op):
    """Keeps the channels from `first` on and before `end`: some bands of a spectrogram, some frames of a video."""

    first: int = 0
    end: int = 1
    raw = True
    fixed = True

    def __post_init__(self) -> None:
        self._within("first", 0, self.end - 1)

    def __call__(self, images: Tensor, draw: Draw | None = None) -> Tensor:
        if images.shape[1] < self.end:
            raise UserError(f"view op {self}: the inputs have {images.shape[1]} channels; keep some of these")
        return images[:, self.first : self.end]


@dataclass(frozen=True)
class Differences(Op):
    """What changes from each channel to the next: the motion in a video whose frames are its channels."""

    fixed = True

    def __call__(self, images: Tensor, draw: Draw | None = None) -> Tensor:
        if images.shape[1] < 2:
            raise UserError(f"view op {self}: the inputs have a single channel; two are needed for a difference")
        return images[:, 1:] - images[:, :-1]


@dataclass(frozen=True)
class Mixup(Op):
    """Blends each sample and its label with a partner drawn from the whole partition.

    x = share x_i + (1 - share) x_j, share ~ Beta(alpha, alpha); labels become (n, classes) probabilities.
    The partner is seen through the ops before this one, with the numbers of its own view. `View` does the
    blending, for it knows the partition. Zhang et al. 2018, https://arxiv.org/abs/1710.09412.
    """

    alpha: float = 0.2
    places = False

    def __post_init__(self) -> None:
        self._within("alpha", 0.01, 100)

    def share(self, draw: Draw) -> Tensor:
        """Return (n,) float32 in 0 .. 1: how much of its own each sample keeps."""
        return draw.table("share", _beta(self.alpha))[:, 0]

    def partner(self, draw: Draw, count: int) -> Tensor:
        """Return (n,) int64: the position in the partition of each sample's partner."""
        return draw.integers("partner", count)[:, 0]

    def __call__(self, images: Tensor, draw: Draw) -> Tensor:
        raise UserError("view op mixup needs a partition to draw partners from; use it through Batches")


@functools.lru_cache(maxsize=16)
def _beta(alpha: float) -> Tensor:
    """65536 quantiles of Beta(alpha, alpha), in the variable t = x ** alpha where the density is smooth."""
    t = np.linspace(0.0, 0.5**alpha, 8193)
    density = (1 - t ** (1 / alpha)) ** (alpha - 1)
    mass = np.concatenate([[0.0], np.cumsum((density[1:] + density[:-1]) / 2)])
    levels = (np.arange(1 << 15) + 0.5) / (1 << 15)
    lower = np.interp(levels, mass / mass[-1], t) ** (1 / alpha)
    return torch.from_numpy(np.concatenate([lower, 1 - lower[::-1]])).to(torch.float32)
