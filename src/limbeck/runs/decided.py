"""What a run finds out before its trainings, as settings: kept in its recipe, so that the recipe repeats it to the bit."""

from pydantic import Field
from typing_extensions import TypedDict

from limbeck.runs.schema import LARGEST, Settings


class Decided(Settings):
    """Found out by a run and filled in by it. Of other settings than those it was found out for it is found out anew."""

    of: str = Field(default="", description="hash of the settings that it was found out for")
    pulls: dict[str, float] = Field(
        default_factory=dict, description="gradient of the lessons over the labels', by number of the method's update"
    )
    scales: dict[str, float] = Field(
        default_factory=dict, description="what lessons are weighed times, by number of the method's update (train.balance)"
    )
    rates: dict[str, float] = Field(
        default_factory=dict, description=f"learning rates that were probed, by who is trained, at most {LARGEST:g}"
    )


class PullFacts(TypedDict):
    """How hard the lessons of a stage pull at the start: their gradient over the labels', as declared and as trained.

    stated: what the method says of the setting that its weights were found for, None where it does not.
    """

    stage: str
    declared: float
    trained: float
    stated: float | None
