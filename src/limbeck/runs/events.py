"""What happens in a run, as values: a listener is called with each as it happens."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Message:
    """A sentence for a person: what was read, guessed, stored, or is worth knowing before training."""

    text: str


@dataclass(frozen=True)
class Download:
    """A file of a published data set on its way: bytes so far, and in all if that is known."""

    file: str
    done: int
    total: int | None


@dataclass(frozen=True)
class RunBegins:
    """A run of several (a comparison, an explanation) begins: number `done` of `total`, counted from 0."""

    entry: str
    seed: int
    done: int
    total: int


@dataclass(frozen=True)
class Phase:
    """The training of one role (or of the student by its method) begins."""

    who: str
    steps: int


@dataclass(frozen=True)
class StageBegins:
    """A stage of a phase begins, or is continued at `step`."""

    who: str
    stage: str
    step: int
    steps: int


@dataclass(frozen=True)
class Step:
    """One optimiser step is done; terms: the mean of each term since the last record."""

    who: str
    stage: str
    step: int
    steps: int
    terms: Mapping[str, float]


@dataclass(frozen=True)
class Epoch:
    """A line of the learning curve; validation: the score on the evaluation split, where there is one."""

    who: str
    stage: str
    step: int
    epoch: float
    terms: Mapping[str, float]
    validation: Mapping[str, float] = field(default_factory=dict)


Event = Message | Download | RunBegins | Phase | StageBegins | Step | Epoch
Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Listen to nothing."""
