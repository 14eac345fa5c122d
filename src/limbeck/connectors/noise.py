"""Answers with noise on them, drawn anew at every step, and only while it trains: as dropout does it."""

import torch
from torch import Tensor, nn

from limbeck.transforms.facts import connector


@connector(answers=True)
class NoisyAnswer(nn.Module):
    """A share of the samples' logits are multiplied by 1 + xi, xi normal with deviation sigma, per logit
    (Sau & Balasubramanian 2016). It has no parameters."""

    def __init__(self, logits: Tensor, *, share: float = 0.5, sigma: float = 0.8):
        super().__init__()
        self.share, self.sigma = share, sigma

    def forward(self, logits: Tensor) -> Tensor:
        if not self.training:
            return logits
        chosen = torch.rand(len(logits), 1, device=logits.device) < self.share
        return logits * (1 + chosen * self.sigma * torch.randn_like(logits))
