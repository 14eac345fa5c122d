"""The engine: one loop that runs any `Method`, checked before it starts and resumable to the bit."""

from limbeck.engine.fit import Fit
from limbeck.engine.state import Trained
from limbeck.engine.step import NonFinite
from limbeck.engine.training import place, rehearse, train, training

__all__ = [
    "Fit",
    "NonFinite",
    "Trained",
    "place",
    "rehearse",
    "train",
    "training",
]
