"""The engine: one loop that runs any `Method`, checked before it starts and resumable to the bit."""

from limbeck.engine.fit import Fit
from limbeck.engine.loop import Trained, evaluating, rehearse, train
from limbeck.engine.step import NonFinite

__all__ = ["Fit", "NonFinite", "Trained", "evaluating", "rehearse", "train"]
