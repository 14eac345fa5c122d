"""Short videos made of pictures: each picture of a data set moves over a canvas, and class is picture x motion.

Letters: n samples, f frames, h and w pixels.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from limbeck.data.core import Data, Partition, statistics
from limbeck.errors import UserError
from limbeck.transforms.draws import Draw

MOTIONS: Mapping[str, tuple[int, int]] = {"right": (0, 1), "left": (0, -1), "down": (1, 0), "up": (-1, 0)}
"""Direction by name: rows and columns per step."""


def moving(
    data: Data, *, frames: int = 6, canvas: int = 28, size: int = 14, speed: int = 2, noise: float = 0.0, seed: int = 0
) -> Data:
    """Return data whose samples are videos (frames, canvas, canvas) of the pictures of `data`, as uint8.

    A picture is scaled to `size` x `size` pixels and goes `speed` pixels per frame in one of four directions, coming in on
    the other side where it leaves. Motion, start and noise depend on `seed` and the sample's number alone, so that a
    partition is always the same. There is a class for each class of `data` and motion: `3 right`, `3 left`, ...

    Args:
        data: one-channel pictures in tensors, with a label each (samples without one are left out).
        noise: standard deviation of what is added to every pixel of every frame, on the scale 0 .. 1.

    Raises:
        UserError: other data, a single frame, or a picture larger than the canvas.

    >>> from limbeck.data import load
    >>> videos = moving(load("digits"), size=8, canvas=16)
    >>> videos.shape, len(videos.classes), videos.classes[:2]
    ((6, 16, 16), 40, ('0 right', '0 left'))
    """
    if len(data.shape) != 3 or data.shape[0] != 1 or not isinstance(data["train"].inputs, Tensor):
        raise UserError(f"moving needs one-channel pictures (1, height, width) in tensors; {data.name} has {data.shape}")
    if frames < 2 or size > canvas or size < 1 or noise < 0:
        given = f"{frames} frames, size {size}, canvas {canvas} and noise {noise:g}"
        raise UserError(f"moving needs at least 2 frames, a picture within the canvas and noise of at least 0; got {given}")
    parts = {}
    for name, part in data.partitions.items():
        if part.labels is None:
            continue
        assert isinstance(part.inputs, Tensor)
        draw = Draw.of(seed, part.index, 0).within("moving")
        motion = draw.integers("motion", len(MOTIONS))[:, 0]
        videos = _videos(part.inputs, draw, motion, frames, canvas, size, speed, noise)
        parts[name] = Partition(name, videos, part.labels * len(MOTIONS) + motion, part.index)
    classes = tuple(f"{name} {motion}" for name in data.classes for motion in MOTIONS)
    mean, std = statistics(parts["train"].inputs, "image")  # type: ignore[arg-type]
    note = f"each picture, scaled to {size} x {size}, moves {speed} pixels per frame over {canvas} x {canvas}; {frames} frames"
    shape, notes = (frames, canvas, canvas), (*data.notes, note)
    return replace(
        data,
        name=f"moving {data.name}",
        classes=classes,
        shape=shape,
        mean=mean,
        std=std,
        partitions=parts,
        notes=notes,
        _memo={},
    )


def _videos(
    pictures: Tensor, draw: Draw, motion: Tensor, frames: int, canvas: int, size: int, speed: int, noise: float
) -> Tensor:
    out = torch.empty(len(pictures), frames, canvas, canvas, dtype=torch.uint8)
    start = draw.integers("start", canvas, 2)
    steps = torch.tensor(list(MOTIONS.values()))[motion] * speed
    side, whole = torch.arange(size), pictures.dtype == torch.uint8
    for rows in torch.arange(len(pictures)).split(1024):
        small = pictures[rows].float() / (255 if whole else 1)
        small = F.interpolate(small, (size, size), mode="bilinear", antialias=True, align_corners=False)[:, 0]
        for f in range(frames):
            corner = (start[rows] + f * steps[rows]) % canvas
            y, x = ((corner[:, k, None] + side) % canvas for k in (0, 1))
            frame = torch.zeros(len(rows), canvas, canvas)
            frame[torch.arange(len(rows))[:, None, None], y[:, :, None], x[:, None, :]] = small
            if noise:
                frame += noise * draw.take(rows).normal(f"noise {f}", canvas * canvas).view(-1, canvas, canvas)
            out[rows, f] = frame.clamp(0, 1).mul(255).round().to(torch.uint8)
    return out


__all__ = ["MOTIONS", "moving"]
