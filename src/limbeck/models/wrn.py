"""Wide residual networks: Zagoruyko and Komodakis 2016 (https://arxiv.org/abs/1605.07146).

Pre-activation: a stage ends in a sum, not in a ReLU; `bn1` and `relu` follow the last stage.
"""

from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.models.shapes import halvings, image_shape, initialise, pool


class PreBlock(nn.Module):
    """Normalise, ReLU, convolve, twice, plus the input (through a 1 x 1 convolution where widths change)."""

    def __init__(self, inputs: int, outputs: int, stride: int, dropout: float):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        same = inputs == outputs and stride == 1
        self.shortcut = None if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        active = self.relu1(self.bn1(x))
        out = self.conv2(self.dropout(self.relu2(self.bn2(self.conv1(active)))))
        return out + (x if self.shortcut is None else self.shortcut(active))


class WideResNet(nn.Module):
    """Stem of 16 channels, stages of 16 k, 32 k, 64 k channels with (depth - 4) / 6 blocks each."""

    layer1: nn.Module
    layer2: nn.Module
    layer3: nn.Module

    def __init__(self, classes: int, shape: tuple[int, ...], *, depth: int = 16, width: int = 2, dropout: float = 0.0):
        super().__init__()
        if (depth - 4) % 6 or depth < 10 or width < 1:
            raise UserError(f"wrn: depth must be 6 n + 4 (10, 16, 22, ...) and width >= 1, got {depth} and {width}")
        channels = image_shape("wrn", shape)[0]
        widths = (16, 16 * width, 32 * width, 64 * width)
        self.conv1 = nn.Conv2d(channels, 16, 3, 1, 1, bias=False)
        for k, stride in enumerate(halvings(shape, (1, 2, 2))):
            blocks = [PreBlock(widths[k], widths[k + 1], stride, dropout)]
            blocks += [PreBlock(widths[k + 1], widths[k + 1], 1, dropout) for _ in range((depth - 4) // 6 - 1)]
            self.add_module(f"layer{k + 1}", nn.Sequential(*blocks))
        self.bn1 = nn.BatchNorm2d(widths[3])
        self.relu = nn.ReLU()
        self.pool = pool()
        self.linear = nn.Linear(widths[3], classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.linear(self.pool(self.relu(self.bn1(x))))
