"""WHAT, learned: small modules that join a learner's activations to a mentor's. Each is sized from probes.

Shapes: n samples, c channels, h x w pixels, t tokens, d embedding dimensions, C classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limbeck.errors import UserError
from limbeck.roles import Cast
from limbeck.transforms import class_similarity


class Linear(nn.Linear):
    """A linear map from the learner's last dimension to the mentor's."""

    def __init__(self, student: Tensor, teacher: Tensor):
        super().__init__(student.shape[-1], teacher.shape[-1])


class ConvRegressor(nn.Module):
    """The regressor of FitNets: the learner's map (n, c, h, w) becomes the mentor's (n, C, H, W).

    A convolution with batch-norm and ReLU: 3x3 of stride 2 where the map must halve, a transposed 4x4
    where it must double, else a kernel of `h - H + 1` without padding (authors' rule, as in the code of
    Tian et al. 2020); embeddings (n, d) and tokens (n, t, d) get a linear map.
    """

    def __init__(self, student: Tensor, teacher: Tensor):
        super().__init__()
        if student.dim() != teacher.dim():
            raise UserError(
                f"a regressor joins activations of the same kind; got student {tuple(student.shape)} and "
                f"teacher {tuple(teacher.shape)}; tap layers of equal rank"
            )
        if student.dim() != 4:
            self.map: nn.Module = nn.Linear(student.shape[-1], teacher.shape[-1])
            return
        (c, h), (out, high) = student.shape[1:3], teacher.shape[1:3]
        if h == 2 * high:
            conv: nn.Module = nn.Conv2d(c, out, 3, stride=2, padding=1)
        elif 2 * h == high:
            conv = nn.ConvTranspose2d(c, out, 4, stride=2, padding=1)
        elif h >= high:
            conv = nn.Conv2d(c, out, 1 + h - high)
        else:
            raise UserError(f"no regressor from a {h} to a {high} pixel map; tap a student layer at least half as large")
        self.map = nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x)


class Judge(nn.Module):
    """Tells one model's activations from another's: a logit per sample, from the pooled activation."""

    def __init__(self, feature: Tensor, width: int = 64):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(feature.shape[1], width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).mean(2) if x.dim() > 2 else x
        return self.net(x).squeeze(1)


class Gate(nn.Module):
    """Weighs several models' logits per sample: `sum_k g_k z_k` with g a softmax of a linear map of all."""

    answers = True

    def __init__(self, *logits: Tensor):
        super().__init__()
        self.score = nn.Linear(sum(z.shape[-1] for z in logits), len(logits))

    def forward(self, *logits: Tensor) -> Tensor:
        shares = self.score(torch.cat(logits, dim=-1)).softmax(dim=-1)
        return (shares.unsqueeze(-1) * torch.stack(logits, dim=-2)).sum(dim=-2)


class Branch(nn.Module):
    """An early exit (Zhang et al. 2019): depthwise-separable steps from a shallow map to the shape of the
    deepest one, then pooling and a classifier. Returns (feature like the deepest, logits)."""

    answers = True

    def __init__(self, shallow: Tensor, deepest: Tensor, logits: Tensor):
        super().__init__()
        size, channels, goal = shallow.shape[2], shallow.shape[1], deepest.shape[1]
        steps: list[nn.Module] = []
        while size > deepest.shape[2]:
            steps.append(_separable(channels, goal, stride=2))
            size, channels = -(-size // 2), goal
        if not steps or channels != goal:
            steps.append(_separable(channels, goal, stride=1))
        self.steps = nn.Sequential(*steps)
        self.linear = nn.Linear(goal, logits.shape[-1])

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        feature = self.steps(x)
        return feature, self.linear(feature.flatten(2).mean(2))


def _separable(channels: int, out: int, stride: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride=stride, padding=1, groups=channels, bias=False),
        nn.Conv2d(channels, out, 1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
    )


class ImpressionBank(nn.Module):
    """Learnable inputs with the answers they should get (data impressions, Nayak et al. 2019).

    For class k the answers are drawn from Dirichlet(beta * concentration_k), where the concentration is
    row k of the min-max normalised cosine similarity of the teacher's classifier weights. Inputs start
    as noise and stay in 0..1. They are kept in groups, so that one group can be optimised at a time.
    """

    def __init__(
        self, weight: Tensor, inputs: Tensor, *, size: int = 1000, group: int = 100, betas: tuple[float, ...] = (1.0, 0.1), seed: int = 0
    ):
        super().__init__()
        classes = len(weight)
        generator = torch.Generator().manual_seed(seed)
        rows = torch.arange(size) % classes
        scale = torch.tensor(betas)[torch.arange(size) // classes % len(betas)]
        concentration = (class_similarity(weight.detach().cpu().float())[rows] * scale[:, None]).clamp(min=1e-3)
        drawn = torch._standard_gamma(concentration, generator=generator).clamp(min=1e-12)
        order = torch.randperm(size, generator=generator)
        self.register_buffer("targets", (drawn / drawn.sum(1, keepdim=True))[order])
        noise = torch.randn(size, *inputs.shape[1:], generator=generator)
        self.group = min(group, size)
        self.images = nn.ParameterList(nn.Parameter(part.clone()) for part in noise.split(self.group))

    def forward(self, number: int) -> tuple[Tensor, Tensor]:
        """The inputs (g, ...) and answers (g, C) of one group."""
        start = number * self.group
        return self.images[number].sigmoid(), self.targets[start : start + self.group]


@dataclass(frozen=True)
class Impressions:
    """A source of batches out of an `ImpressionBank`: one random group, shifted by up to `shift` pixels."""

    part: str = "impressions"
    shift: int = 0

    def __call__(self, cast: Cast, draw: Callable[..., Mapping[str, Any]], generator: torch.Generator) -> dict[str, Any]:
        bank = cast[self.part]
        number = int(torch.randint(len(bank.images), (1,), generator=generator))
        images, targets = bank(number)
        if self.shift and images.dim() == 4:
            low, high = -self.shift, self.shift + 1
            dy, dx = torch.randint(low, high, (2,), generator=generator).tolist()
            padded = F.pad(images, (self.shift,) * 4)
            images = padded[..., self.shift + dy :, self.shift + dx :][..., : images.shape[2], : images.shape[3]]
        return {"inputs": images, "targets": targets}
