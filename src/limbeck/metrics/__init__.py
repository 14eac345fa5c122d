"""How good answers are: plain functions of answers and labels, with their intervals."""

from limbeck.metrics.classification import (
    Reliability,
    accuracy,
    agreement,
    balanced_accuracy,
    calibration_error,
    confusion,
    interval,
    is_chance,
    macro_f1,
    mean_kl,
    near_chance,
    paired,
    per_class,
    reliability,
    worst_class,
)
from limbeck.metrics.score import distillation_score, relative_drop, relative_gain, size_cut

__all__ = [
    "Reliability",
    "accuracy",
    "agreement",
    "balanced_accuracy",
    "calibration_error",
    "confusion",
    "distillation_score",
    "interval",
    "is_chance",
    "macro_f1",
    "mean_kl",
    "near_chance",
    "paired",
    "per_class",
    "relative_drop",
    "relative_gain",
    "reliability",
    "size_cut",
    "worst_class",
]
