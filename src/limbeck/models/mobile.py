"""Networks made for small devices, in their forms for small images.

MobileNetV2: Sandler et al. 2018 (https://arxiv.org/abs/1801.04381).
ShuffleNetV2: Ma et al. 2018 (https://arxiv.org/abs/1807.11164).
Structure for 32 x 32 pixels after https://github.com/HobbitLong/RepDistiller.
"""

import torch
from torch import Tensor, nn

from limbeck.errors import UserError, unknown
from limbeck.models.shapes import Staged, conv_bn_relu, halvings, image_shape, initialise, pool


class Inverted(nn.Module):
    """Widen by `expand`, filter each channel, narrow without ReLU; plus the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int):
        super().__init__()
        wide = inputs * expand
        self.conv = nn.Sequential(
            conv_bn_relu(inputs, wide, 1),
            conv_bn_relu(wide, wide, 3, stride, groups=wide),
            nn.Conv2d(wide, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.carries = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv(x) if self.carries else self.conv(x)


class MobileNetV2(Staged):
    """MobileNetV2 with channels times `width` and expansion `expand`; stages end linear, as in the paper.

    `layer1` to `layer4` end at 24, 32, 96 and 320 channels times `width`; `head` widens to 1280.
    812,836 parameters at width 0.5 with 100 classes and 3 channels.
    """

    def __init__(self, classes: int, shape: tuple[int, ...], *, width: float = 0.5, expand: int = 6):
        super().__init__()
        if width < 0.07 or expand < 1:
            raise UserError(f"mobilenetv2: width must be at least 0.07 and expand at least 1, got {width} and {expand}")
        channels = image_shape("mobilenetv2", shape)[0]
        strides = halvings(shape, (2, 1, 1, 2, 2, 1, 2, 1))
        inputs = int(32 * width)
        self.stem = conv_bn_relu(channels, inputs, 3, strides[0])
        stage = {1: 1, 2: 1, 3: 2, 4: 3, 5: 3, 6: 4, 7: 4}
        blocks: dict[int, list[nn.Module]] = {1: [], 2: [], 3: [], 4: []}
        plan = ((16, 1), (24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1))
        for k, (full, count) in enumerate(plan, start=1):
            for i in range(count):
                outputs = int(full * width)
                blocks[stage[k]].append(Inverted(inputs, outputs, strides[k] if i == 0 else 1, 1 if k == 1 else expand))
                inputs = outputs
        for k, members in blocks.items():
            self.add_module(f"layer{k}", nn.Sequential(*members))
        last = int(1280 * max(1.0, width))
        self.head = conv_bn_relu(inputs, last, 1)
        self.pool = pool()
        self.linear = nn.Linear(last, classes)
        initialise(self)


def _shuffle(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def _branch(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        conv_bn_relu(inputs, outputs, 1),
        nn.Conv2d(outputs, outputs, 3, stride, 1, groups=outputs, bias=False),
        nn.BatchNorm2d(outputs),
        conv_bn_relu(outputs, outputs, 1),
    )


class Shuffle(nn.Module):
    """One half of the channels passes, the other is convolved, then the halves are interleaved."""

    def __init__(self, channels: int):
        super().__init__()
        self.kept = channels // 2
        self.right = _branch(self.kept, self.kept, 1)

    def forward(self, x: Tensor) -> Tensor:
        return _shuffle(torch.cat([x[:, : self.kept], self.right(x[:, self.kept :])], dim=1))


class ShuffleDown(nn.Module):
    """Both halves come from the whole input, each through a strided branch of its own."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.left = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            conv_bn_relu(inputs, outputs // 2, 1),
        )
        self.right = _branch(inputs, outputs // 2, stride)

    def forward(self, x: Tensor) -> Tensor:
        return _shuffle(torch.cat([self.left(x), self.right(x)], dim=1))


_SHUFFLE = {
    "0.5": (48, 96, 192, 1024),
    "1": (116, 232, 464, 1024),
    "1.5": (176, 352, 704, 1024),
    "2": (224, 488, 976, 2048),
}


class ShuffleNetV2(Staged):
    """ShuffleNetV2 of complexity `size` (0.5, 1, 1.5 or 2); 1,355,528 parameters at 1 with 100 classes, 3 channels."""

    def __init__(self, classes: int, shape: tuple[int, ...], *, size: float = 1):
        super().__init__()
        if f"{size:g}" not in _SHUFFLE:
            raise unknown("shufflenetv2 size", f"{size:g}", _SHUFFLE)
        *widths, last = _SHUFFLE[f"{size:g}"]
        inputs = 24
        self.stem = conv_bn_relu(image_shape("shufflenetv2", shape)[0], inputs, 1)
        for k, (outputs, more, stride) in enumerate(zip(widths, (3, 7, 3), halvings(shape, (2, 2, 2)), strict=True)):
            members = [ShuffleDown(inputs, outputs, stride), *(Shuffle(outputs) for _ in range(more))]
            self.add_module(f"layer{k + 1}", nn.Sequential(*members))
            inputs = outputs
        self.head = conv_bn_relu(inputs, last, 1)
        self.pool = pool()
        self.linear = nn.Linear(last, classes)
        initialise(self)
