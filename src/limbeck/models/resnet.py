"""Residual networks for small images: He et al. 2016 (https://arxiv.org/abs/1512.03385), section 4.2.

Letters: n samples, c channels, h and w pixels.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from limbeck.errors import UserError
from limbeck.models.shapes import halvings, image_shape, initialise, pool


class PadShortcut(nn.Module):
    """Option A: keep every `stride`-th pixel and add zero channels on both sides; no parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.stride = stride
        self.before = (outputs - inputs) // 2
        self.after = outputs - inputs - self.before

    def forward(self, x: Tensor) -> Tensor:
        thinned = F.avg_pool2d(x, 1, self.stride)  # unlike a slice, its gradient keeps the memory layout
        return F.pad(thinned, (0, 0, 0, 0, self.before, self.after))


def _projection(inputs: int, outputs: int, stride: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """Two 3 x 3 convolutions around which the input is carried; ends in `relu`, which is not in place."""

    def __init__(self, inputs: int, outputs: int, stride: int, padded: bool):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = (PadShortcut if padded else _projection)(inputs, outputs, stride)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet(nn.Module):
    """A 3 x 3 stem, then stages `layer1`, `layer2`, ... of `blocks` each, `pool`, `linear`.

    Args:
        blocks: blocks of each stage.
        widths: channels of the stem and of each stage, one more than `blocks`.
        padded: True for option A shortcuts (no parameters), False for 1 x 1 convolutions.
    """

    def __init__(self, *, classes: int, shape: tuple[int, ...], blocks: tuple[int, ...], widths: tuple[int, ...], padded: bool):
        super().__init__()
        channels = image_shape("a residual network", shape)[0]
        self.conv1 = nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        strides = halvings(shape, (1,) + (2,) * (len(blocks) - 1))
        self.stages = len(blocks)
        for k, (count, stride) in enumerate(zip(blocks, strides, strict=True)):
            first = Block(widths[k], widths[k + 1], stride, padded)
            rest = [Block(widths[k + 1], widths[k + 1], 1, padded) for _ in range(count - 1)]
            self.add_module(f"layer{k + 1}", nn.Sequential(first, *rest))
        self.pool = pool()
        self.linear = nn.Linear(widths[-1], classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        for k in range(self.stages):
            x = self.get_submodule(f"layer{k + 1}")(x)
        return self.linear(self.pool(x))


def cifar_resnet(classes: int, shape: tuple[int, ...], *, depth: int = 20, width: int = 16) -> nn.Module:
    """ResNet-`depth` (6 n + 2 layers) of width, 2 width, 4 width channels with option A shortcuts.

    269,722 parameters at depth 20 and 853,018 at depth 56 with 10 classes and 3 input channels.
    """
    if (depth - 2) % 6 or depth < 8 or width < 1:
        raise UserError(f"resnet: depth must be 6 n + 2 (8, 14, 20, ...) and width >= 1, got {depth} and {width}")
    return ResNet(
        classes=classes,
        shape=shape,
        blocks=((depth - 2) // 6,) * 3,
        widths=(width, width, 2 * width, 4 * width),
        padded=True,
    )


def resnet_x4(classes: int, shape: tuple[int, ...], *, depth: int = 8) -> nn.Module:
    """ResNet 8x4 and 32x4 of the distillation literature: stem 32, stages 64, 128, 256, convolution shortcuts.

    Widths of https://github.com/HobbitLong/RepDistiller; with 100 classes 1,233,540 (8x4) and 7,433,860 (32x4)
    parameters.
    """
    return ResNet(classes=classes, shape=shape, blocks=((depth - 2) // 6,) * 3, widths=(32, 64, 128, 256), padded=False)


def resnet18(classes: int, shape: tuple[int, ...], *, width: int = 64) -> nn.Module:
    """ResNet-18 with a 3 x 3 stem and no first pooling, for small images; four stages, `layer1` to `layer4`.

    11,173,962 parameters with 10 classes and 3 input channels.
    """
    if width < 1:
        raise UserError(f"resnet18: width must be at least 1, got {width}")
    widths = (width, width, 2 * width, 4 * width, 8 * width)
    return ResNet(classes=classes, shape=shape, blocks=(2, 2, 2, 2), widths=widths, padded=False)
