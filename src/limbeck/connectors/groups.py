"""Several models, or branches of one, as a group: gates, attention, weights and fusion.

Shapes: n samples, c channels, h x w pixels, t tokens, d embedding dimensions, C classes.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from limbeck.plan.kinds import Batch
from limbeck.plan.method import Term
from limbeck.plan.observe import Scene
from limbeck.plan.roles import Cast
from limbeck.plan.taps import Via
from limbeck.transforms import covariance_weights, match_spatial, weighted_logits
from limbeck.transforms.facts import connector


@connector(answers=True)
class Gate(nn.Module):
    """Weighs several models' logits per sample: `sum_k g_k z_k` with g a softmax of a linear map of all."""

    def __init__(self, *logits: Tensor):
        super().__init__()
        self.score = nn.Linear(sum(z.shape[-1] for z in logits), len(logits))

    def forward(self, *logits: Tensor) -> Tensor:
        shares = self.score(torch.cat(logits, dim=-1)).softmax(dim=-1)
        return (shares.unsqueeze(-1) * torch.stack(logits, dim=-2)).sum(dim=-2)


@connector(answers=True)
class TrunkGate(nn.Module):
    """Weighs branches by what their trunk has seen: `sum_k g_k z_k`, g = softmax(ReLU(BN(linear(pooled trunk))))
    (ONE: Lan, Zhu & Gong 2018, authors' code). Called with the trunk's map and each branch's logits."""

    def __init__(self, trunk: Tensor, *logits: Tensor):
        super().__init__()
        count = len(logits)
        self.score = nn.Sequential(nn.Linear(trunk.shape[1], count), nn.BatchNorm1d(count), nn.ReLU())

    def forward(self, trunk: Tensor, *logits: Tensor) -> Tensor:
        shares = self.score(trunk.flatten(2).mean(2) if trunk.dim() > 2 else trunk).softmax(dim=-1)
        return (shares.unsqueeze(-1) * torch.stack(logits, dim=-2)).sum(dim=-2)


class PeerAttention(nn.Module):
    """The two projections of OKDDip (Chen et al. 2020), shared by all peers: of features (n, d) each, queries and
    keys (k, n, d / factor). factor: 8 as in the authors' code."""

    def __init__(self, *features: Tensor, factor: int = 8):
        super().__init__()
        width = features[0].shape[1]
        self.query = nn.Linear(width, max(1, width // factor), bias=False)
        self.key = nn.Linear(width, max(1, width // factor), bias=False)

    def forward(self, *features: Tensor) -> tuple[Tensor, Tensor]:
        stacked = torch.stack(features)
        return self.query(stacked), self.key(stacked)


@connector(answers=True)
class Ensemble(nn.Module):
    """`sum_k w_k z_k` with weights that are measured now and then (`measure_weights`), not learned by gradient."""

    weights: Tensor

    def __init__(self, *logits: Tensor):
        super().__init__()
        self.register_buffer("weights", torch.full((len(logits),), 1.0 / len(logits)))

    def forward(self, *logits: Tensor) -> Tensor:
        return weighted_logits(self.weights, *logits)


def measure_weights(cast: Cast, trains: tuple[str, ...], batch: Batch, scene: Scene, terms: Sequence[tuple[Term, float]]) -> None:
    """Set an `Ensemble`'s weights by `covariance_weights` of the answers that its one term joins (KDCL-General)."""
    (term, _), *_ = terms
    joined, labels = term.inputs["student"], scene(term.inputs["labels"])
    assert isinstance(joined, Via)
    weights = covariance_weights(labels, *(scene(source) for source in joined.sources))
    ensemble = cast.find(trains[0])
    assert isinstance(ensemble, Ensemble)
    ensemble.weights.copy_(weights)


class Fusion(nn.Module):
    """One classifier on the maps of several networks (FFL: Kim et al. 2019): joined along the channels, a depthwise
    3x3 and a pointwise convolution, each with batch-norm and ReLU, then pooled. Maps are pooled to the smallest.

    Built from the maps and, last, one network's logits; returns logits.
    """

    def __init__(self, *maps_and_logits: Tensor):
        super().__init__()
        *maps, logits = maps_and_logits
        total, width = sum(x.shape[1] for x in maps), maps[0].shape[1]
        depthwise = nn.Conv2d(total, total, 3, padding=1, groups=total, bias=False)
        pointwise = nn.Conv2d(total, width, 1, bias=False)
        self.fuse = nn.Sequential(depthwise, nn.BatchNorm2d(total), nn.ReLU(), pointwise, nn.BatchNorm2d(width), nn.ReLU())
        self.linear = nn.Linear(width, logits.shape[-1])

    def forward(self, *maps: Tensor) -> Tensor:
        smallest = min(maps, key=lambda x: x.shape[-1])
        joined = torch.cat([match_spatial(x, smallest)[0] for x in maps], dim=1)
        return self.linear(self.fuse(joined).flatten(2).mean(2))
