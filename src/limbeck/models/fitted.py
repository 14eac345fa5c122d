"""Roles that learn by `fit`, not by gradient: fitted once, to labels or to another role's probabilities."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.plan.kinds import Batch
from limbeck.plan.method import Term
from limbeck.plan.observe import Scene
from limbeck.plan.roles import Cast


class Fitted(nn.Module):
    """A model from inputs (n, ...) to log-probabilities (n, C) that is fitted to targets (n, C) of `classes` classes."""

    classes: int

    @abstractmethod
    def fit(self, inputs: Tensor, targets: Tensor) -> None:
        """Learn class probabilities (n, C); one-hot rows are labels."""


@dataclass(frozen=True)
class Whole:
    """All samples of a partition, unaugmented, as one batch."""

    partition: str = "train"

    def __call__(self, cast: Cast, draw: Callable[..., Batch], generator: torch.Generator) -> Batch:
        return draw((self.partition,), whole=True)


def whole_train(cast: Cast, draw: Callable[..., Batch], generator: torch.Generator) -> Batch:
    """All training samples, unaugmented, as one batch."""
    return draw(("train",), whole=True)


def fit_role(
    cast: Cast,
    trains: tuple[str, ...],
    batch: Batch,
    scene: Scene,
    terms: Sequence[tuple[Term, float]],
    *,
    temperature: float = 1.0,
) -> None:
    """Fit a role to what its term compares it with: the teacher's probabilities, or the labels."""
    role = cast.find(trains[0])
    if not isinstance(role, Fitted):
        raise UserError(f"role {trains[0]!r} is fitted at once, but is a {type(role).__name__}; give model 'tree' or 'gp'")
    (term, _), *_ = terms
    if "labels" in term.inputs:
        labels = scene(term.inputs["labels"])
        if labels.is_floating_point() or labels.dim() != 1:
            raise UserError(f"role {trains[0]!r} is fitted to one class for each sample, not to labels {tuple(labels.shape)}")
        targets = torch.nn.functional.one_hot(labels, role.classes).float()
    else:
        targets = (scene(term.inputs["teacher"]) / temperature).softmax(-1)
    inputs = batch["inputs"]
    prepare = cast.adapter_of(trains[0]).prepare
    role.fit(inputs if prepare is None else prepare(inputs), targets)
