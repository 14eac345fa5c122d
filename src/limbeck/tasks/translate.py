"""A string for each string: a translation.

Letters: n samples, t steps, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import final

import torch
from torch import Tensor

from limbeck.losses import sequence_nll
from limbeck.metrics import strings
from limbeck.plan import Field, Labels, Soft, Source, Term, Weight
from limbeck.plan.labels import named
from limbeck.tasks.figure import Figure, Judged, Worst
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.strings import WHOLE, Strings, need_frames
from limbeck.tasks.task import AGREES
from limbeck.transforms.masks import known


@lru_cache(maxsize=2)
def _runs(predictions: Predictions) -> Tensor:
    return strings.bleu_counts(predictions.answers, predictions.labels)


def _bleu(judged: Judged) -> float:
    return strings.bleu(_runs(judged.predictions))


@final
@dataclass(frozen=True)
class Translate(Strings):
    """A string for each string: logits of the steps that a model has written (n, t, C), up to class `end`.

    Scored by corpus BLEU-4 on class numbers (words or pieces as the data splits them, so figures of other tokenizers do
    not compare); the interval is a bootstrap over sentences.
    """

    end: int = 2
    name = "translate"
    figures = (
        Figure(
            "bleu",
            "BLEU",
            _bleu,
            "Corpus BLEU-4 on class numbers: geometric mean of the precisions of 1-grams to 4-grams, with brevity penalty.",
        ),
        WHOLE,
        AGREES,
    )
    searched = True

    def label_terms(self, labels: Labels) -> tuple[Term, ...]:
        """The label's words, each with the right ones before it (teacher forcing)."""
        name = named("words", labels.role) if labels.name == named("task", labels.role) else labels.name
        return (word_term(labels.role, weight=labels.weight).but(name=name, mask=labels.chosen),)

    def soft_terms(self, soft: Soft) -> tuple[Term, ...]:
        """Word by word along the label, as Kim & Rush 2016 (arXiv 1606.07947) call word-level distillation."""
        sides = {"student": forced(soft.learner), "teacher": forced(soft.mentor).detach()}
        return (Term(soft.name, soft.by, weight=soft.weight, mask=soft.mask or Field("labels").via(known), **sides),)

    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        need_frames(outputs, labels)
        width = max(outputs.shape[1], labels.shape[1])
        return self._until_end(outputs.argmax(-1), width), self._until_end(labels.long(), width)

    def _until_end(self, words: Tensor, width: int) -> Tensor:
        over = (words == self.end).cumsum(1) > 0
        ended = words.masked_fill(over, -100)
        return torch.nn.functional.pad(ended, (0, width - words.shape[1]), value=-100)

    def interval(self, judged: Judged) -> tuple[float, float]:
        return strings.interval(_runs(judged.predictions), strings.bleu)

    def worst(self, judged: Judged, each: Sequence[float | None] | None) -> Worst | None:
        """The word that is written least for how often it is in the labels; of rare words nothing can be said."""
        pair = judged.predictions.answers, judged.predictions.labels
        predicted, there = (torch.bincount(s[s != -100], minlength=len(judged.classes)) for s in pair)
        least = torch.where(there > 0, predicted / there.clamp_min(1), 2.0)
        often = torch.where(there >= min(int(there.max()), 20), least, 2.0)
        place = int(often.argmin())
        return Worst(str(judged.classes[place]), min(1.0, float(often[place])))

    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        """Whether hardly a run of four words is right: a BLEU below 0.01."""
        return self.score(predictions) < 0.01


def forced(role: str) -> Source:
    """An encoder-decoder's logits for the label's words, each with the right ones before it."""
    return Field("inputs").via(role, Field("labels"))


def word_term(role: str = "student", *, weight: Weight = 1.0, per_token: bool = False) -> Term:
    """What an encoder-decoder learns from labels alone: -log of the probability of the label's words."""
    by = partial(sequence_nll, per_token=per_token) if per_token else sequence_nll
    return Term("words", by, weight=weight, student=forced(role), labels=Field("labels"))
