"""A teacher that is a file of its answers, looked up by sample number."""

import hashlib

import numpy as np
import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.models.black_box import BlackBox


class Answers(BlackBox):
    """A frozen role that looks its answers up by sample number, so that a batch's "index" is what it is fed.

    Args:
        rows: (n, C) logits. at: (m,) int64, the row of each sample number, -1 where the file has none.
        name: of the file. said: how it was understood, in words.
    """

    fed, in_file = "index", True

    def __init__(self, rows: Tensor, at: Tensor, name: str, said: str):
        super().__init__(self._never, name, rows.shape[1], outputs="logits", content=_hash(rows, at))
        self.said = said
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("at", at, persistent=False)

    def _never(self, rows: np.ndarray) -> object:
        raise AssertionError("answers are looked up")

    def has(self, numbers: Tensor) -> Tensor:
        """Which of the sample numbers (k,) have an answer, as (k,) bool."""
        assert isinstance(self.at, Tensor)
        known = self.at.cpu()
        numbers = numbers.cpu()
        return (numbers < len(known)) & (known[numbers.clamp(max=len(known) - 1)] >= 0)

    @torch.no_grad()
    def forward(self, numbers: Tensor) -> Tensor:
        assert isinstance(self.at, Tensor) and isinstance(self.rows, Tensor)
        if numbers.dtype != torch.int64 or numbers.dim() != 1:
            raise UserError(
                f"{self.name} holds answers to samples by their number, and was asked about new inputs; give a network"
            )
        numbers = numbers.to(self.at.device)
        if not self.has(numbers).all():
            raise UserError(f"{self.name} has no answer to sample {int(numbers.cpu()[~self.has(numbers)][0])}")
        return self.rows[self.at[numbers]]


def _hash(rows: Tensor, at: Tensor) -> str:
    return hashlib.sha256(rows.numpy().tobytes() + at.numpy().tobytes()).hexdigest()
