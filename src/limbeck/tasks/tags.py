"""Several labels at once, each there or not; with one label, a yes or no by one logit.

Letters: n samples, C labels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.losses.tags import binary_cross_entropy, binary_kl, binary_soft_target
from limbeck.metrics import tags as metrics
from limbeck.plan import Field, Labels, Soft, Tap, Term
from limbeck.tasks.differing import differing, recall_all, record_all
from limbeck.tasks.figure import Figure, FigureInfo, Judged, PerClass, marked
from limbeck.tasks.keeping import Kept
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import SamplePrediction, Section, Values
from limbeck.tasks.task import AGREES, Task, is_number, wrong_classes

percent = FigureInfo().text


def any_known(labels: Tensor) -> Tensor:
    """Samples of which at least one label is known."""
    return (labels != -100).any(-1)


def _found(judged: Judged) -> Tensor:
    return metrics.counts(judged.predictions.logits, judged.predictions.labels)


def _micro(judged: Judged) -> float:
    return float(metrics.micro_f1(_found(judged).sum(0)))


def _each(judged: Judged) -> list[float | None]:
    return [None if value != value else value for value in metrics.f1(_found(judged).sum(0)).tolist()]


def _macro(judged: Judged) -> float:
    return float(metrics.f1(_found(judged).sum(0)).nanmean())


def _precision(judged: Judged) -> float:
    return float(metrics.average_precision(judged.predictions.logits, judged.predictions.labels).nanmean())


def _right(judged: Judged) -> tuple[Tensor, Tensor]:
    """Where a label is answered rightly, and where it is known."""
    labels = judged.predictions.labels
    return (judged.predictions.logits > 0) == (labels == 1), labels != -100


def _subset(judged: Judged) -> float:
    right, known = _right(judged)
    return float((right | ~known)[known.any(1)].all(1).double().mean())


def _hamming(judged: Judged) -> float:
    right, known = _right(judged)
    return float((~right)[known].double().mean())


@dataclass(frozen=True)
class OneLogit:
    """Finds the logit of a network that says yes or no, whether it gives (n, 1) or (n,).

    >>> OneLogit()(torch.zeros(2)).shape
    torch.Size([2, 1])
    """

    def __call__(self, output: object) -> Tensor:
        found = output["logits"] if isinstance(output, Mapping) and "logits" in output else getattr(output, "logits", output)
        if not isinstance(found, Tensor):
            raise UserError(f"a network must return one logit for each sample, got {type(output).__name__}; see Adapter(logits=)")
        return found.unsqueeze(1) if found.dim() == 1 else found


@final
@dataclass(frozen=True)
class Tags(Task):
    """Several labels at once: labels (n, C) of 1 and 0, -100 where unknown; logits (n, C), there where above 0.

    Scored by micro F1 over all labels together; the interval is a bootstrap over samples.
    """

    name = "tags"
    item = "label"
    fewest = 1
    whole = False
    instead = "kd, or a method that compares features (fitnets, attention, rkd, similarity, ...)"
    figures = (
        Figure(
            "micro_f1",
            "micro F1",
            _micro,
            "F1 = 2 TP / (2 TP + FP + FN) over all labels of all samples together.",
            per_class=PerClass("F1", _each),
        ),
        Figure("macro_f1", "macro F1", _macro, "Mean over labels of their F1, with equal weight for each label."),
        Figure(
            "average_precision",
            "average precision",
            _precision,
            "Mean over labels of sum of recall increase x precision, samples sorted by logit; independent of a threshold.",
        ),
        Figure("subset_accuracy", "subset accuracy", _subset, "Share of samples all of whose labels are right."),
        Figure("hamming_loss", "Hamming loss", _hamming, "Share of single labels that are wrong.", better="lower"),
        AGREES,
    )

    @classmethod
    def takes(cls, labels: Tensor) -> bool:
        return labels.dtype == torch.bool and labels.dim() == 2

    def read(self, where: str, columns: Mapping[str, Sequence[str]]) -> tuple[Tensor, tuple[str, ...]]:
        """A column of 0 and 1 for each label."""
        for name, cells in columns.items():
            odd = next((cell for cell in cells if not is_number(cell) or float(cell) not in (0, 1)), None)
            if odd is not None:
                raise UserError(
                    f"{where}: column {name!r} holds {odd!r}; a column of tags holds only 1 and 0; correct it or choose "
                    "another column"
                )
        return torch.tensor([[int(float(cell)) for cell in cells] for cells in columns.values()]).T.contiguous(), tuple(columns)

    def width(self, labels: Tensor) -> int:
        return labels.shape[1]

    def prepared(self, labels: Tensor) -> Tensor:
        return labels.long().reshape(len(labels), -1)

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.shape != (count, classes):
            raise UserError(
                f"{who} has {count} inputs and {classes} labels but tags of shape {tuple(labels.shape)}; give (inputs, labels)"
            )
        odd = labels[(labels != 0) & (labels != 1) & (labels != -100)]
        if len(odd):
            raise UserError(f"{who}: a tag is 1 (present), 0 (absent) or -100 (unknown), got {int(odd[0])}")

    def check_output(self, who: str, outputs: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if outputs.dim() != 2 or outputs.shape[1] != classes:
            raise wrong_classes(who, outputs, data, classes)

    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if outputs.shape != labels.shape:
            raise UserError(
                f"a model must return logits {tuple(labels.shape)}, got {tuple(outputs.shape)}; give their place with "
                "Adapter(logits=...)"
            )
        return outputs, labels.long()

    def gives(self, classes: Sequence[str]) -> str:
        return f"one logit for each of {len(classes)} labels (sigmoid; present if above 0)"

    def finder(self, classes: int, shape: tuple[int, ...]) -> Callable[[object], Tensor] | None:
        return OneLogit() if classes == 1 else None

    def strata(self, labels: Tensor) -> Tensor:
        """By the rarest label that a sample has; those that have none are a group too."""
        there = labels == 1
        by_rarity = there.sum(0).argsort()
        first = there[:, by_rarity].long().argmax(1)
        groups = torch.where(there.any(1), by_rarity[first], labels.shape[1])
        return groups.unique(return_inverse=True)[1]

    def occurrences(self, labels: Tensor, classes: int) -> list[int]:
        return (labels == 1).sum(0).tolist()

    def label_terms(self, labels: Labels) -> tuple[Term, ...]:
        """The likelihood of each label that is known."""
        told = Field("labels")
        mask = labels.chosen or told.via(any_known)
        return (Term(labels.name, binary_cross_entropy, weight=labels.weight, mask=mask, student=Tap(labels.role), labels=told),)

    def soft_terms(self, soft: Soft) -> tuple[Term, ...]:
        """Each label by itself, softened."""
        by = partial(binary_soft_target if soft.scaled else binary_kl, temperature=soft.temperature)
        sides = {"student": Tap(soft.learner), "teacher": Tap(soft.mentor).detach()}
        return (Term(soft.name, by, weight=soft.weight, mask=soft.mask, **sides),)

    def agreement(self, first: Predictions, second: Predictions) -> float:
        return float(((first.logits > 0) == (second.logits > 0)).double().mean())

    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        """Less than a tenth of the way from the average precision of chance, which is how common a label is, to perfect."""
        found = metrics.average_precision(predictions.logits, predictions.labels)
        there, known = (predictions.labels == 1).sum(0).double(), (predictions.labels != -100).sum(0)
        common = there / known
        return float(((found - common) / (1 - common).clamp_min(1e-9)).nanmean()) < 0.1

    def interval(self, judged: Judged) -> tuple[float, float]:
        return metrics.interval(_found(judged))

    def record(self, predictions: Mapping[str, Predictions], inputs: Tensor | None) -> dict[str, Tensor]:
        """All logits, and the pictures on which teacher and student differ most."""
        return record_all(predictions, {who: p.logits for who, p in predictions.items()}, inputs, _apart)

    def recall(self, tensors: Mapping[str, Tensor]) -> Kept:
        return recall_all(tensors, tensors["labels"].long())

    def sections(self, kept: Kept, names: Sequence[str]) -> tuple[Section, ...]:
        return tuple(_by_label(kept, names)) + (_differing(kept, names),)


def _apart(first: Predictions, second: Predictions) -> Tensor:
    """Rows by how far two models' probabilities are apart, the furthest first."""
    gap = (first.logits.sigmoid() - second.logits.sigmoid()).abs().sum(1)
    return gap.argsort(descending=True, stable=True)


