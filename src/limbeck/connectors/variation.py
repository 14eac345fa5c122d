"""A teacher's map guessed from the student's, with a spread per channel (VID: Ahn et al. 2019, public code).

Shapes: n samples, c channels, h x w pixels.
"""

from math import exp, log

import torch
from torch import Tensor, nn

from limbeck.connectors.join import ConvRegressor


class Guess(nn.Module):
    """The mean of a Gaussian over the teacher's map: three 1x1 convolutions without biases, with ReLUs, after `ConvRegressor`'s
    first layer where sizes differ; embeddings through linear layers. `raw_variance` is a parameter of its own: softplus of it
    plus 1e-5 is the channels' variance, 5 at first.
    """

    def __init__(self, student: Tensor, teacher: Tensor):
        super().__init__()
        out = teacher.shape[1]
        if student.dim() == 4:
            same = student.shape[2:] == teacher.shape[2:]
            first: nn.Module = nn.Conv2d(student.shape[1], out, 1, bias=False) if same else ConvRegressor(student, teacher)
            rest = [nn.Conv2d(out, out, 1, bias=False) for _ in range(2)]
        else:
            first, rest = nn.Linear(student.shape[-1], out), [nn.Linear(out, out) for _ in range(2)]  # type: ignore[misc]
        self.net = nn.Sequential(first, nn.ReLU(), rest[0], nn.ReLU(), rest[1])
        self.raw_variance = nn.Parameter(torch.full((out,), log(exp(5.0 - 1e-5) - 1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)
