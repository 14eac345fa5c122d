"""Inputs made worse: noise, blur, shift and contrast for images, noise and missing columns for tables, at two strengths.

Letters: n samples, c channels, h and w pixels, d columns. The same sample is always made worse alike.
"""
# ruff: noqa: F722, F821

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from limbeck.data import Data
from limbeck.data.batches import Batch
from limbeck.explanation.schema import Alike, Corrupted
from limbeck.explanation.subject import MOST, Subject
from limbeck.tasks.predictions import Predictions, predict
from limbeck.transforms.draws import key


@dataclass(frozen=True)
class Corruption:
    """A way of making inputs worse: `by(inputs, generator) -> inputs`."""

    name: str
    strength: str
    by: Callable[[Tensor, torch.Generator], Tensor]


def noisy(
    inputs: Float[Tensor, "n *d"], generator: torch.Generator, *, size: Float[Tensor, "*d"] | float, clip: bool = False
) -> Float[Tensor, "n *d"]:
    """x + size N(0, 1), cut to 0..1 for images."""
    worse = inputs + size * torch.randn(inputs.shape, generator=generator)
    return worse.clamp(0, 1) if clip else worse


def blurred(inputs: Float[Tensor, "n c h w"], generator: torch.Generator, *, sigma: float) -> Float[Tensor, "n c h w"]:
    """Convolved with a Gaussian of `sigma` pixels; the edge is repeated outwards."""
    reach = max(1, min(round(3 * sigma), min(inputs.shape[-2:]) - 1))
    bell = torch.exp(-torch.arange(-reach, reach + 1).float().square() / (2 * sigma**2))
    bell, channels = bell / bell.sum(), inputs.shape[1]
    wide = F.pad(inputs, (reach,) * 4, mode="replicate")
    wide = F.conv2d(wide, bell.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(wide, bell.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


def shifted(inputs: Float[Tensor, "n c h w"], generator: torch.Generator, *, by: int) -> Float[Tensor, "n c h w"]:
    """Moved by so many pixels up or down and left or right, each sample its own way; the edge is repeated."""
    height, width = inputs.shape[-2:]
    wide, way = F.pad(inputs, (by,) * 4, mode="replicate"), torch.randint(0, 4, (len(inputs),), generator=generator)
    out = inputs.clone()
    for number in range(4):
        top, left = 2 * by * (number // 2), 2 * by * (number % 2)
        rows = way == number
        out[rows] = wide[rows][..., top : top + height, left : left + width]
    return out


def flattened(inputs: Float[Tensor, "n c h w"], generator: torch.Generator, *, factor: float) -> Float[Tensor, "n c h w"]:
    """Contrast cut to `factor` around the image's own mean."""
    mean = inputs.mean((1, 2, 3), keepdim=True)
    return mean + factor * (inputs - mean)


def dropped(
    inputs: Float[Tensor, "n d"], generator: torch.Generator, *, share: float, fill: Float[Tensor, "d"]
) -> Float[Tensor, "n d"]:
    """A share of the columns, at least one, other ones in each sample, set to their mean."""
    count = max(1, round(share * inputs.shape[1]))
    gone = torch.rand(inputs.shape, generator=generator).argsort(1)[:, :count]
    return inputs.scatter(1, gone, fill.expand_as(inputs).gather(1, gone))


def corruptions(data: Data) -> list[Corruption]:
    """What can be done to this data's inputs; nothing for texts and what is unknown."""
    if data.kind == "image" and len(data.shape) == 3:
        side = min(data.shape[-2:])
        blur, step = max(0.5, side / 32), max(1, side // 16)
        made = [Corruption("noise", f"sd {s:g}", partial(noisy, size=s, clip=True)) for s in (0.1, 0.3)]
        made += [Corruption("blur", f"{s:g} px", partial(blurred, sigma=s)) for s in (blur, 2 * blur)]
        made += [Corruption("shift", f"{s} px", partial(shifted, by=s)) for s in (step, 2 * step)]
        return made + [Corruption("contrast", f"x {f:g}", partial(flattened, factor=f)) for f in (0.5, 0.25)]
    if data.kind == "table" and len(data.shape) == 1:
        scale = torch.tensor(data.std) if data.std else torch.ones(data.shape)
        fill = torch.tensor(data.mean) if data.mean else torch.zeros(data.shape)
        made = [Corruption("noise", f"{s:g} sd", partial(noisy, size=s * scale)) for s in (0.25, 0.5)]
        return made + [
            Corruption("columns dropped", f"{100 * s:.0f} %", partial(dropped, share=s, fill=fill)) for s in (0.1, 0.3)
        ]
    return []


def made_worse(batches: Iterator[Batch], how: Corruption) -> Iterator[Batch]:
    """The batches with their inputs made worse, drawn by name, strength and the batch's place."""
    for place, batch in enumerate(batches):
        generator = torch.Generator().manual_seed(key(place, how.name, how.strength) >> 1)
        yield {**batch, "inputs": how.by(batch["inputs"].float(), generator)}


def under_corruption(subject: Subject) -> list[Corrupted]:
    """Everyone's accuracy and agreement with the teacher, with clean inputs and each corruption; the teacher sees it too."""
    ways = corruptions(subject.data)
    if not ways:
        return []
    batches = subject.batches(MOST)
    found: list[Corrupted] = []
    for how in (None, *ways):
        seen = {}
        for who, entry in subject.entries.items():
            stream = batches.ordered() if how is None else made_worse(batches.ordered(), how)
            seen[who] = predict(entry, stream, subject.data.task)
        name, strength = ("clean", "") if how is None else (how.name, how.strength)
        found.append({"name": name, "strength": strength, **_figures(seen)})
    return found


def _figures(seen: Mapping[str, Predictions]) -> Alike:
    answers = {who: p.logits.argmax(1) for who, p in seen.items()}
    labels = seen["teacher"].labels
    return {
        "samples": len(labels),
        "accuracy": {who: float((said == labels).double().mean()) for who, said in answers.items()},
        "agreement": {w: float((a == answers["teacher"]).double().mean()) for w, a in answers.items() if w != "teacher"},
    }
