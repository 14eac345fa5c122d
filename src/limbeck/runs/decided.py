"""What a run finds out before its trainings, as settings: kept in its recipe, so that the recipe repeats it to the bit."""

from typing import Self

from pydantic import Field
from typing_extensions import TypedDict

from limbeck.runs.schema import Settings


class Decided(Settings):
    """Found out by a run and filled in by it. Of other settings than those it was found out for it is found out anew."""

    of: str = Field(default="", description="hash of the settings that it was found out for")
    pulls: dict[str, float] = Field(
        default_factory=dict, description="gradient of the lessons over the labels', by number of the method's update"
    )
    scales: dict[str, float] = Field(
        default_factory=dict, description="what lessons are weighed times, by number of the method's update (train.balance)"
    )
    rates: dict[str, float] = Field(default_factory=dict, description="learning rates that were probed, by who is trained")
    why: dict[str, str] = Field(default_factory=dict, description="how that came about")
    spent: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="seconds that a probe took, and samples that frozen roles were asked in it"
    )

    def with_rate(self, who: str, rate: float, why: str, spent: tuple[float, float]) -> Self:
        """The same with the rate of one training."""
        update = {"rates": {**self.rates, who: rate}, "why": {**self.why, who: why}, "spent": {**self.spent, who: spent}}
        return self.model_copy(update=update)


class PullFacts(TypedDict):
    """How hard the lessons of a stage pull at the start: their gradient over the labels', as declared and as trained.

    stated: what the method says of the setting that its weights were found for, None where it does not.
    """

    stage: str
    declared: float
    trained: float
    stated: float | None