def _by_label(kept: Kept, names: Sequence[str]) -> list[Section]:
    """How often each label is there, how often the student finds it, and how often it is right with it."""
    if "student" not in kept.predictions:
        return []
    right, many, missed = metrics.counts(kept.predictions["student"].logits, kept.predictions["student"].labels).sum(0).tolist()
    rows = []
    for name, r, f, m in zip(names, right, many, missed, strict=True):
        recall, precision = (r / n if n else None for n in (r + m, r + f))
        rows.append((marked(name, r + m), (str(r + m), float(r + m)), (percent(recall), recall), (percent(precision), precision)))
    table = Values(("label", "samples with it", "found (recall)", "right (precision)"), tuple(rows))
    return [Section("labels", "What the student finds", (table,))]


def _differing(kept: Kept, names: Sequence[str]) -> Section:
    note = ""
    if kept.other:
        found, other = (kept.predictions[who].logits > 0 for who in ("student", kept.other))
        unlike = percent(float((found != other).any(1).double().mean()))
        note = f"{kept.other.capitalize()} and student predict different labels for {unlike} of the samples. "
    shown = partial(_say, names=names)
    note += "Shown: those with the most different probabilities."
    return differing(kept, _apart, lambda label: _names(label == 1, names), shown, note)


def _say(who: str, predictions: Predictions, row: int, names: Sequence[str]) -> SamplePrediction:
    predicted, label = predictions.logits[row] > 0, predictions.labels[row]
    return SamplePrediction(who, _names(predicted, names), right=bool((predicted == (label == 1))[label != -100].all()))


def _names(there: Tensor, names: Sequence[str]) -> str:
    return ", ".join(names[k] for k in torch.nonzero(there)[:, 0].tolist()) or "none"
