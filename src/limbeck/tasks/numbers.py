"""One number for each sample, or several: regression.

Networks answer in scaled units (mean 0 and standard deviation 1 over the training labels); the last step back to the labels'
own units is part of how their answer is found, and so of whatever is deployed. Letters: n samples, k targets.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import final

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.losses import mse
from limbeck.metrics import numbers as metrics
from limbeck.plan import Field, Labels, Soft, Source, Tap, Term
from limbeck.plan.taps import leaves, replaced
from limbeck.tasks.differing import differing, recall_all, record_all
from limbeck.tasks.figure import Figure, Judged, PerClass
from limbeck.tasks.keeping import TWINS, Kept
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Mark, SamplePrediction, Scatter, Section, Values
from limbeck.tasks.task import AGREES, Task, is_number
from limbeck.transforms.targets import filled, standardised, told

DRAWN, BINS = 300, 10
LIKE = 0.1  # of a target's standard deviation: two answers that are nearer count as the same


@dataclass(frozen=True)
class Unscaled:
    """Finds a network's numbers (n, k) or (n,) and brings them to the labels' own units.

    >>> Unscaled((10.0,), (2.0,))(torch.tensor([0.0, 1.0]))
    tensor([[10.],
            [12.]])
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, output: object) -> Tensor:
        found = output["logits"] if isinstance(output, Mapping) and "logits" in output else getattr(output, "logits", output)
        if not isinstance(found, Tensor):
            raise UserError(
                f"a network must return numbers (n, {len(self.mean)}), got {type(output).__name__}; see Adapter(logits=)"
            )
        wide = found.unsqueeze(1) if found.dim() == 1 else found
        return wide * wide.new_tensor(self.std) + wide.new_tensor(self.mean)


def _pair(judged: Judged) -> tuple[Tensor, Tensor]:
    return judged.predictions.answers, judged.predictions.labels


def _r2(judged: Judged) -> float:
    return float(metrics.r2(*_pair(judged)).nanmean())


def _each(judged: Judged) -> list[float | None]:
    return [None if value != value else value for value in metrics.r2(*_pair(judged)).tolist()]


def _rmse(judged: Judged) -> float:
    return float(metrics.rmse(*_pair(judged)).mean())


def _rmse_interval(judged: Judged) -> tuple[float, float] | None:
    return metrics.rmse_interval(*_pair(judged))


def _mae(judged: Judged) -> float:
    return float(metrics.mae(*_pair(judged)).mean())


def _mae_interval(judged: Judged) -> tuple[float, float] | None:
    return metrics.mae_interval(*_pair(judged))


