"""Pseudo inputs: made between the few that are labelled, then moved to where the student does not follow yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.roles import Cast
from limbeck.taps import Scene


class Pool(nn.Module):
    """Learnable inputs (m, ...), of the range that they are given."""

    def __init__(self, inputs: Tensor, size: int):
        super().__init__()
        self.images = nn.Parameter(torch.zeros(size, *inputs.shape[1:]))


class PseudoInputs(nn.Module):
    """Pseudo inputs in `periods` groups of `size` (Kimura et al. 2018): group k joins in period k."""

    def __init__(self, inputs: Tensor, *, size: int = 1250, periods: int = 8):
        super().__init__()
        self.groups = nn.ModuleList(Pool(inputs, size) for _ in range(periods))

    def inputs(self, group: int) -> nn.Parameter:
        """The inputs of one group."""
        pool = self.groups[group]
        assert isinstance(pool, Pool)
        return pool.images


def interpolate(
    cast: Cast, trains: tuple[str, ...], batch: Mapping[str, Any], scene: Scene, terms: Sequence[tuple[Any, float]]
) -> None:
    """Fill a `Pool` with a x + (1 - a) x', pairs of the batch's inputs and a of 0 .. 1 drawn at random (with torch's
    generator, which the engine seeds)."""
    pool, inputs = cast.find(trains[0]), batch["inputs"]
    assert isinstance(pool, Pool)
    if not isinstance(inputs, Tensor):
        raise UserError("pseudo inputs are made between inputs that are one tensor, such as images or rows of a table")
    first, second = torch.randint(len(inputs), (2, len(pool.images)))
    share = torch.rand(len(pool.images), *(1,) * (inputs.dim() - 1)).to(inputs.device)
    with torch.no_grad():
        pool.images.copy_(share * inputs[first] + (1 - share) * inputs[second])


@dataclass(frozen=True)
class Copy:
    """A group of pseudo inputs starts as a copy of the one before it."""

    role: str
    group: int

    def __call__(self, cast: Cast, seed: int) -> None:
        bank = cast[self.role]
        assert isinstance(bank, PseudoInputs)
        with torch.no_grad():
            bank.inputs(self.group).copy_(bank.inputs(self.group - 1))


@dataclass(frozen=True)
class Beside:
    """A source of batches: real samples, and beside them as the view "pseudo" as many pseudo inputs of the groups
    `first` to `last`, at random. whole: all pseudo inputs of those groups instead."""

    part: str
    first: int
    last: int
    whole: bool = False

    def __call__(self, cast: Cast, draw: Callable[..., Mapping[str, Any]], generator: torch.Generator) -> dict[str, Any]:
        bank, real = cast[self.part], draw(("train",))
        assert isinstance(bank, PseudoInputs)
        groups: list[Tensor] = [bank.inputs(k) for k in range(self.first, self.last + 1)]
        if self.whole:
            return {**real, "pseudo": torch.cat(groups)}
        chosen = torch.randint(len(groups) * len(groups[0]), (len(real["labels"]),), generator=generator)
        rows = [groups[int(k) // len(groups[0])][int(k) % len(groups[0])] for k in chosen]
        return {**real, "pseudo": torch.stack(rows)}
