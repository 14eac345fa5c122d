"""How good a model is: correctness, its worst class, calibration, fidelity to a teacher, and the distillation score."""

from limbeck.evaluate.answers import Predictions, predict, summary
from limbeck.evaluate.detect import Detect
from limbeck.evaluate.figures import (
    Reliability,
    accuracy,
    agreement,
    calibration_error,
    confusion,
    interval,
    is_chance,
    mean_kl,
    near_chance,
    paired,
    per_class,
    reliability,
    worst_class,
)
from limbeck.evaluate.named import task_of
from limbeck.evaluate.score import distillation_score, relative_drop, relative_gain, size_cut
from limbeck.evaluate.segment import Segment
from limbeck.evaluate.sequences import Transcribe, Translate
from limbeck.evaluate.tasks import CLASSIFY, Classify, Task

__all__ = [
    "CLASSIFY",
    "Classify",
    "Detect",
    "Predictions",
    "Reliability",
    "Segment",
    "Task",
    "Transcribe",
    "Translate",
    "accuracy",
    "agreement",
    "calibration_error",
    "confusion",
    "distillation_score",
    "interval",
    "is_chance",
    "mean_kl",
    "near_chance",
    "paired",
    "per_class",
    "predict",
    "relative_drop",
    "relative_gain",
    "reliability",
    "size_cut",
    "summary",
    "task_of",
    "worst_class",
]
