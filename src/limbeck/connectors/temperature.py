"""Temperatures that are learned (CTKD: Li et al. 2023, authors' code).

Shapes: n samples, C classes.
"""

import torch
from torch import Tensor, nn


class Temperature(nn.Module):
    """One temperature for all samples: low + high sigmoid(theta), theta = 1 at first, given as (n,).

    low, high: 1 and 20 as in the authors' code (t_start, t_end), so that T starts at 15.6.
    """

    def __init__(self, student: Tensor, teacher: Tensor, *, low: float = 1.0, high: float = 20.0):
        super().__init__()
        self.low, self.high = low, high
        self.theta = nn.Parameter(torch.ones(1))

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        return (self.low + self.high * self.theta.sigmoid()).expand(len(student))


class SampleTemperature(nn.Module):
    """A temperature per sample, from both models' logits through a small network with batch-norm."""

    def __init__(self, student: Tensor, teacher: Tensor, *, low: float = 1.0, high: float = 20.0):
        super().__init__()
        self.low, self.high = low, high
        width = student.shape[-1] + teacher.shape[-1]
        hidden = max(1, width // 2)
        self.net = nn.Sequential(
            nn.BatchNorm1d(width),
            nn.Linear(width, hidden),
            nn.LeakyReLU(0.2),
            nn.BatchNorm1d(hidden),
            nn.Linear(hidden, 1),
        )

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        both = torch.cat([student, teacher], dim=1)
        return self.low + self.high * self.net(both).squeeze(1).sigmoid()