@final
@dataclass(frozen=True)
class Numbers(Task):
    """Numbers: labels (n, k) as floats, answers (n, k) in the labels' units. Scored by R2, its interval a bootstrap over samples.

    mean, std: of each target over the training labels; read from these where they are not given.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    name = "numbers"
    item = "target"
    fewest = 1
    whole = False
    unknown = float("nan")
    instead = "kd, teacher_bounded, or a method that compares features (fitnets, attention, rkd, similarity, ...)"
    amiss = "its preprocessing (mean, std) differs, or its output is not standardised by the training labels"
    figures = (
        Figure(
            "r2",
            "R2",
            _r2,
            "1 - squared error / variance of the labels, mean over targets: 1 is perfect, 0 is the mean of the labels.",
            form=".3f",
            most=1.0,
            per_class=PerClass("R2", _each),
            sentence="explains {} of the variance of the test labels (R2)",
        ),
        Figure(
            "rmse",
            "RMSE",
            _rmse,
            "Root mean squared error, in the target's units; mean over targets.",
            better="lower",
            form=".4g",
            interval=_rmse_interval,
        ),
        Figure(
            "mae",
            "MAE",
            _mae,
            "Mean absolute error, in the target's units; mean over targets.",
            better="lower",
            form=".4g",
            interval=_mae_interval,
        ),
        AGREES,
    )

    @classmethod
    def takes(cls, labels: Tensor) -> bool:
        return labels.is_floating_point() and labels.dim() <= 2

    def read(self, where: str, columns: Mapping[str, Sequence[str]]) -> tuple[Tensor, tuple[str, ...]]:
        """A column of numbers for each target."""
        for name, cells in columns.items():
            odd = next((cell for cell in cells if not is_number(cell)), None)
            if odd is not None:
                raise UserError(
                    f"{where}: column {name!r} holds {odd!r}, which is not a number; correct that row or predict another column"
                )
        return torch.tensor([[float(cell) for cell in cells] for cells in columns.values()]).T.contiguous(), tuple(columns)

    def width(self, labels: Tensor) -> int:
        return labels.shape[1]

    def prepared(self, labels: Tensor) -> Tensor:
        return labels.float().reshape(len(labels), -1)

    def learned(self, labels: Tensor) -> "Numbers":
        if self.mean:
            return self
        mean, std = labels.double().mean(0), labels.double().std(0, correction=0)
        std = torch.where(std > 0, std, 1.0)
        return replace(self, mean=tuple(mean.tolist()), std=tuple(std.tolist()))

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.shape != (count, classes) or not labels.is_floating_point():
            raise UserError(
                f"{who} has {count} inputs and {classes} targets but labels {tuple(labels.shape)} of {labels.dtype}; "
                "give floats (inputs, targets)"
            )
        if not bool(torch.isfinite(labels).all()):
            row = int((~torch.isfinite(labels)).any(1).nonzero()[0])
            raise UserError(f"{who} has labels that are not finite, the first in sample {row}; remove or fill those samples")

    def check_output(self, who: str, outputs: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if outputs.dim() != 2 or outputs.shape[1] != classes:
            raise UserError(
                f"role {who!r} has outputs of shape {tuple(outputs.shape)}, but {data} has {classes} targets; use a "
                "model with as many outputs"
            )

    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if outputs.shape != labels.shape:
            raise UserError(
                f"a model must return numbers {tuple(labels.shape)}, got {tuple(outputs.shape)}; give their place with "
                "Adapter(logits=...)"
            )
        return outputs.float(), labels.float()

    def gives(self, classes: Sequence[str]) -> str:
        return "one number, in the target's units" if len(classes) == 1 else f"{len(classes)} numbers, in the targets' units"

    def finder(self, classes: int, shape: tuple[int, ...]) -> Callable[[object], Tensor] | None:
        return Unscaled(self.mean, self.std) if len(self.mean) == classes else None

    def strata(self, labels: Tensor) -> Tensor:
        """By tenths of the first target, so that every split has small and large ones."""
        count = max(1, min(BINS, len(labels) // BINS))
        edges = torch.quantile(labels[:, 0].double(), torch.linspace(0, 1, count + 1).double()[1:-1])
        return torch.bucketize(labels[:, 0].double().contiguous(), edges.unique()).unique(return_inverse=True)[1]

    # ---------------------------------------------------------------- how they teach

    def label_terms(self, labels: Labels) -> tuple[Term, ...]:
        """Squared error to the label, in scaled units."""
        given = Field("labels")
        mask = labels.chosen or given.via(told)
        term = Term(labels.name, mse, weight=labels.weight, mask=mask, student=Tap(labels.role), teacher=given.via(filled))
        return (self.adapted(term, ()),)

    def soft_terms(self, soft: Soft) -> tuple[Term, ...]:
        """Squared error to the mentor's value, in scaled units; there is nothing that a temperature could soften."""
        sides = {"student": Tap(soft.learner), "teacher": Tap(soft.mentor).detach()}
        return (self.adapted(Term(soft.name, mse, weight=soft.weight, mask=soft.mask, **sides), ()),)

    def adapted(self, term: Term, parts: Collection[str]) -> Term:
        """Answers and labels are compared in scaled units, so that a term weighs the same whatever the labels' units are."""
        scaled = partial(standardised, mean=self.mean, std=self.std)
        found = {leaf for source in term.inputs.values() for leaf in leaves(source) if _is_value(leaf, parts)}
        swap = {leaf: leaf.via(scaled) for leaf in found}
        return term.but(inputs={key: replaced(source, swap) for key, source in term.inputs.items()}) if swap else term

    # ---------------------------------------------------------------- figures

    def agreement(self, first: Predictions, second: Predictions) -> float:
        """The share of answers that are nearer to each other than a tenth of the target's standard deviation."""
        gap = (first.answers - second.answers).abs().double()
        spread = gap.new_tensor(self.std) if self.std else first.labels.double().std(0, correction=0).clamp_min(1e-12)
        return float((gap <= LIKE * spread).double().mean())

    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        """A tenth of the spread is hardly more than the labels' mean explains."""
        return not self.score(predictions) >= 0.1

    def interval(self, judged: Judged) -> tuple[float, float] | None:
        return metrics.r2_interval(*_pair(judged))

    def gauge(self, predictions: Predictions) -> tuple[Tensor, float] | None:
        """Minus the squared error in scaled units, the mean over targets; where the labels' mean is all that is known: -1."""
        std = predictions.labels.std(0, correction=0).clamp_min(1e-12)
        return -((predictions.answers - predictions.labels) / std).square().mean(1), -1.0

    # ---------------------------------------------------------------- what is kept and shown

    def record(self, predictions: Mapping[str, Predictions], inputs: Tensor | None) -> dict[str, Tensor]:
        """All answers, and the pictures on which teacher and student differ most."""
        return record_all(predictions, {who: p.answers for who, p in predictions.items()}, inputs, self._apart)

    def recall(self, tensors: Mapping[str, Tensor]) -> Kept:
        return recall_all(tensors, tensors["labels"].float())

    def sections(self, kept: Kept, names: Sequence[str]) -> tuple[Section, ...]:
        drawn = tuple(_scatter(who, p, names[0]) for who, p in kept.predictions.items() if who not in TWINS)
        note = "Marks on the dotted diagonal are exact." + (f" The first target, {names[0]}, is shown." if len(names) > 1 else "")
        errors = Section("errors", "Answers against labels", (*drawn, _errors(kept, names)), note)

        def shown(who: str, predictions: Predictions, row: int) -> SamplePrediction:
            return SamplePrediction(who, _told(predictions.answers[row], names))

        most = "Shown: the samples with the most different predictions."
        return errors, differing(kept, self._apart, lambda label: _told(label, names), shown, most)

    def _apart(self, first: Predictions, second: Predictions) -> Tensor:
        """Rows by how far two models' answers are apart in scaled units, the furthest first."""
        gap = (first.answers - second.answers).abs() / first.answers.new_tensor(self.std or (1.0,))
        return gap.sum(1).argsort(descending=True, stable=True)


