"""What a running plan knows beside the weights, and what it is told and tells."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NotRequired, Protocol, TypedDict, runtime_checkable

import torch

from limbeck.plan.kinds import Batch, Value


class BatchSource(Protocol):
    """Where batches come from: `draw(partitions, position)` is the position-th batch of an endless,
    seeded stream over those partitions, the same whenever it is asked for; `whole` is all of it."""

    def __call__(self, partitions: tuple[str, ...], position: int) -> Batch: ...

    def whole(self, partitions: tuple[str, ...]) -> Batch: ...


@runtime_checkable
class Placed(Protocol):
    """A `BatchSource` whose batches can lie on a device from the start; `to` says whether the samples fit there."""

    def to(self, device: torch.device, free: int) -> bool: ...


class EpochRecord(TypedDict):
    """One epoch of the learning curve."""

    stage: str
    epoch: float
    step: int
    terms: dict[str, float]
    lr: dict[str, float]
    validation: NotRequired[dict[str, float]]


EventFacts = Mapping[str, Value]  # of an event: numbers and names, by its kind
EngineListener = Callable[[str, EventFacts], None]


@dataclass
class RunState:
    """All that a resumed run needs beside the weights."""

    stage: int = 0
    step: int = 0  # within the stage
    done: int = 0  # over all stages
    positions: dict[str, int] = field(default_factory=dict)
    sums: dict[str, float] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)
    history: list[EpochRecord] = field(default_factory=list)
    seconds: float = 0.0
    answered: int = 0
    filled: int = 0


@dataclass(frozen=True)
class Trained:
    """What a training left beside the weights: the curve (a record per epoch), steps, seconds.

    answered: samples that frozen roles were run on, to fill the store of their answers or live. Runs that share
    answers count them once, for the one who asked first. filled: those of them that went into the store. chosen: the step after
    which the weights were best on validation, where they are those of then.
    """

    history: list[EpochRecord]
    steps: int
    seconds: float
    answered: int = 0
    filled: int = 0
    chosen: int | None = None


def seed_of(seed: int, *more: int) -> int:
    """A seed for one purpose out of the run's seed and some numbers."""
    for number in more:
        seed = (seed * 1_000_003 + number + 1) % 2**62
    return seed
