"""One class for each sample.

Letters: n samples, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.losses import cross_entropy
from limbeck.metrics import classification as metrics
from limbeck.tasks.differing import NOT_TWO, TITLE
from limbeck.tasks.figure import Figure, FigureInfo, Judged, PerClass
from limbeck.tasks.keeping import TWINS, Kept, need, pick
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Cell, Curve, Mark, Matrix, Sample, SampleList, SamplePrediction, Section, Values
from limbeck.tasks.task import AGREES, Task, in_range, is_number, wrong_classes

KEPT, SHOWN = 24, 12  # pictures
FEW = 5  # samples in a bin of the reliability diagram that a line passes
RELIABILITY = (
    "On the dotted diagonal confidence equals accuracy; below it, a model is overconfident. "
    f"Lines join bins of at least {FEW} samples."
)
percent = FigureInfo().text


def _accuracy(judged: Judged) -> float:
    return metrics.accuracy(judged.predictions.logits, judged.predictions.labels)


def _recall(judged: Judged) -> list[float | None]:
    found = metrics.per_class(judged.predictions.logits, judged.predictions.labels)
    return [None if value != value else value for value in found.tolist()]


def _macro_f1(judged: Judged) -> float:
    return metrics.macro_f1(judged.predictions.logits, judged.predictions.labels)


def _balanced(judged: Judged) -> float:
    return metrics.balanced_accuracy(judged.predictions.logits, judged.predictions.labels)


def _calibration(judged: Judged) -> float:
    return metrics.calibration_error(judged.predictions.logits, judged.predictions.labels)


def _mean_kl(judged: Judged) -> float | None:
    return None if judged.teacher is None else metrics.mean_kl(judged.predictions.logits, judged.teacher.logits)


@final
@dataclass(frozen=True)
class Classify(Task):
    """One class for each sample: labels (n,), logits (n, C). Scored by accuracy, with Wilson's interval."""

    name = "classify"
    blends = True
    figures = (
        Figure(
            "accuracy",
            "accuracy",
            _accuracy,
            "Share of samples whose largest logit is that of the label.",
            per_class=PerClass("accuracy", _recall),
            sentence="gets {} of the test samples right",
        ),
        Figure(
            "macro_f1",
            "macro F1",
            _macro_f1,
            "Mean over classes of F1 = 2 TP / (2 TP + FP + FN), with equal weight for each class; 0 for a class that "
            "is never predicted.",
        ),
        Figure(
            "balanced_accuracy",
            "balanced accuracy",
            _balanced,
            "Mean over classes of the accuracy within each, so that rare classes count as much as common ones.",
        ),
        AGREES,
        Figure(
            "calibration_error",
            "calibration error",
            _calibration,
            "Expected difference between confidence and accuracy: sum over 15 bins of |B| / n x |accuracy - confidence|.",
            better="lower",
        ),
        Figure(
            "mean_kl_from_teacher",
            "KL from teacher",
            _mean_kl,
            "Mean KL(teacher || model) of their probabilities, in nats; 0 for equal predictions.",
            better="lower",
            form=".3g",
        ),
    )

    def prepared(self, labels: Tensor) -> Tensor:
        if labels.is_floating_point() and not bool((labels == labels.round()).all()):
            odd = float(labels.flatten()[0])
            raise UserError(f"classes are whole-number labels, got {labels.dtype} such as {odd:g}; convert them")
        return labels.long()

    def read(self, where: str, columns: Mapping[str, Sequence[str]]) -> tuple[Tensor, tuple[str, ...]]:
        """One column of numbers or words, each different one a class; 1 and 1.0 are the same."""
        if len(columns) > 1:
            raise UserError(
                f"{where}: {len(columns)} label columns, but a sample has one class; set data.task = 'tags' or 'numbers'"
            )
        ((name, cells),) = columns.items()
        found = sorted(set(cells))
        numbers = all(map(is_number, found))
        many = len(found) > 50 and len(found) > len(cells) / 10
        if numbers and (many or any(float(cell) % 1 for cell in found)):
            raise UserError(
                f"{where}: the label column {name!r} has {len(found)} different numbers in {len(cells)} rows, where classes are "
                "expected; set data.task = 'numbers' to predict a number, or name the right column with data.label"
            )
        if numbers:
            values = sorted({float(cell) for cell in found})
            classes, places = tuple(f"{value:.0f}" for value in values), {value: k for k, value in enumerate(values)}
            return torch.tensor([places[float(cell)] for cell in cells], dtype=torch.int64), classes
        if len(found) > 50 and len(found) > len(cells) / 2:
            raise UserError(
                f"{where}: the label column {name!r} has {len(found)} different values in {len(cells)} rows, too many for "
                "classes; name the right column with data.label"
            )
        place = {name: k for k, name in enumerate(found)}
        return torch.tensor([place[cell] for cell in cells], dtype=torch.int64), tuple(found)

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.shape != (count,):
            raise UserError(f"{who} has {count} inputs but labels of shape {tuple(labels.shape)}; give one label for each")
        in_range(who, labels, classes)

    def check_output(self, who: str, outputs: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if outputs.dim() < 2 or outputs.shape[1] != classes:
            raise wrong_classes(who, outputs, data, classes)

    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if outputs.dim() != 2:
            raise UserError(
                f"a model must return ({len(labels)}, classes) logits, got {tuple(outputs.shape)}; give their place "
                "with Adapter(logits=...)"
            )
        labels = labels.reshape(-1).long()
        metrics.check(outputs, labels)
        return outputs, labels

    def gives(self, classes: Sequence[str]) -> str:
        return f"one logit for each of {len(classes)} classes"

    def strata(self, labels: Tensor) -> Tensor:
        return labels

    def occurrences(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels, minlength=classes).tolist()

    def agreement(self, first: Predictions, second: Predictions) -> float:
        return metrics.agreement(first.logits, second.logits)

    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        return metrics.near_chance(_correct(predictions), len(predictions), classes)

    def chance(self, predictions: Predictions) -> float | None:
        """Always the most frequent class."""
        return float(torch.bincount(predictions.labels).max()) / len(predictions) if len(predictions) else None

    def interval(self, judged: Judged) -> tuple[float, float]:
        given, named = judged.predictions.logits.shape[1], len(judged.classes)
        if given != named:
            raise UserError(f"the model has {given} outputs, but {named} classes are named; name as many classes as outputs")
        return metrics.interval(_correct(judged.predictions), len(judged.predictions))

    def paired(self, first: Predictions, second: Predictions) -> float:
        """McNemar's exact test."""
        return float(metrics.paired(first.logits, second.logits, first.labels)["p"])

    def gauge(self, predictions: Predictions) -> tuple[Tensor, float]:
        """The log-likelihood of the labels at the temperature that suits it best: how large logits are has no say."""
        logits = predictions.logits.float()
        logits = logits - logits.mean(1, keepdim=True)
        logits = logits / logits.std().clamp_min(1e-6)
        tried = [-cross_entropy(scale * logits, predictions.labels) for scale in torch.logspace(-2, 2, 41)]
        shares = torch.bincount(predictions.labels, minlength=logits.shape[1]).float() / len(logits)
        return max(tried, key=lambda values: float(values.mean())), -float(torch.special.entr(shares).sum())

    def record(self, predictions: Mapping[str, Predictions], inputs: Tensor | None) -> dict[str, Tensor]:
        """All logits, and the pictures on which teacher and student differ most."""
        first = predictions["student"]
        tensors = {"labels": first.labels, "index": first.index} | {who: p.logits.float() for who, p in predictions.items()}
        if inputs is not None:
            other = predictions.get("teacher", first).logits.softmax(1)
            apart = (first.logits.softmax(1) - other).abs().sum(1).argsort(descending=True)[:KEPT].sort().values
            tensors |= {"samples": inputs[apart].contiguous(), "samples_index": apart}
        return tensors

    def recall(self, tensors: Mapping[str, Tensor]) -> Kept:
        labels, logits = tensors["labels"].long(), {who: z.float() for who, z in pick(tensors).items()}
        index = tensors["index"].long()
        need(len(labels) > 0 and all(z.dim() == 2 and len(z) == len(labels) for z in logits.values()))
        need(len({z.shape for z in logits.values()}) < 2 and len(index) == len(labels))
        need(all(int(labels.min()) >= 0 and int(labels.max()) < z.shape[1] for z in logits.values()), "labels out of range")
        samples, at = tensors.get("samples"), tensors.get("samples_index")
        shown = samples is not None and at is not None and samples.dim() == 4 and len(samples) == len(at)
        predictions = {who: Predictions(z, labels, index) for who, z in logits.items()}
        return Kept(predictions, samples if shown else None, at.long() if shown and at is not None else None)

    def sections(self, kept: Kept, names: Sequence[str]) -> tuple[Section, ...]:
        """Confusion matrix, how sure the models are, and the samples on which they differ."""
        taken = tuple(Matrix(w, metrics.confusion(p.logits, p.labels)) for w, p in kept.predictions.items() if w not in TWINS)
        sure = (_confidence(kept), _confidence_values(kept)) if kept.predictions else ()
        return (
            Section("confusion", "Confusion matrix", taken),
            Section("reliability", "Calibration", sure, RELIABILITY),
            _differing(kept, names),
        )


def _confidence(kept: Kept) -> Curve:
    """Confidence against correctness for every model."""
    errors = {who: metrics.calibration_error(p.logits, p.labels) for who, p in kept.predictions.items()}
    shown = ", ".join(f"{who} {percent(error)}" for who, error in errors.items())
    lines = {who: _line(who, p) for who, p in kept.predictions.items()}
    words = f"Reliability diagram. Expected calibration error: {shown}."
    return Curve("Confidence against correctness", words, lines, ("confidence", "share that is right"))


def _line(who: str, predictions: Predictions) -> tuple[Mark, ...]:
    curve = metrics.reliability(predictions.logits, predictions.labels)
    marks = []
    for b in torch.nonzero(curve.counts)[:, 0].tolist():
        sure, right, count = float(curve.confidence[b]), float(curve.accuracy[b]), int(curve.counts[b])
        tip = f"{who}\nconfidence {percent(sure)}\nright {percent(right)}\n{_count(count)} samples"
        marks.append(Mark(sure, right, tip, count / len(predictions), count >= FEW))
    return tuple(marks)


def _count(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")


def _confidence_values(kept: Kept) -> Values:
    """Mean confidence, share that is right and calibration error of every model."""
    rows: list[tuple[Cell, ...]] = []
    for who, p in kept.predictions.items():
        sure = float(p.logits.double().softmax(1).max(1).values.mean())
        shares = (sure, metrics.accuracy(p.logits, p.labels), metrics.calibration_error(p.logits, p.labels))
        rows.append((who, *((percent(share), share) for share in shares)))
    return Values(("model", "mean confidence", "is right", "calibration error"), tuple(rows))


def _differing(kept: Kept, names: Sequence[str]) -> Section:
    """Samples ordered by the total variation between the two models' probabilities, half their absolute difference."""
    if not kept.other:
        return Section("differ", TITLE, (), NOT_TWO)
    first, second = (kept.predictions[who].logits.softmax(1) for who in (kept.other, "student"))
    apart = (first - second).abs().sum(1) / 2
    rows, pictures = _chosen(kept, apart)
    unlike = float((first.argmax(1) != second.argmax(1)).double().mean())
    note = f"{kept.other.capitalize()} and student make different predictions for {percent(unlike)} of the samples. "
    among = ", among the samples that the run recorded." if pictures else "."
    samples = tuple(_sample(kept, row, pictures.get(row), {kept.other: first, "student": second}, names) for row in rows)
    return Section("differ", TITLE, (SampleList(samples),), f"{note}Shown: those with the most different probabilities{among}")


def _chosen(kept: Kept, apart: Tensor) -> tuple[list[int], dict[int, Tensor]]:
    """The rows to show, furthest apart first, and their pictures, if the run kept any."""
    if kept.samples is None or kept.at is None:
        return apart.argsort(descending=True)[:SHOWN].tolist(), {}
    there = {int(row): picture for row, picture in zip(kept.at, kept.samples) if 0 <= int(row) < len(apart)}
    return sorted(there, key=lambda row: -float(apart[row]))[:SHOWN], there


def _sample(kept: Kept, row: int, picture: Tensor | None, by: dict[str, Tensor], names: Sequence[str]) -> Sample:
    student = kept.predictions["student"]
    label = int(student.labels[row])
    found = []
    for who, p in by.items():
        answer = int(p[row].argmax())
        found.append(SamplePrediction(who, names[answer], percent(float(p[row].max()), 0), answer == label))
    return Sample(int(student.index[row]), names[label], tuple(found), picture)


def _correct(predictions: Predictions) -> int:
    return int((predictions.logits.argmax(1) == predictions.labels).sum())


CLASSIFY = Classify()
"""The default task."""
