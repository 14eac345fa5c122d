"""Pieces for maps: a code of the teacher's map and back, the student's map beside it, and a critic of whole answers.

Shapes: n samples, c channels, h x w pixels, C classes.
"""

from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from limbeck.models.shapes import conv_bn_relu


class Encoder(nn.Module):
    """The teacher's map as a code of the student's size, with `channels` (the teacher's, if 0) (He et al. 2019).

    3x3 convolutions with batch-norm and ReLU, one of stride 2 for each halving between the two maps, then a linear
    3x3 convolution. Works for equal sizes too; the number of layers is not stated in the abstract and is ours.
    """

    def __init__(self, student: Tensor, teacher: Tensor, *, channels: int = 0):
        super().__init__()
        width, out = teacher.shape[1], channels or teacher.shape[1]
        self.size = (student.shape[2], student.shape[3])
        halvings, high = 0, teacher.shape[2]
        while ceil(high / 2) >= self.size[0]:
            halvings, high = halvings + 1, ceil(high / 2)
            if high == 1:
                break
        steps = [conv_bn_relu(width, width, 3, 2) for _ in range(halvings)] or [conv_bn_relu(width, width, 3)]
        self.net = nn.Sequential(*steps, nn.Conv2d(width, out, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.net(x)
        return x if x.shape[2:] == self.size else F.adaptive_avg_pool2d(x, self.size)


class Restorer(nn.Module):
    """The map of the teacher out of its code: enlarged, two 3x3 convolutions with a batch-norm and ReLU between."""

    def __init__(self, code: Tensor, teacher: Tensor):
        super().__init__()
        out = teacher.shape[1]
        self.size = (teacher.shape[2], teacher.shape[3])
        self.net = nn.Sequential(conv_bn_relu(code.shape[1], out, 3), nn.Conv2d(out, out, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(F.interpolate(x, self.size, mode="bilinear", align_corners=False))


class MapAdapter(nn.Module):
    """The student's map with the channels of a code: a 3x3 convolution and batch-norm, of either sign."""

    def __init__(self, student: Tensor, code: Tensor):
        super().__init__()
        conv = nn.Conv2d(student.shape[1], code.shape[1], 3, padding=1, bias=False)
        self.net = nn.Sequential(conv, nn.BatchNorm2d(code.shape[1]))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Critic(nn.Module):
    """A score for a whole map of answers (n, h, w, C), beside its image where one is given (Liu et al. 2019).

    Three 3x3 convolutions of stride 2 with leaky ReLU, then the mean of one score for each place, without a bias, as only
    differences of scores count. The authors'
    self-attention and spectral normalisation are left out. `penalty` gives the length of its slope between two maps.
    """

    def __init__(self, answers: Tensor, image: Tensor | None = None, *, width: int = 32, normalised: bool = False):
        super().__init__()
        classes = answers.shape[-1]
        inputs = classes + (0 if image is None else image.shape[1])
        layers: list[nn.Module] = [nn.BatchNorm2d(classes)] if normalised else []
        for outputs in (width, 2 * width, 4 * width):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.LeakyReLU(0.1)]
            inputs = outputs
        self.net = nn.Sequential(*layers, nn.Conv2d(inputs, 1, 1, bias=False))
        self.penalty = _Slope(self.net)

    def forward(self, answers: Tensor, image: Tensor | None = None) -> Tensor:
        return self.net(_beside(answers, image)).mean((1, 2, 3))


class _Slope(nn.Module):
    """Length of a critic's gradient at a random point between two maps of answers: (n,); differentiable."""

    net: nn.Module

    def __init__(self, net: nn.Module):
        super().__init__()
        object.__setattr__(self, "net", net)  # the critic's own, not a second entry of its weights

    def forward(self, first: Tensor, second: Tensor, image: Tensor | None = None) -> Tensor:
        share = torch.rand((len(first), *(1,) * (first.dim() - 1)), device=first.device)
        with torch.enable_grad():
            between = (share * first.detach() + (1 - share) * second.detach()).requires_grad_()
            score = self.net(_beside(between, image)).mean((1, 2, 3))
            (slope,) = torch.autograd.grad(score.sum(), between, create_graph=True)
        return (slope.flatten(1).square().sum(1) + 1e-12).sqrt()


def _beside(answers: Tensor, image: Tensor | None) -> Tensor:
    maps = answers.movedim(-1, 1) if answers.dim() == 4 else answers[:, :, None, None]
    if image is None:
        return maps
    size = (maps.shape[2], maps.shape[3])
    return torch.cat([maps, image if image.shape[2:] == maps.shape[2:] else F.adaptive_avg_pool2d(image, size)], 1)
