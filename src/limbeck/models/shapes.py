"""What every network of the zoo needs: a checked input shape, as many halvings as fit, one initialisation."""

import math

from torch import Tensor, nn

from limbeck.errors import UserError


def image_shape(name: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return `shape` as (channels, height, width), or say why it is none.

    Raises:
        UserError: not three numbers, or less than 8 pixels wide or high.
    """
    if len(shape) != 3 or min(shape) < 1:
        raise UserError(f"{name} needs images of shape (channels, height, width), got {tuple(shape)}; use 'mlp' for other inputs")
    if min(shape[1:]) < 8:
        raise UserError(f"{name} needs images of at least 8 x 8 pixels, got {shape[1]} x {shape[2]}; enlarge them or use 'mlp'")
    return shape[0], shape[1], shape[2]


def halvings(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """Return the strides `wanted` (1 or 2 each) with the earliest 2s dropped until 2 x 2 pixels remain.

    >>> halvings((3, 32, 32), (2, 1, 2, 2, 2))
    (2, 1, 2, 2, 2)
    >>> halvings((1, 8, 8), (2, 1, 2, 2, 2))
    (1, 1, 1, 2, 2)
    """
    spare = sum(s == 2 for s in wanted) - int(math.log2(min(shape[1:]) / 2))
    strides = []
    for stride in wanted:
        drop = stride == 2 and spare > 0
        spare -= drop
        strides.append(1 if drop else stride)
    return tuple(strides)


class GlobalPool(nn.Module):
    """The embedding: (n, channels, h, w) to (n, channels), the mean over the pixels.

    `AdaptiveAvgPool2d` gives the same numbers, but its gradient forgets a channels-last layout, and every
    layer below then pays for it.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((-2, -1))


def pool() -> nn.Module:
    """The mean over the pixels, as a layer."""
    return GlobalPool()


def initialise(module: nn.Module) -> None:
    """He initialisation (fan out) for convolutions, torch's default elsewhere; uses torch's global generator."""
    for m in module.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            if m.bias is not None:
                nn.init.zeros_(m.bias)


class Staged(nn.Module):
    """A network in stages: `stem`, `layer1` .. `layerK`, `head`, `pool`, `linear`, run in that order.

    The children named here are what distillation methods tap by default; subclasses only set them.
    A network without a stem or head leaves it out. Maps (n, channels, h, w) to logits (n, classes).
    """

    order: tuple[str, ...] = ("stem", "layer1", "layer2", "layer3", "layer4", "head", "pool", "linear")

    def forward(self, x: Tensor) -> Tensor:
        for name in self.order:
            child = self._modules.get(name)
            if child is not None:
                x = child(x)
        return x


def conv_bn_relu(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution without bias, batch normalisation, ReLU that is not in place (so that it can be tapped)."""
    conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())