def _is_value(leaf: Source, parts: Collection[str]) -> bool:
    """Whether a leaf is a label, or a model's whole answer."""
    if isinstance(leaf, Field):
        return leaf.key == "labels"
    return isinstance(leaf, Tap) and not leaf.path and leaf.io == "output" and leaf.role not in parts


def _told(values: Tensor, names: Sequence[str]) -> str:
    numbers = [f"{value:.4g}" for value in values.tolist()]
    return numbers[0] if len(numbers) == 1 else ", ".join(f"{name} {number}" for name, number in zip(names, numbers, strict=True))


def _scatter(who: str, predictions: Predictions, name: str) -> Scatter:
    rows = torch.linspace(0, len(predictions) - 1, min(DRAWN, len(predictions))).long()
    pairs = torch.stack([predictions.labels[rows, 0], predictions.answers[rows, 0]], 1).tolist()
    marks = tuple(Mark(x, y, f"{who}\nlabel {x:.4g}\nanswer {y:.4g}") for x, y in pairs)
    words = f"Scatter chart: {name} as predicted by the {who}, against the label, {len(rows)} test samples."
    return Scatter(who, who.capitalize(), words, marks, (f"{name}, label", f"{name}, answer"))


def _errors(kept: Kept, names: Sequence[str]) -> Values:
    """Each target's mean errors, model by model."""
    rows = []
    for who, p in kept.predictions.items():
        for name, root, mean in zip(names, metrics.rmse(p.answers, p.labels), metrics.mae(p.answers, p.labels), strict=True):
            rows.append((f"{who}, {name}", (f"{root:.4g}", float(root)), (f"{mean:.4g}", float(mean))))
    return Values(("model and target", "RMSE", "MAE"), tuple(rows))
