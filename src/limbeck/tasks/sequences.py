"""Tasks whose answer is a string: what was said, or a translation. Labels are (n, l) with -100 behind the end.

Letters: n samples, t frames or steps, l places, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.metrics import strings
from limbeck.tasks.task import Task, in_range, wrong_classes

if TYPE_CHECKING:
    from limbeck.tasks.predictions import Predictions


@dataclass(frozen=True)
class Strings(Task):
    """What both have in common: logits (n, t, C), answers and labels as strings of class numbers."""

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.dim() != 2 or len(labels) != count:
            raise UserError(
                f"{who} has {count} inputs but labels of shape {tuple(labels.shape)}; give a string of class numbers for "
                "each, (n, places), with -100 behind its end"
            )
        there = labels != -100
        if not there[:, :1].all() or (there[:, 1:] & ~there[:, :-1]).any():
            raise UserError(f"{who}: every label needs at least one class number, and -100 only behind the last one")
        in_range(who, labels[there], classes)

    def check_answer(self, who: str, said: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if said.dim() != 3 or len(said) != len(labels) or said.shape[-1] != classes:
            raise wrong_classes(who, said, data, classes)

    def agreement(self, first: "Predictions", second: "Predictions") -> float:
        pairs = zip(strings.lists(first.answers), strings.lists(second.answers), strict=True)
        return sum(one == other for one, other in pairs) / len(first)

    def record(self, seen: Mapping[str, "Predictions"], inputs: Tensor | None) -> dict[str, Tensor]:
        first = seen["student"]
        tensors = {"index": first.index, "strings": first.labels.contiguous()}
        return tensors | {f"strings_{who}": p.answers.contiguous() for who, p in seen.items()}

    def per_class(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels[labels != -100].long(), minlength=classes).tolist()

    def _rest(self, predictions: "Predictions", teacher: "Predictions | None") -> dict[str, Any]:
        same = [one == other for one, other in zip(*map(strings.lists, (predictions.answers, predictions.labels)), strict=True)]
        return {
            "whole_strings": sum(same) / len(same),
            "calibration_error": None,
            "agreement_with_teacher": None if teacher is None else self.agreement(predictions, teacher),
            "mean_kl_from_teacher": None,
        }


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
    alone = "alone_ctc"

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        super().check_labels(who, labels, inputs, classes)
        if (labels == 0).any():
            raise UserError(f"{who}: class 0 is the blank, which is never said; number what is said from 1")

    def keep(self, said: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        _need_frames(said, labels)
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


@final
@dataclass(frozen=True)
class Translate(Strings):
    """A string for each string: logits of the steps that a model has written (n, t, C), up to class `end`.

    Scored by corpus BLEU-4 on class numbers (words or pieces as the data splits them, so figures of other tokenizers do
    not compare); the interval is a bootstrap over sentences.
    """

    end: int = 2
    name = "translate"
    metric = "BLEU"
    share = "share of words"
    alone = "alone_forced"
    searched = True

    def keep(self, said: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        _need_frames(said, labels)
        width = max(said.shape[1], labels.shape[1])
        return self._until_end(said.argmax(-1), width), self._until_end(labels.long(), width)

    def _until_end(self, words: Tensor, width: int) -> Tensor:
        over = (words == self.end).cumsum(1) > 0
        ended = words.masked_fill(over, -100)
        return torch.nn.functional.pad(ended, (0, width - words.shape[1]), value=-100)

    def score(self, predictions: "Predictions") -> float:
        return strings.bleu(strings.bleu_counts(predictions.answers, predictions.labels))

    def figures(self, predictions: "Predictions", classes: Sequence[str], teacher: "Predictions | None") -> dict[str, Any]:
        counts = strings.bleu_counts(predictions.answers, predictions.labels)
        said, there = (torch.bincount(s[s != -100], minlength=len(classes)) for s in (predictions.answers, predictions.labels))
        least = torch.where(there > 0, said / there.clamp_min(1), 2.0)
        often = torch.where(there >= min(int(there.max()), 20), least, 2.0)  # of rare words nothing can be said
        worst = int(often.argmin())
        return {
            "accuracy": strings.bleu(counts),
            "interval": list(strings.interval(counts, strings.bleu)),
            "worst_class": {"class": str(classes[worst]), "accuracy": min(1.0, float(often[worst]))},
            "per_class": None,
            **self._rest(predictions, teacher),
        }

    def near_chance(self, predictions: "Predictions", classes: int) -> bool:
        """Whether hardly a run of four words is right: a BLEU below 0.01."""
        return self.score(predictions) < 0.01


def _need_frames(said: Tensor, labels: Tensor) -> None:
    if said.dim() != 3 or labels.dim() != 2 or len(said) != len(labels):
        raise UserError(
            f"a model must answer ({len(labels)}, steps, classes) logits, got {tuple(said.shape)}; say where its logits are"
        )
