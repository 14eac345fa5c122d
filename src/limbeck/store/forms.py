"""How a stored answer is written: in full, rounded to 16 bits, or in 8 bits with a scale of its own.

Letters: n samples, m numbers in one answer.
"""

from abc import ABC, abstractmethod
from math import prod

import numpy as np
import torch
from torch import Tensor

from limbeck.errors import UserError


class Form(ABC):
    """A way to write answers (n, *shape) as rows of a fixed length."""

    name: str
    spelling: str  # of safetensors
    kind: np.dtype[np.generic]
    coarse: float  # the largest error, as a share of the largest value of all answers
    loose: float = 0.0  # share of an answer's numbers that noise may turn into others

    @abstractmethod
    def row(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of one written row."""

    @abstractmethod
    def write(self, values: Tensor) -> np.ndarray:
        """Answers (n, *shape) on the CPU as rows (n, *row). Raises `UserError` for what cannot be written."""

    @abstractmethod
    def read(self, rows: np.ndarray, shape: tuple[int, ...]) -> Tensor:
        """Rows as answers (n, *shape) float32."""

    def bytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of one row."""
        return prod(self.row(shape)) * self.kind.itemsize


class _Plain(Form):
    def __init__(self, name: str, spelling: str, kind: str, coarse: float):
        self.name, self.spelling, self.kind, self.coarse = name, spelling, np.dtype(kind), coarse

    def row(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def write(self, values: Tensor) -> np.ndarray:
        with np.errstate(over="ignore"):
            rows = (values.float() if values.dtype is torch.bfloat16 else values).numpy().astype(self.kind)
        if self.kind.itemsize < 4 and not np.isfinite(rows).all():
            raise UserError(f"a teacher answer is too large for {self.name}; store it as bfloat16 or float32 (store.form)")
        return rows

    def read(self, rows: np.ndarray, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(rows).float()


class _BFloat16(Form):
    """float32 without its last 16 bits, rounded to even: the range of float32, 3 significant digits."""

    name, spelling, kind, coarse = "bfloat16", "BF16", np.dtype("<u2"), 2.0**-8

    def row(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return shape

    def write(self, values: Tensor) -> np.ndarray:
        return values.to(torch.bfloat16).contiguous().view(torch.uint16).numpy()

    def read(self, rows: np.ndarray, shape: tuple[int, ...]) -> Tensor:
        return torch.from_numpy(rows).view(torch.bfloat16).float()


class _Eight(Form):
    """8 bits a number: each answer is cut into 255 equal steps between its own smallest and largest value.

    A row is the smallest value and the step as float32, then m bytes. The error is at most half a step.
    """

    name, spelling, kind, coarse = "int8", "U8", np.dtype("u1"), 1 / 255

    def row(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (8 + prod(shape),)

    def write(self, values: Tensor) -> np.ndarray:
        flat = values.float().flatten(1)
        low = flat.amin(1, keepdim=True)
        step = (flat.amax(1, keepdim=True) - low) / 255
        codes = ((flat - low) / torch.where(step > 0, step, torch.ones_like(step))).round().to(torch.uint8)
        head = torch.cat([low, step], 1).contiguous().view(torch.uint8)
        return torch.cat([head, codes], 1).numpy()

    def read(self, rows: np.ndarray, shape: tuple[int, ...]) -> Tensor:
        given = torch.from_numpy(np.ascontiguousarray(rows))
        low, step = given[:, :8].contiguous().view(torch.float32).split(1, dim=1)
        return (given[:, 8:].float() * step + low).reshape(len(rows), *shape)


class _Whole(Form):
    """Whole numbers from 0 in 2 or 3 bytes: words that were drawn. Where a draw falls on the border between two words, noise in
    the probabilities turns one into the other."""

    spelling, kind, coarse, loose = "U8", np.dtype("u1"), 0.0, 0.1

    def __init__(self, width: int):
        self.name, self.width = f"uint{8 * width}", width

    def row(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return (*shape, self.width)

    def write(self, values: Tensor) -> np.ndarray:
        found = values.to(torch.int32).numpy()
        if found.size and (found.min() < 0 or found.max() >= 1 << 8 * self.width):
            raise UserError(f"a stored word is outside 0 to {(1 << 8 * self.width) - 1}; it cannot be written as {self.name}")
        return found[..., None].view("u1")[..., : self.width] if found.flags.c_contiguous else self.write(values.contiguous())

    def read(self, rows: np.ndarray, shape: tuple[int, ...]) -> Tensor:
        given = torch.from_numpy(np.ascontiguousarray(rows)).to(torch.int32)
        return sum((given[..., k] << 8 * k for k in range(1, self.width)), given[..., 0]).float()


FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        _Plain("float32", "F32", "<f4", 0.0),
        _Plain("float16", "F16", "<f2", 2.0**-11),
        _BFloat16(),
        _Eight(),
        _Whole(2),
        _Whole(3),
    )
}
