"""VGG with batch normalisation for small images: Simonyan and Zisserman 2015 (https://arxiv.org/abs/1409.1556).

The fully connected layers are one linear classifier, as is usual for 32 x 32 pixels
(https://github.com/HobbitLong/RepDistiller). The five groups of convolutions are `stem`, `layer1`, `layer2` and,
both of 512 channels, `layer3`; every stage but the stem begins with the pooling before it.
"""

from torch import nn

from limbeck.errors import unknown
from limbeck.models.shapes import Staged, halvings, image_shape, initialise, pool

_GROUPS = {8: (1, 1, 1, 1, 1), 11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)


class VGG(Staged):
    """VGG-`depth` (8, 11, 13, 16, 19); 3,965,028 (8) and 9,462,180 (13) parameters with 100 classes, 3 channels."""

    def __init__(self, classes: int, shape: tuple[int, ...], *, depth: int = 8):
        super().__init__()
        if depth not in _GROUPS:
            raise unknown("vgg depth", str(depth), map(str, _GROUPS))
        inputs = image_shape(f"vgg{depth}", shape)[0]
        wanted = (1, 2, 2, 2, 2 if min(shape[1:]) >= 64 else 1)
        groups: list[list[nn.Module]] = []
        for count, width, stride in zip(_GROUPS[depth], _WIDTHS, halvings(shape, wanted), strict=True):
            group: list[nn.Module] = [nn.MaxPool2d(2)] if stride == 2 else []
            for _ in range(count):
                group.append(_convolution(inputs, width))
                inputs = width
            groups.append(group)
        self.stem = nn.Sequential(*groups[0])
        self.layer1 = nn.Sequential(*groups[1])
        self.layer2 = nn.Sequential(*groups[2])
        self.layer3 = nn.Sequential(*groups[3], *groups[4])
        self.pool = pool()
        self.linear = nn.Linear(512, classes)
        initialise(self)


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())
