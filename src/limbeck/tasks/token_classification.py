"""A tag for each word of a sentence: names of persons and places, parts of speech.

A word is judged, and learned, at its first piece; its other pieces, special tokens and padding have the label -100.
Letters: n sentences, L places, C tags.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.metrics import entities as metrics
from limbeck.metrics.bootstrap import interval
from limbeck.plan import Field, Soft, Term
from limbeck.tasks.differing import TITLE
from limbeck.tasks.figure import Figure, FigureInfo, Judged
from limbeck.tasks.keeping import TWINS, Kept, need, pick
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Cell, Section, Texts, Values
from limbeck.tasks.task import AGREES, Task, in_range, plain, wrong_classes
from limbeck.transforms.masks import known

SHOWN = 12
percent = FigureInfo().text


@lru_cache(maxsize=8)
def _counted(predictions: Predictions, names: tuple[str, ...]) -> tuple[tuple[str, ...], Tensor]:
    return metrics.counts(predictions.answers, predictions.labels, names)


def _sums(judged: Judged) -> Tensor:
    """(n, 3) of each sentence: entities found rightly, found, and there."""
    task = judged.task
    assert isinstance(task, TokenClassification)
    return _counted(judged.predictions, task.names)[1].sum(1).double()


def _ratio(top: int, below: int) -> Callable[[Judged], float | None]:
    def value(judged: Judged) -> float | None:
        total = _sums(judged).sum(0)
        return float(total[top] / total[below]) if total[below] else None

    return value


def _f1(judged: Judged) -> float:
    return float(metrics.f1(_sums(judged).sum(0)))


def _words(judged: Judged) -> float:
    p = judged.predictions
    return float((p.answers == p.labels)[p.labels != -100].double().mean())


class EveryToken:
    """Finds the logits (n, L, C) of a model that answers at every token."""

    __name__ = "logits at every token"

    def __call__(self, output: object) -> Tensor:
        found = output["logits"] if isinstance(output, Mapping) and "logits" in output else getattr(output, "logits", output)
        if not isinstance(found, Tensor):
            raise UserError(f"a model must return logits (n, L, C), got {type(output).__name__}; see Adapter(logits=)")
        return found


@final
@dataclass(frozen=True)
class TokenClassification(Task):
    """A tag for each word: labels (n, L), -100 where no word begins, logits (n, L, C).

    Scored by the F1 of entities, micro-averaged as seqeval does; the interval is a bootstrap over sentences. Where tags name no
    entities (no B- and I-), every word counts as one, of its tag, and O as none.

    names: of the tags.
    """

    names: tuple[str, ...] = ()
    name = "token_classification"
    item = "tag"
    counted = "words"
    figures = (
        Figure(
            "entity_f1",
            "entity F1",
            _f1,
            "F1 = 2 right / (found + there) of whole entities: type, first and last word; micro-averaged, as by seqeval.",
            sentence="finds entities with an F1 of {} on the test sentences",
        ),
        Figure("entity_precision", "precision", _ratio(0, 1), "Share of the entities found that are right."),
        Figure("entity_recall", "recall", _ratio(0, 2), "Share of the entities there that are found."),
        Figure("word_accuracy", "words right", _words, "Share of words whose tag is right, O included."),
        AGREES,
    )

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.dim() != 2 or len(labels) != count or (isinstance(inputs, Tensor) and labels.shape != inputs.shape):
            raise UserError(f"{who} has {count} inputs but tags of shape {tuple(labels.shape)}; give one tag for each token")
        told = labels[labels != -100]
        if not len(told):
            raise UserError(f"{who}: no token has a tag; give sentences with tags")
        in_range(who, told, classes)

    def check_output(self, who: str, outputs: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if outputs.dim() != 3 or outputs.shape != (*labels.shape, classes):
            raise wrong_classes(who, outputs, data, classes)

    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if outputs.shape[:-1] != labels.shape:
            raise UserError(f"a model must return logits {(*labels.shape, 'C')} for these tokens, got {tuple(outputs.shape)}")
        return outputs.argmax(-1).to(torch.int16), labels.to(torch.int16)

    def gives(self, classes: Sequence[str]) -> str:
        return f"one logit for each of {len(classes)} tags at every token, of which the first of a word counts"

    def learned(self, labels: Tensor) -> "TokenClassification":
        return self if self.names else replace(self, names=tuple(map(str, range(self.width(labels)))))

    def finder(self, classes: int, shape: tuple[int, ...]) -> Callable[[object], Tensor] | None:
        return EveryToken()

    def occurrences(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels[labels != -100].long(), minlength=classes).tolist()

    def soft_terms(self, soft: Soft) -> tuple[Term, ...]:
        """The mentor's softened tags, at the tokens that have a tag: elsewhere nobody was taught to answer."""
        term = plain(soft)
        return (term if term.mask is not None else term.but(mask=Field("labels").via(known)),)

    def agreement(self, first: Predictions, second: Predictions) -> float:
        return float((first.answers == second.answers)[first.labels != -100].double().mean())

    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        """Hardly an entity found: answering O everywhere scores 0."""
        return not self.score(predictions) >= 0.05

    def interval(self, judged: Judged) -> tuple[float, float] | None:
        sums = _sums(judged)
        return interval(sums, metrics.f1) if bool(sums.sum() > 0) else None

    def record(self, predictions: Mapping[str, Predictions], inputs: Tensor | None) -> dict[str, Tensor]:
        """Everybody's tags."""
        first = predictions["student"]
        tensors = {"index": first.index, "tags": first.labels.contiguous()}
        return tensors | {f"tags_{who}": p.answers.contiguous() for who, p in predictions.items()}

    def recall(self, tensors: Mapping[str, Tensor]) -> Kept:
        labels, index = tensors["tags"].long(), tensors["index"].long()
        found = {who: t.long() for who, t in pick(tensors, "tags_").items()}
        need(labels.dim() == 2 and len(labels) == len(index) and all(t.shape == labels.shape for t in found.values()))
        return Kept({who: Predictions(t, labels, index) for who, t in found.items()})

    def sections(self, kept: Kept, names: Sequence[str]) -> tuple[Section, ...]:
        return (*self._by_type(kept), self._differing(kept, names)) if kept.predictions else ()

    def _by_type(self, kept: Kept) -> tuple[Section, ...]:
        """How often each type of entity is there, and how well each model finds it."""
        shown = {who: p for who, p in kept.predictions.items() if who not in TWINS}
        found = {who: _counted(p, self.names) for who, p in shown.items()}
        types, first = next(iter(found.values()))
        rows: list[tuple[Cell, ...]] = []
        for k, kind in enumerate(types):
            there = int(first[:, k, 2].sum())
            each = [float(metrics.f1(sums[:, k].sum(0).double())) for _, sums in found.values()]
            rows.append((kind, (str(there), float(there)), *((percent(value), value) for value in each)))
        head = ("entity", "there", *(f"{who}, F1" for who in found))
        return (Section("entities", "Entities", (Values(head, tuple(rows)),)),) if rows else ()

    def _differing(self, kept: Kept, names: Sequence[str]) -> Section:
        """The sentences for which teacher and student give most words another tag."""
        if not kept.other:
            return Section("differ", TITLE, (), "The predictions of two models are needed, but were not recorded.")
        student, other = kept.predictions["student"], kept.predictions[kept.other]
        unlike = ((student.answers != other.answers) & (student.labels != -100)).sum(1)
        rows = unlike.argsort(descending=True, stable=True)[:SHOWN].tolist()
        sides = {"label": student.labels, kept.other: other.answers, "student": student.answers}

        def told(side: Tensor, row: int) -> str:
            return " ".join(str(names[k]) for k in side[row][student.labels[row] != -100].tolist())

        cells = tuple((str(int(student.index[row])), *(told(side, row) for side in sides.values())) for row in rows)
        note = "Shown: the sentences with the most words that are tagged otherwise, by number."
        return Section("differ", TITLE, (Texts(("sentence", *sides), cells),), note)
