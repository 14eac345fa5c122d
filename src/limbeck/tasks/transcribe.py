"""What was said, as a string for each recording.

Letters: n samples, t frames, C classes.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import final

from torch import Tensor

from limbeck.errors import UserError
from limbeck.losses import ctc
from limbeck.metrics import strings
from limbeck.plan import Field, Labels, Tap, Term
from limbeck.plan.labels import named
from limbeck.tasks.figure import Figure, Judged, PerClass
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.strings import WHOLE, Strings, need_frames
from limbeck.tasks.task import AGREES


@lru_cache(maxsize=2)
def _edits(predictions: Predictions) -> Tensor:
    return strings.error_counts(predictions.answers, predictions.labels)


def _rate(judged: Judged) -> float:
    return strings.right_rate(_edits(judged.predictions))


def _kept(judged: Judged) -> list[float | None]:
    """Of a class's places in the labels, the share that the answers keep."""
    count = len(judged.classes)
    kept, there = [0] * count, [0] * count
    for one, label in zip(*map(strings.lists, (judged.predictions.answers, judged.predictions.labels)), strict=True):
        for c, right in zip(label, strings.edits(one, label)[1], strict=True):
            kept[c], there[c] = kept[c] + right, there[c] + 1
    return [k / n if n else None for k, n in zip(kept, there, strict=True)]


@final
@dataclass(frozen=True)
class Transcribe(Strings):
    """A string for each recording, without saying when: logits of frames (n, t, C), of which class 0 is the blank.

    Scored by 1 - label error rate (edits over the length of all labels), the likeliest class of every frame taken
    (greedy decoding); the interval is a bootstrap over recordings.
    """

    name = "transcribe"
    figures = (
        Figure(
            "label_accuracy",
            "1 - label error rate",
            _rate,
            "1 - edit distance between predictions and labels / length of all labels, at least 0.",
            per_class=PerClass("share kept", _kept),
        ),
        WHOLE,
        AGREES,
    )

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        super().check_labels(who, labels, inputs, classes)
        if (labels == 0).any():
            raise UserError(f"{who}: class 0 is the blank; number the symbols from 1")

    def label_terms(self, labels: Labels) -> tuple[Term, ...]:
        """CTC: every way to write the string counts, Graves et al. 2006."""
        name = named("ctc", labels.role) if labels.name == named("task", labels.role) else labels.name
        return (Term(name, ctc, weight=labels.weight, mask=labels.chosen, student=Tap(labels.role), labels=Field("labels")),)

    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        need_frames(outputs, labels)
        return strings.collapse(outputs.argmax(-1)), labels.long()

    def interval(self, judged: Judged) -> tuple[float, float]:
        return strings.interval(_edits(judged.predictions), strings.right_rate)

    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        """Whether not even a tenth of what is said is right: saying nothing scores 0."""
        return self.score(predictions) < 0.1
