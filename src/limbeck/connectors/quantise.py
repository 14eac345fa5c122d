"""Weights in few bits: quantisers as parametrisations, the action that puts them on a role, and the size in true bits.

A role that is quantised always answers with its quantised weights; the full-precision ones are kept beside them
while it trains. Letters: m weights of a layer, b bits.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from limbeck.errors import UserError
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Progress
from limbeck.transforms.facts import call_text

QuantisedTensor = dict[str, Tensor]


def scaled(weight: Tensor, bucket: int) -> tuple[Tensor, Tensor, Tensor]:
    """Weights in buckets of `bucket`, each scaled linearly to 0..1: (unit, low, range), unit of shape (buckets, bucket).

    The last bucket is filled up with the last weight; a constant bucket has range 1 (Polino et al. 2018, authors' code).

    >>> scaled(torch.tensor([1.0, 3.0, 2.0]), 4)
    (tensor([[0.0000, 1.0000, 0.5000]]), tensor([[1.]]), tensor([[2.]]))
    """
    flat = weight.reshape(-1)
    size = min(bucket, len(flat))
    rows = torch.cat([flat, flat[-1:].expand(-len(flat) % size)]).view(-1, size)
    low, high = rows.amin(1, keepdim=True), rows.amax(1, keepdim=True)
    spread = torch.where(high - low < 1e-10, 1.0, high - low)
    return (rows - low) / spread, low, spread


def _unscaled(unit: Tensor, low: Tensor, spread: Tensor, shape: torch.Size) -> Tensor:
    return (unit * spread + low).reshape(-1)[: shape.numel()].view(shape)


def pack(codes: Tensor, bits: int) -> Tensor:
    """Codes 0 .. 2^bits - 1 as bytes, `bits` each without gaps, the lowest bit first.

    >>> pack(torch.tensor([1, 2, 3, 0, 1]), 2)
    tensor([57,  1], dtype=torch.uint8)
    """
    flat = ((codes.cpu().reshape(-1, 1) >> torch.arange(bits)) & 1).reshape(-1)
    flat = torch.cat([flat, flat.new_zeros(-len(flat) % 8)]).view(-1, 8)
    return (flat << torch.arange(8)).sum(1).to(torch.uint8)


def unpack(packed: Tensor, bits: int, count: int) -> Tensor:
    """The first `count` codes out of what `pack` made.

    >>> unpack(torch.tensor([57, 1], dtype=torch.uint8), 2, 5)
    tensor([1, 2, 3, 0, 1])
    """
    flat = ((packed.long().unsqueeze(1) >> torch.arange(8)) & 1).reshape(-1)[: count * bits]
    return (flat.view(-1, bits) << torch.arange(bits)).sum(1)


class Quantiser(nn.Module):
    """Base of the quantisers: `forward(weight)` gives the quantised weight, whose gradient goes to the weight as
    it is (straight-through); `stored(weight)` what must be kept of it, and `restored` the weight out of that."""

    fixes_weights = False  # True: the weights stay, something else learns

    def quantised(self, weight: Tensor) -> Tensor:
        raise NotImplementedError

    def stored(self, weight: Tensor) -> QuantisedTensor:
        raise NotImplementedError

    def restored(self, stored: QuantisedTensor, shape: torch.Size) -> Tensor:
        raise NotImplementedError

    def forward(self, weight: Tensor) -> Tensor:
        return self.quantised(weight.detach()) + (weight - weight.detach())  # the bracket is exactly 0


class Uniform(Quantiser):
    """2^b evenly spaced values from the smallest to the largest weight of every bucket, rounded to the nearest.

    Q(w) = low + range round((2^b - 1) (w - low) / range) / (2^b - 1). Polino et al. 2018, arXiv 1802.05668, and
    the authors' code (bucket of 256 there); its stochastic rounding is left out.

    >>> Uniform(torch.zeros(3), bits=1)(torch.tensor([0.0, 0.4, 1.0]))
    tensor([0., 0., 1.])
    """

    def __init__(self, weight: Tensor, *, bits: int = 4, bucket: int = 256):
        super().__init__()
        if not 1 <= bits <= 8 or bucket < 2:
            raise UserError(f"uniform quantisation needs 1 to 8 bits and a bucket of 2 or more, not {bits} and {bucket}")
        self.bits, self.bucket, self.steps = bits, bucket, 2**bits - 1

    def quantised(self, weight: Tensor) -> Tensor:
        unit, low, spread = scaled(weight, self.bucket)
        return _unscaled((unit * self.steps).round() / self.steps, low, spread, weight.shape)

    def stored(self, weight: Tensor) -> QuantisedTensor:
        unit, low, spread = scaled(weight, self.bucket)
        codes = (unit * self.steps).round().long().reshape(-1)[: weight.numel()]
        return {"codes": pack(codes, self.bits), "low": low, "range": spread}

    def restored(self, stored: QuantisedTensor, shape: torch.Size) -> Tensor:
        return _restored(stored, shape, self.bits, self.bucket, torch.arange(self.steps + 1) / self.steps)


class Ternary(Quantiser):
    """-1, 0 or 1: the sign where |w| > 0.7 mean |w|, else 0 (threshold of Li, Zhang & Liu 2016, arXiv 1605.04711).

    With `scale`, times the mean |w| of those above the threshold, one number per layer. Stored in 2 bits a weight.

    >>> Ternary(torch.zeros(3))(torch.tensor([0.1, -2.0, 3.0]))
    tensor([ 0., -1.,  1.])
    """

    def __init__(self, weight: Tensor, *, threshold: float = 0.7, scale: bool = False):
        super().__init__()
        self.threshold, self.scale = threshold, scale

    def _parts(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        size = weight.abs()
        kept = size > self.threshold * size.mean()
        scale = size[kept].mean() if self.scale and kept.any() else size.new_ones(())
        return weight.sign() * kept, scale

    def quantised(self, weight: Tensor) -> Tensor:
        signs, scale = self._parts(weight)
        return signs * scale

    def stored(self, weight: Tensor) -> QuantisedTensor:
        signs, scale = self._parts(weight)
        return {"codes": pack((signs + 1).long(), 2)} | ({"scale": scale} if self.scale else {})

    def restored(self, stored: QuantisedTensor, shape: torch.Size) -> Tensor:
        return (unpack(stored["codes"], 2, shape.numel()) - 1).view(shape) * stored.get("scale", torch.ones(()))


class Levels(Quantiser):
    """2^b values that are learned, while the weights stay: each weight takes the level nearest to it.

    w_q = low + range p_j with j = argmin |(w - low) / range - p_j|, so that dL/dp_j is the sum over the weights
    at j of range dL/dw_q. Levels start at the quantiles of the scaled weights. Polino et al. 2018 (differentiable
    quantisation) and the authors' code.
    """

    fixes_weights = True

    def __init__(self, weight: Tensor, *, bits: int = 4, bucket: int = 256):
        super().__init__()
        if not 1 <= bits <= 8 or bucket < 2:
            raise UserError(f"learned levels need 1 to 8 bits and a bucket of 2 or more, not {bits} and {bucket}")
        self.bits, self.bucket = bits, bucket
        unit = scaled(weight.detach(), bucket)[0].reshape(-1)[: weight.numel()].sort().values
        where = torch.linspace(0, len(unit) - 1, 2**bits, device=unit.device)
        self.levels = nn.Parameter(torch.lerp(unit[where.floor().long()], unit[where.ceil().long()], where.frac()))

    def _codes(self, unit: Tensor) -> Tensor:
        levels, order = self.levels.detach().sort()
        return order[torch.bucketize(unit, (levels[1:] + levels[:-1]) / 2)]

    def forward(self, weight: Tensor) -> Tensor:
        unit, low, spread = scaled(weight.detach(), self.bucket)
        return _unscaled(self.levels[self._codes(unit)], low, spread, weight.shape)

    def quantised(self, weight: Tensor) -> Tensor:
        return self(weight).detach()

    def stored(self, weight: Tensor) -> QuantisedTensor:
        unit, low, spread = scaled(weight, self.bucket)
        codes = self._codes(unit).reshape(-1)[: weight.numel()]
        return {"codes": pack(codes, self.bits), "low": low, "range": spread, "levels": self.levels.detach()}

    def restored(self, stored: QuantisedTensor, shape: torch.Size) -> Tensor:
        return _restored(stored, shape, self.bits, self.bucket, stored["levels"])


class Interval(Quantiser):
    """Evenly spaced values around 0 whose step is learned with the weights, one step per layer.

    w_q = step round(clip(w / step, -2^(b-1), 2^(b-1) - 1)); the rounding is passed by the gradient, so that the step's is
    that of Esser et al. 2020 (LSQ, arXiv 1902.08153), scaled as there by 1 / sqrt(n (2^(b-1) - 1)) for n weights: it sums
    over all of them, and unscaled the steps run away. The step starts at 2 mean |w| / sqrt(2^(b-1) - 1).
    Trainable quantisers of this kind are what QKD (Kim et al. 2019) builds on.

    >>> interval = Interval(torch.tensor([0.5, -1.0]), bits=2)
    >>> interval(torch.tensor([0.4, -9.0])).detach() / interval.step.detach()
    tensor([ 0., -2.])
    """

    def __init__(self, weight: Tensor, *, bits: int = 4):
        super().__init__()
        if not 2 <= bits <= 8:
            raise UserError(f"interval quantisation needs 2 to 8 bits, not {bits}")
        self.bits, self.low, self.high = bits, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        self.step = nn.Parameter((2 * weight.detach().abs().mean() / self.high**0.5).clamp_min(1e-8))

    def forward(self, weight: Tensor) -> Tensor:
        share = (weight.numel() * self.high) ** -0.5
        step = share * self.step + (1 - share) * self.step.detach()
        place = (weight / step).clamp(self.low, self.high)
        return step * (place + (place.round() - place).detach())

    def quantised(self, weight: Tensor) -> Tensor:
        return self(weight).detach()

    def stored(self, weight: Tensor) -> QuantisedTensor:
        codes = (weight / self.step.detach()).clamp(self.low, self.high).round().long() - self.low
        return {"codes": pack(codes, self.bits), "step": self.step.detach()}

    def restored(self, stored: QuantisedTensor, shape: torch.Size) -> Tensor:
        return ((unpack(stored["codes"], self.bits, shape.numel()) + self.low) * stored["step"]).view(shape)


def _restored(stored: QuantisedTensor, shape: torch.Size, bits: int, bucket: int, levels: Tensor) -> Tensor:
    size = min(bucket, shape.numel())
    codes = unpack(stored["codes"], bits, shape.numel())
    codes = torch.cat([codes, codes.new_zeros(-len(codes) % size)]).view(-1, size)
    return _unscaled(levels[codes], stored["low"], stored["range"], shape)


@dataclass(frozen=True)
class Quantise:
    """A role's convolutions and linear layers are quantised from here on: `by(weight, ...)` makes each one's quantiser.

    Done twice it changes nothing, so that a resumed or rebuilt role has the same form.
    """

    role: str
    by: Callable[[Tensor], Quantiser]
    reshapes: ClassVar[bool] = True  # its tensors get other names: replayed before stored weights are loaded

    def __str__(self) -> str:
        return f"{self.role} answers with weights quantised by {call_text(self.by)}"

    def __call__(self, cast: Cast, now: Progress) -> None:
        for module in list(cast.find(self.role).modules()):
            if not isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d) or parametrize.is_parametrized(module):
                continue
            quantiser, weight = self.by(module.weight.detach()), module.weight
            if quantiser.fixes_weights:
                del module.weight
                module.register_buffer("weight", weight.detach())
            parametrize.register_parametrization(module, "weight", quantiser)


def quantisers(module: nn.Module) -> Iterator[tuple[str, Quantiser, Tensor]]:
    """(name of the layer, its quantiser, its full-precision weight) of every quantised layer."""
    for name, part in module.named_modules():
        if parametrize.is_parametrized(part, "weight"):
            quantiser = part.parametrizations.weight[0]
            if isinstance(quantiser, Quantiser):
                yield name, quantiser, part.parametrizations.weight.original.detach()


def stored(module: nn.Module) -> QuantisedTensor:
    """All that must be kept of a module to answer as it does: packed codes and scales where it is quantised, its
    other parameters and buffers as they are."""
    kept = {key: value for key, value in module.state_dict().items() if ".parametrizations." not in f".{key}"}
    for name, quantiser, weight in quantisers(module):
        kept |= {f"{name}.weight.{key}": value for key, value in quantiser.stored(weight).items()}
    return kept


def true_bits(module: nn.Module) -> int:
    """The size of the stored form in bits, codes packed into whole bytes per layer; a plain module counts as it is.

    >>> true_bits(nn.Linear(3, 2))
    256
    """
    return sum(8 * value.numel() * value.element_size() for value in stored(module).values())
