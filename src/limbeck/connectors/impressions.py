"""Inputs that are made, not given."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limbeck.plan.kinds import Batch
from limbeck.plan.roles import Cast
from limbeck.transforms import class_similarity


class ImpressionBank(nn.Module):
    """Learnable inputs with the answers they should get (data impressions, Nayak et al. 2019).

    For class k the answers are drawn from Dirichlet(beta * concentration_k), where the concentration is
    row k of the min-max normalised cosine similarity of the teacher's classifier weights. Inputs start
    as noise and stay in 0..1. They are kept in groups, so that one group can be optimised at a time.
    """

    targets: Tensor

    def __init__(
        self,
        weight: Tensor,
        inputs: Tensor,
        *,
        size: int = 1000,
        group: int = 100,
        betas: tuple[float, ...] = (1.0, 0.1),
        seed: int = 0,
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

    def __call__(self, cast: Cast, draw: Callable[..., Batch], generator: torch.Generator) -> Batch:
        bank = cast[self.part]
        assert isinstance(bank, ImpressionBank)
        number = int(torch.randint(len(bank.images), (1,), generator=generator))
        images, targets = bank(number)
        if self.shift and images.dim() == 4:
            low, high = -self.shift, self.shift + 1
            dy, dx = torch.randint(low, high, (2,), generator=generator).tolist()
            padded = F.pad(images, (self.shift,) * 4)
            images = padded[..., self.shift + dy :, self.shift + dx :][..., : images.shape[2], : images.shape[3]]
        return {"inputs": images, "targets": targets}
