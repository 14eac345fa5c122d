"""How a weight changes while a stage runs: schedules, called with the stage's `Progress`."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from math import cos, exp, pi
from typing import Protocol, runtime_checkable

from limbeck.errors import UserError
from limbeck.transforms.facts import call_text

Weight = float | Callable[["Progress"], float]


@runtime_checkable
class InWords(Protocol):
    """A schedule or an action that describes itself in words."""

    def words(self) -> str: ...


@dataclass(frozen=True)
class Progress:
    """Where a stage stands: `step` of `steps`, counted from 0; `fraction` runs from 0 to just under 1. seed: of the run, or
    for actions before a stage, of the stage."""

    stage: str
    step: int
    steps: int
    epoch: float = 0.0
    seed: int = 0

    @property
    def fraction(self) -> float:
        return self.step / max(self.steps, 1)


def _way(progress: Progress, over: float) -> float:
    """How far a change over a part of the stage has come, 0 to 1; one over nothing is done at once."""
    if over < 0:
        raise UserError(f"a weight cannot change over {over:g} of a stage; give a part of it, 0 to 1")
    return min(1.0, progress.fraction / over) if over else 1.0


@dataclass(frozen=True)
class linear:  # noqa: N801  reads as a function in a declaration
    """A weight that goes from `start` to `end` in a straight line over the first `over` of the stage."""

    start: float
    end: float
    over: float = 1.0

    def __call__(self, progress: Progress) -> float:
        return self.start + (self.end - self.start) * _way(progress, self.over)

    def words(self) -> str:
        return _from_to(self.start, self.end, self.over)


@dataclass(frozen=True)
class cosine:  # noqa: N801
    """A weight that goes from `start` to `end` along half a cosine over the first `over` of the stage."""

    start: float
    end: float
    over: float = 1.0

    def __call__(self, progress: Progress) -> float:
        x = _way(progress, self.over)
        return self.end + (self.start - self.end) * (1 + cos(pi * x)) / 2

    def words(self) -> str:
        return _from_to(self.start, self.end, self.over, ", cosine")


@dataclass(frozen=True)
class ramp_up:  # noqa: N801
    """The sigmoid-shaped ramp exp(-5 (1 - x)^2) to `end` over the first `over` of the stage
    (Laine & Aila 2017, arXiv 1610.02242)."""

    end: float
    over: float = 0.4

    def __call__(self, progress: Progress) -> float:
        x = _way(progress, self.over)
        return self.end * exp(-5 * (1 - x) ** 2)

    def words(self) -> str:
        return f"rises to {self.end:g}"


@dataclass(frozen=True)
class choose:  # noqa: N801
    """A weight that is `weight` in the steps that fall to `index` out of `of`, and 0 in the others.

    The steps are dealt at random (a hash of the step), evenly in the long run.
    """

    index: int
    of: int
    weight: float = 1.0

    def __call__(self, progress: Progress) -> float:
        drawn = zlib.crc32(f"{progress.stage} {progress.step}".encode()) % self.of
        return self.weight if drawn == self.index else 0.0

    def words(self) -> str:
        return f"{self.weight:g} in 1 of {self.of} steps"


@dataclass(frozen=True)
class sometimes:  # noqa: N801
    """A weight that is `weight` in a share of the steps, drawn for each `name` on its own (a hash of name and step)."""

    name: str
    share: float
    weight: float = 1.0

    def __call__(self, progress: Progress) -> float:
        drawn = zlib.crc32(f"{self.name} {progress.stage} {progress.step}".encode()) / 2**32
        return self.weight if drawn < self.share else 0.0


@dataclass(frozen=True)
class times:  # noqa: N801
    """Another weight times a number.

    >>> times(linear(0, 1), 0.5)(Progress("distil", 50, 100))
    0.25
    """

    weight: "Weight"
    factor: float

    def __call__(self, progress: Progress) -> float:
        return self.factor * (self.weight(progress) if callable(self.weight) else self.weight)

    def words(self) -> str:
        return f"{weight_words(self.weight)} times {self.factor:g}"


@dataclass(frozen=True)
class each_epoch:  # noqa: N801
    """A weight that is `weight` in the first step of every epoch, and 0 in the others."""

    weight: float = 1.0

    def __call__(self, progress: Progress) -> float:
        return self.weight if float(progress.epoch).is_integer() else 0.0


@dataclass(frozen=True)
class each_part:  # noqa: N801
    """A weight that is `weight` in the first step of each of `of` equal parts of the stage but the first, else 0."""

    of: int
    weight: float = 1.0

    def __call__(self, progress: Progress) -> float:
        now, before = (self.of * max(step, 0) // max(progress.steps, 1) for step in (progress.step, progress.step - 1))
        return self.weight if now != before else 0.0


def weight_text(weight: Weight) -> str:
    """A weight as it is declared: a number, a schedule with its settings, the name of a function."""
    return f"{weight:g}" if isinstance(weight, int | float) else call_text(weight)


def weight_words(weight: Weight) -> str:
    """A term's weight as a person reads it; a schedule of one's own may describe itself in `words()`.

    >>> weight_words(linear(4, 1)), weight_words(0.1)
    ('4 to 1', '× 0.1')
    """
    if isinstance(weight, int | float):
        return f"× {weight_text(weight)}"
    return weight.words() if isinstance(weight, InWords) else weight_text(weight)


def _from_to(start: float, end: float, over: float, bend: str = "") -> str:
    return f"{start:g} to {end:g}{bend}" + (f" by {100 * over:.3g} %" if over != 1 else "")
