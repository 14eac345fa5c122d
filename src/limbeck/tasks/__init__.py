"""What is to be answered about a sample, a file each: labels, logits, the score and the figures beside it."""

from limbeck.tasks.detect import Detect
from limbeck.tasks.predictions import Predictions, predict, summary
from limbeck.tasks.registry import task_of
from limbeck.tasks.segment import Segment
from limbeck.tasks.sequences import Transcribe, Translate
from limbeck.tasks.task import CLASSIFY, Classify, Task

__all__ = [
    "CLASSIFY",
    "Classify",
    "Detect",
    "Predictions",
    "Segment",
    "Task",
    "Transcribe",
    "Translate",
    "predict",
    "summary",
    "task_of",
]
