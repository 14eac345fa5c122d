"""What a card says of one model: its figures, its size, its speed, its training."""

from dataclasses import dataclass
from typing import TypedDict

from limbeck.tasks.figure import Measured


class Latency(TypedDict, total=False):
    """Milliseconds of one answer: the median and the quartiles; how many at once and on how many threads."""

    median: float
    low: float
    high: float
    batch: int
    threads: int


class WorstFacts(TypedDict):
    """`figure.Worst` in a file."""

    name: str
    value: float


class ModelEntry(TypedDict, total=False):
    """`Entry` in a card.json; whoever reads one does not count on any key."""

    model: str
    samples: int
    score: float | None
    interval: list[float] | None
    figures: dict[str, float | None]
    worst: WorstFacts | None
    per_class: list[float | None] | None
    intervals: dict[str, list[float]]
    parameters: int
    bytes: int
    latency_ms: Latency
    train_seconds: float | None
    steps: int | None
    teacher_samples: int | None


@dataclass(frozen=True)
class Entry:
    """One model of a card.

    Attributes:
        model: by name. measured: its figures on the judged part. parameters, bytes: of what is deployed.
        latency_ms: of one answer, as `deploy.measure` says it. train_seconds, steps, teacher_samples: of its training; None
            where it was not trained in this run.
    """

    model: str
    measured: Measured
    parameters: int
    bytes: int
    latency_ms: Latency
    train_seconds: float | None
    steps: int | None
    teacher_samples: int | None

    def entry(self) -> dict[str, object]:
        """The same as a card holds it."""
        rest = {key: value for key, value in vars(self).items() if key not in ("model", "measured")}
        return {"model": self.model, **self.measured.entry(), **rest}
