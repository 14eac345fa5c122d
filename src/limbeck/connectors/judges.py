"""Discriminators: whose activation is this?

Shapes: n samples, c channels, h x w pixels, t tokens, d embedding dimensions, C classes.
"""

from torch import Tensor, nn


class Judge(nn.Module):
    """Tells one model's activations from another's: a logit per sample, from the pooled activation."""

    def __init__(self, feature: Tensor, width: int = 64):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(feature.shape[1], width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(2).mean(2) if x.dim() > 2 else x
        return self.net(x).squeeze(1)


class MapJudge(nn.Module):
    """Tells one network's map from another's by where things are, too: two 3x3 convolutions, then the mean over
    the pixels of one logit each. The paper of AFD (Chung et al. 2020) leaves the discriminator's form open here."""

    def __init__(self, feature: Tensor, width: int = 32):
        super().__init__()
        first = nn.Conv2d(feature.shape[1], width, 3, padding=1, bias=False)
        self.net = nn.Sequential(first, nn.BatchNorm2d(width), nn.LeakyReLU(0.2), nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).mean((1, 2, 3))
