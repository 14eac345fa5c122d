"""A role takes its weights from a file when a stage begins."""

from dataclasses import dataclass
from pathlib import Path

from limbeck.models.weights import load_weights
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Progress


@dataclass(frozen=True)
class Load:
    """A role takes its weights from a safetensors file before the stage starts."""

    role: str
    path: str

    def __call__(self, cast: Cast, now: Progress) -> None:
        load_weights(cast.find(self.role), Path(self.path), who=self.role)

    def words(self) -> str:
        return f"{self.role} takes its weights from {self.path}"
