"""One-stage detectors without anchors: every cell answers for the object whose middle is near.

After FCOS (Tian et al. 2019, https://arxiv.org/abs/1904.01355) and CenterNet (Zhou et al. 2019,
https://arxiv.org/abs/1904.07850), with one map, a softmax with "nothing here", and no centre-ness.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from limbeck.models.dense import add_stages
from limbeck.models.mobile import Inverted
from limbeck.models.resnet import Block
from limbeck.models.shapes import conv_bn_relu, initialise


class Detector(nn.Module):
    """Stem and stages as an `FCN` has them, then `head`: (n, channels, H, W) to (n, H / stride, W / stride, classes + 5).

    What the last dimension holds is said in `limbeck.boxes`.
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
        add_stages("detector", self, shape, widths, block, blocks, stride)
        width = widths[-1]
        self.head = nn.Sequential(conv_bn_relu(width, width, 3), nn.Conv2d(width, classes + 5, 1))
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.get_submodule("stem")(x)
        for k in (1, 2, 3):
            x = self.get_submodule(f"layer{k}")(x)
        return self.head(x).permute(0, 2, 3, 1)


def detector(classes: int, shape: tuple[int, ...], *, width: int = 32, blocks: int = 2, stride: int = 8) -> nn.Module:
    """Detector of residual blocks with `width`, 2 `width` and 4 `width` channels."""
    return Detector(classes, shape, (width, width, 2 * width, 4 * width), partial(Block, padded=False), blocks, stride)


def detector_mobile(
    classes: int, shape: tuple[int, ...], *, width: float = 0.5, blocks: int = 2, stride: int = 8, expand: int = 6
) -> nn.Module:
    """Detector of MobileNetV2's inverted bottlenecks with 24, 32 and 96 channels times `width`."""
    widths = tuple(int(full * width) for full in (32, 24, 32, 96))
    return Detector(classes, shape, widths, partial(Inverted, expand=expand), blocks, stride)
