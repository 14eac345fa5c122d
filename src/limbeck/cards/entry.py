"""What a card says of one model: its figures, its size, its speed, its training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limbeck.tasks.figure import Measured


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
    latency_ms: Mapping[str, Any]
    train_seconds: float | None
    steps: int | None
    teacher_samples: int | None

    def entry(self) -> dict[str, Any]:
        """The same as a card holds it."""
        rest = {key: value for key, value in vars(self).items() if key not in ("model", "measured")}
        return {"model": self.model, **self.measured.entry(), **rest}
