"""What was said, as a string for each recording.

Letters: n samples, t frames, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from torch import Tensor

from limbeck.errors import UserError
from limbeck.losses import ctc
from limbeck.metrics import strings
from limbeck.plan import Field, Labels, Tap, Term
from limbeck.plan.labels import named
from limbeck.tasks.strings import Strings, need_frames

if TYPE_CHECKING:
    from limbeck.tasks.predictions import Predictions


@final
@dataclass(frozen=True)
class Transcribe(Strings):
    """A string for each recording, without saying when: logits of frames (n, t, C), of which class 0 is the blank.

    Scored by 1 - label error rate (edits over the length of all labels), the likeliest class of every frame taken
    (greedy decoding); the interval is a bootstrap over recordings.
    """

    name = "transcribe"
    metric = "1 - label error rate"
    share = "share kept"

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        super().check_labels(who, labels, inputs, classes)
        if (labels == 0).any():
            raise UserError(f"{who}: class 0 is the blank, which is never said; number what is said from 1")

    def label_terms(self, labels: Labels) -> tuple[Term, ...]:
        """CTC: every way to write the string counts, Graves et al. 2006."""
        name = named("ctc", labels.role) if labels.name == named("task", labels.role) else labels.name
        return (Term(name, ctc, weight=labels.weight, mask=labels.chosen, student=Tap(labels.role), labels=Field("labels")),)

    def keep(self, said: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        need_frames(said, labels)
        return strings.collapse(said.argmax(-1)), labels.long()

    def score(self, predictions: "Predictions") -> float:
        return strings.right_rate(strings.error_counts(predictions.answers, predictions.labels))

    def figures(self, predictions: "Predictions", classes: Sequence[str], teacher: "Predictions | None") -> dict[str, Any]:
        counts = strings.error_counts(predictions.answers, predictions.labels)
        kept, there = [0] * len(classes), [0] * len(classes)
        for one, label in zip(*map(strings.lists, (predictions.answers, predictions.labels)), strict=True):
            for c, right in zip(label, strings.edits(one, label)[1], strict=True):
                kept[c], there[c] = kept[c] + right, there[c] + 1
        each = [k / n if n else None for k, n in zip(kept, there, strict=True)]
        worst = min((c for c, v in enumerate(each) if v is not None), key=lambda c: each[c] or 0.0)
        return {
            "accuracy": strings.right_rate(counts),
            "interval": list(strings.interval(counts, strings.right_rate)),
            "worst_class": {"class": str(classes[worst]), "accuracy": each[worst]},
            "per_class": each,
            **self._rest(predictions, teacher),
        }

    def near_chance(self, predictions: "Predictions", classes: int) -> bool:
        """Whether not even a tenth of what is said is right: saying nothing scores 0."""
        return self.score(predictions) < 0.1
