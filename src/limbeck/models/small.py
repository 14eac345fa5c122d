"""The smallest useful networks: for 8 x 8 digits, 28 x 28 grey images, tables and tests."""

import math

from torch import nn

from limbeck.errors import UserError
from limbeck.models.shapes import Staged, conv_bn_relu, halvings, image_shape, initialise, pool


class CNN(Staged):
    """Three stages of `depth` 3 x 3 convolutions with `width`, 2 `width` and 4 `width` channels.

    On (1, 8, 8) with 10 classes: 1,702 parameters at width 4, 6,274 at 8, 372,682 at 64.
    """

    def __init__(self, classes: int, shape: tuple[int, ...], *, width: int = 8, depth: int = 1):
        super().__init__()
        if width < 1 or depth < 1:
            raise UserError(f"cnn: width and depth must be at least 1, got {width} and {depth}")
        inputs = image_shape("cnn", shape)[0]
        for k, stride in enumerate(halvings(shape, (1, 2, 2))):
            outputs = width * 2**k
            rest = [conv_bn_relu(outputs, outputs, 3) for _ in range(depth - 1)]
            self.add_module(f"layer{k + 1}", nn.Sequential(conv_bn_relu(inputs, outputs, 3, stride), *rest))
            inputs = outputs
        self.pool = pool()
        self.linear = nn.Linear(inputs, classes)
        initialise(self)


class MLP(Staged):
    """Inputs of any shape laid flat, three hidden layers of `width` units with ReLU, a linear classifier.

    `layer1` to `layer3` give (n, width), so does `pool`, which changes nothing.
    """

    def __init__(self, classes: int, shape: tuple[int, ...], *, width: int = 64):
        super().__init__()
        if width < 1:
            raise UserError(f"mlp: width must be at least 1, got {width}")
        self.stem = nn.Flatten()
        self.layer1 = nn.Sequential(nn.Linear(math.prod(shape), width), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.layer3 = nn.Sequential(nn.Linear(width, width), nn.ReLU())
        self.pool = nn.Identity()
        self.linear = nn.Linear(width, classes)
