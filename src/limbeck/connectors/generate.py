"""Maps made out of other maps: masked generation, paraphrase and translation, projection to another network's head.

Shapes: n samples, c channels, h x w pixels.
"""

import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.transforms.facts import connector


class MaskedGenerator(nn.Module):
    """The teacher's map generated from the student's, parts of which were blanked (MGD: Yang et al. 2022).

    A 1x1 convolution where the channels differ, the mask, then two 3x3 convolutions with a ReLU between. While it
    trains, a share `masked` of the pixels is blanked anew at every step, or of the channels; like dropout, never else.
    """

    def __init__(self, student: Tensor, teacher: Tensor, *, masked: float = 0.5, channels: bool = False):
        super().__init__()
        if student.dim() != 4 or student.shape[2:] != teacher.shape[2:]:
            raise UserError(
                f"masked generation joins maps of one size; got student {tuple(student.shape)} and teacher {tuple(teacher.shape)}"
            )
        self.masked, self.channels = masked, channels
        mine, out = student.shape[1], teacher.shape[1]
        self.align: nn.Module = nn.Conv2d(mine, out, 1) if mine != out else nn.Identity()
        self.generate = nn.Sequential(nn.Conv2d(out, out, 3, padding=1), nn.ReLU(), nn.Conv2d(out, out, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.align(x)
        if self.training:
            n, c, h, w = x.shape
            shape = (n, c, 1, 1) if self.channels else (n, 1, h, w)
            x = x * (torch.rand(shape, device=x.device) >= self.masked)
        return self.generate(x)


class HeadProjector(nn.Module):
    """The student's last map in the form that the teacher's classifier expects (SimKD: Chen et al. 2022).

    1x1, 3x3 and 1x1 convolutions with batch-norm and ReLU, narrower by `factor` within (2, the paper's), after the
    larger map was average-pooled. Keeps the student's size where it is the smaller one.
    """

    def __init__(self, student: Tensor, teacher: Tensor, *, factor: int = 2):
        super().__init__()
        out = teacher.shape[1]
        width = max(1, out // factor)
        steps = [(student.shape[1], width, 1), (width, width, 3), (width, out, 1)]
        layers = [
            nn.Sequential(nn.Conv2d(a, b, k, padding=k // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU()) for a, b, k in steps
        ]
        self.net = nn.Sequential(*layers)
        self.size = (min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3]))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x if tuple(x.shape[2:]) == self.size else nn.functional.adaptive_avg_pool2d(x, self.size))


@connector(knowledge="factors")
class Paraphraser(nn.Module):
    """The teacher's map as a factor of fewer channels and back (factor transfer: Kim et al. 2018): returns (factor, map).

    Three 3x3 convolutions with leaky ReLUs each way, without batch-norm as in the public codes. rate: channels of the factor per
    channel of the map; 0.5 as in the paper's CIFAR runs.
    """

    def __init__(self, teacher: Tensor, *, rate: float = 0.5):
        super().__init__()
        width = teacher.shape[1]
        factor = max(1, round(width * rate))
        self.encode = _three(width, width, factor, normed=False)
        self.decode = _three(factor, factor, width, normed=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        factor = self.encode(x)
        return factor, self.decode(factor)


class Translator(nn.Module):
    """The student's map as a factor of the paraphraser's form: three convolutions with batch-norm, as in the public code."""

    def __init__(self, student: Tensor, factor: Tensor):
        super().__init__()
        if student.shape[2:] != factor.shape[2:]:
            raise UserError(
                f"a translator joins maps of one size; got student {tuple(student.shape)} and factor {tuple(factor.shape)}"
            )
        self.encode = _three(student.shape[1], student.shape[1], factor.shape[1], normed=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.encode(x)


def _three(inputs: int, between: int, outputs: int, *, normed: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    for a, b in ((inputs, between), (between, outputs), (outputs, outputs)):
        norm: list[nn.Module] = [nn.BatchNorm2d(b)] if normed else []
        layers.append(nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=not normed), *norm, nn.LeakyReLU(0.1)))
    return nn.Sequential(*layers)
