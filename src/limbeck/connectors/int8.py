"""A network that computes as an int8 file will, while it is trained: weights and inputs of its layers are rounded to what
8 bits can say, and the gradient passes the rounding (Jacob et al. 2018, arXiv 1712.05877).

Weights: symmetric, one step for each output channel, max|w| / 127. Inputs: one step for the tensor, from a moving range.
Where a batch-norm is folded into its convolution for shipping, each channel's weights and their step grow by the same
factor, so that the rounding here is the rounding there.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from limbeck.connectors.quantise import QuantisedTensor, Quantiser, pack, unpack
from limbeck.plan.kinds import Value
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Progress

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class PerChannel(Quantiser):
    """Each output channel's weights as whole multiples, -127 to 127, of its own step.

    >>> PerChannel(torch.zeros(1, 2))(torch.tensor([[1.27, 0.012]]))
    tensor([[1.2700, 0.0100]])
    """

    def __init__(self, weight: Tensor):
        super().__init__()

    def _codes(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        step = (weight.flatten(1).abs().amax(1) / 127).clamp_min(1e-12).view(-1, *[1] * (weight.dim() - 1))
        return (weight / step).round().clamp(-127, 127), step

    def quantised(self, weight: Tensor) -> Tensor:
        codes, step = self._codes(weight)
        return codes * step

    def stored(self, weight: Tensor) -> QuantisedTensor:
        codes, step = self._codes(weight)
        return {"codes": pack((codes + 127).long(), 8), "step": step}

    def restored(self, stored: QuantisedTensor, shape: torch.Size) -> Tensor:
        return (unpack(stored["codes"], 8, shape.numel()) - 127).view(shape) * stored["step"]


class Range(nn.Module):
    """What a layer is given, rounded to 255 steps between the least and the largest that were seen, zero included."""

    low: Tensor
    high: Tensor

    def __init__(self, momentum: float = 0.9):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            low, high = x.detach().amin().clamp_max(0.0), x.detach().amax().clamp_min(0.0)
            first = bool(self.high <= self.low)
            self.low.copy_(low if first else torch.lerp(low, self.low, self.momentum))
            self.high.copy_(high if first else torch.lerp(high, self.high, self.momentum))
        step = float((self.high - self.low).clamp_min(1e-8) / 255)
        zero = max(-128, min(127, round(-128 - float(self.low) / step)))
        return torch.fake_quantize_per_tensor_affine(x, step, zero, -128, 127)


def _round_input(module: nn.Module, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    return (module.int8_input(inputs[0]), *inputs[1:])  # type: ignore[operator]


@dataclass(frozen=True)
class AsInt8:
    """From here on a role computes as its int8 file will; `as_float` undoes it."""

    role: str
    reshapes: ClassVar[bool] = True

    def __str__(self) -> str:
        return f"{self.role} computes as in int8"

    def __call__(self, cast: Cast, now: Progress) -> None:
        for module in list(cast.find(self.role).modules()):
            if isinstance(module, LAYERS) and not parametrize.is_parametrized(module):
                parametrize.register_parametrization(module, "weight", PerChannel(module.weight.detach()))
                module.int8_input = Range()
                module.register_forward_pre_hook(_round_input)


def as_float(module: nn.Module) -> None:
    """Make an ordinary float network of one that computed as in int8; its weights stay what was learned."""
    for part in list(module.modules()):
        if isinstance(part, LAYERS) and hasattr(part, "int8_input"):
            parametrize.remove_parametrizations(part, "weight", leave_parametrized=False)
            del part.int8_input
            for number in [k for k, hook in part._forward_pre_hooks.items() if hook is _round_input]:
                del part._forward_pre_hooks[number]
