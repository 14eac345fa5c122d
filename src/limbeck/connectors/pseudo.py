"""Pseudo inputs: made between the few that are labelled, then moved to where the student does not follow yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.plan.kinds import Batch
from limbeck.plan.method import Term
from limbeck.plan.observe import Scene
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Progress


class LearnedInputs(nn.Module):
    """Learnable inputs (m, ...), of the range that they are given."""

    def __init__(self, inputs: Tensor, size: int):
        super().__init__()
        self.images = nn.Parameter(torch.zeros(size, *inputs.shape[1:]))


class PseudoInputs(nn.Module):
    """Pseudo inputs in `periods` groups of `size` (Kimura et al. 2018): group k joins in period k."""

    def __init__(self, inputs: Tensor, *, size: int = 1250, periods: int = 8):
        super().__init__()
        self.groups = nn.ModuleList(LearnedInputs(inputs, size) for _ in range(periods))

    def inputs(self, group: int) -> nn.Parameter:
        """The inputs of one group."""
        pool = self.groups[group]
        assert isinstance(pool, LearnedInputs)
        return pool.images


def interpolate(cast: Cast, trains: tuple[str, ...], batch: Batch, scene: Scene, terms: Sequence[tuple[Term, float]]) -> None:
    """Fill a `LearnedInputs` with a x + (1 - a) x', pairs of the batch's inputs and a of 0 .. 1 drawn at random (with torch's
    generator, which the engine seeds)."""
    pool, inputs = cast.find(trains[0]), batch["inputs"]
    assert isinstance(pool, LearnedInputs)
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

    def __call__(self, cast: Cast, now: Progress) -> None:
        bank = cast[self.role]
        assert isinstance(bank, PseudoInputs)
        with torch.no_grad():
            bank.inputs(self.group).copy_(bank.inputs(self.group - 1))


def chosen(values: Tensor, keep: Tensor) -> Tensor:
    """The rows that are kept.

    >>> chosen(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([True, False, True]))
    tensor([1., 3.])
    """
    return values[keep]


@dataclass(frozen=True)
class Beside:
    """A source of batches: real samples, and below them as many pseudo inputs of the groups `first` to `last`, at random,
    with labels of -100; the field `made` says which rows these are. In one batch both have the same batch-norm statistics.
    whole: all pseudo inputs of those groups and nothing else.
    """

    part: str
    first: int
    last: int
    whole: bool = False

    def __call__(self, cast: Cast, draw: Callable[..., Batch], generator: torch.Generator) -> Batch:
        bank = cast[self.part]
        assert isinstance(bank, PseudoInputs)
        groups: list[Tensor] = [bank.inputs(k) for k in range(self.first, self.last + 1)]
        if self.whole:
            return {"inputs": torch.cat(groups)}
        real = draw(("train",))
        inputs, labels = real["inputs"], real["labels"]
        picks = torch.randint(len(groups) * len(groups[0]), (len(labels),), generator=generator)
        rows = torch.stack([groups[int(k) // len(groups[0])][int(k) % len(groups[0])] for k in picks])
        made = torch.arange(2 * len(labels), device=labels.device) >= len(labels)
        return {"inputs": torch.cat([inputs, rows]), "labels": torch.cat([labels, torch.full_like(labels, -100)]), "made": made}
