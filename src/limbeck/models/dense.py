"""Networks that answer for every pixel: (n, channels, h, w) to logits (n, classes, h, w).

U-Net: Ronneberger et al. 2015 (https://arxiv.org/abs/1505.04597), with padded convolutions and batch normalisation.
FCN: Long et al. 2015 (https://arxiv.org/abs/1411.4038): a backbone, a 1 x 1 classifier, bilinear enlargement; the stages
of the backbone are those of ResNet or MobileNetV2. Their children are `layer1`, `layer2`, ... (the stages) and `head`.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limbeck.errors import UserError
from limbeck.models.mobile import Inverted
from limbeck.models.resnet import Block
from limbeck.models.shapes import conv_bn_relu, image_shape, initialise


def _two(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(conv_bn_relu(inputs, outputs, 3), conv_bn_relu(outputs, outputs, 3))


class UNet(nn.Module):
    """`depth` stages `layer1` .. down, each half the size and twice as wide, then back up `up1` .. beside them.

    `up1`, the last one to run, has full size and `width` channels. 118,322 parameters at width 16 and depth 3 with
    2 classes and 1 channel. Any size works: what was halved is enlarged to the size of its partner.
    """

    def __init__(self, classes: int, shape: tuple[int, ...], *, width: int = 16, depth: int = 3):
        super().__init__()
        inputs = image_shape("unet", shape)[0]
        if width < 1 or not 2 <= depth <= 6 or min(shape[1:]) < 2**depth:
            raise UserError(f"unet: width must be at least 1, depth 2 to 6 and fit {shape[1:]}, got {width} and {depth}")
        self.depth = depth
        for k in range(depth):
            self.add_module(f"layer{k + 1}", _two(inputs, width * 2**k))
            inputs = width * 2**k
        for k in reversed(range(depth - 1)):
            self.add_module(f"up{k + 1}", _two(inputs + width * 2**k, width * 2**k))
            inputs = width * 2**k
        self.head = nn.Conv2d(inputs, classes, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        beside = []
        for k in range(self.depth):
            x = self.get_submodule(f"layer{k + 1}")(F.max_pool2d(x, 2) if k else x)
            beside.append(x)
        for k in reversed(range(self.depth - 1)):
            x = F.interpolate(x, beside[k].shape[2:], mode="bilinear", align_corners=False)
            x = self.get_submodule(f"up{k + 1}")(torch.cat([beside[k], x], 1))
        return self.head(x)


def add_stages(
    name: str,
    net: nn.Module,
    shape: tuple[int, ...],
    widths: tuple[int, ...],
    block: Callable[..., nn.Module],
    blocks: int,
    stride: int,
) -> None:
    """Give a network its `stem` and `layer1` to `layer3`, which go down to one `stride`-th of the size."""
    inputs = image_shape(name, shape)[0]
    if stride not in (4, 8, 16) or blocks < 1 or min(widths) < 1:
        raise UserError(f"{name}: stride must be 4, 8 or 16, blocks and widths at least 1; got {stride}, {blocks} and {widths}")
    net.add_module("stem", conv_bn_relu(inputs, widths[0], 3, 2))
    for k, down in enumerate((2, 2 if stride > 4 else 1, 2 if stride > 8 else 1)):
        first, rest = block(widths[k], widths[k + 1], down), range(1, blocks)
        net.add_module(f"layer{k + 1}", nn.Sequential(first, *(block(widths[k + 1], widths[k + 1], 1) for _ in rest)))


class FCN(nn.Module):
    """A stem and three stages down to one `stride`-th of the size, `head` (1 x 1), enlarged to full size.

    Args:
        widths: channels of the stem and of `layer1` to `layer3`.
        block: (inputs, outputs, stride) -> a block; blocks: of them in each stage.
        stride: 4, 8 or 16: how many input pixels apart the answers are before they are enlarged.
    """

    def __init__(
        self,
        classes: int,
        shape: tuple[int, ...],
        widths: tuple[int, ...],
        block: Callable[..., nn.Module],
        blocks: int,
        stride: int,
    ):
        super().__init__()
        add_stages("fcn", self, shape, widths, block, blocks, stride)
        self.head = nn.Conv2d(widths[-1], classes, 1)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        size, x = x.shape[2:], self.get_submodule("stem")(x)
        for k in (1, 2, 3):
            x = self.get_submodule(f"layer{k}")(x)
        return F.interpolate(self.head(x), size, mode="bilinear", align_corners=False)


def fcn(classes: int, shape: tuple[int, ...], *, width: int = 32, blocks: int = 2, stride: int = 8) -> nn.Module:
    """FCN of residual blocks with `width`, 2 `width` and 4 `width` channels."""
    block = partial(Block, padded=False)
    return FCN(classes, shape, (width, width, 2 * width, 4 * width), block, blocks, stride)


def fcn_mobile(
    classes: int, shape: tuple[int, ...], *, width: float = 0.5, blocks: int = 2, stride: int = 16, expand: int = 6
) -> nn.Module:
    """FCN of MobileNetV2's inverted bottlenecks with 24, 32 and 96 channels times `width`."""
    widths = tuple(int(full * width) for full in (32, 24, 32, 96))
    return FCN(classes, shape, widths, partial(Inverted, expand=expand), blocks, stride)
