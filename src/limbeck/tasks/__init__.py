"""What is to be answered about a sample, a file each: labels, logits, the score and the figures beside it."""

from limbeck.tasks.bind import bind
from limbeck.tasks.classify import CLASSIFY, Classify
from limbeck.tasks.detect import Detect
from limbeck.tasks.embed import Embed
from limbeck.tasks.figure import Figure, Judged, Measured, PerClass, Worst
from limbeck.tasks.numbers import Numbers
from limbeck.tasks.own_metric import with_metric
from limbeck.tasks.predictions import Predictions, predict
from limbeck.tasks.registry import register, task_of
from limbeck.tasks.segment import Segment
from limbeck.tasks.tags import Tags
from limbeck.tasks.task import Task
from limbeck.tasks.token_classification import TokenClassification
from limbeck.tasks.transcribe import Transcribe
from limbeck.tasks.translate import Translate

__all__ = [
    "CLASSIFY",
    "Classify",
    "Detect",
    "Embed",
    "Figure",
    "Judged",
    "Measured",
    "Numbers",
    "PerClass",
    "Predictions",
    "Segment",
    "Tags",
    "Task",
    "TokenClassification",
    "Transcribe",
    "Translate",
    "Worst",
    "bind",
    "predict",
    "register",
    "task_of",
    "with_metric",
]
