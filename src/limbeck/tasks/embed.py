"""An embedding of each sample, learned from a teacher's without any labels; where there are some, they only judge.

Letters: n samples, m samples with known classes, d features, C classes.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import final

import torch
from torch import Tensor, nn

from limbeck.errors import UserError
from limbeck.losses import cross_entropy
from limbeck.metrics import embedding as metrics
from limbeck.plan import Field, Labels, Method, Part, Soft, Stage, Tap, Term, Update
from limbeck.plan.taps import leaves, modules_of
from limbeck.tasks.differing import TITLE, differing
from limbeck.tasks.figure import FigureInfo, Judged
from limbeck.tasks.keeping import Kept, need, pick
from limbeck.tasks.likeness import FIGURES, some
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Mark, SamplePrediction, Scatter, Section
from limbeck.tasks.task import Task, in_range, reads_classes

KEPT, DRAWN = 1000, 300  # samples of a run's record; pairs in a chart
SAME = 0.999  # the cosine of two embeddings that count as the same
NAMED = ("embedding", "embeddings", "sentence_embedding", "features")


class Head(nn.Linear):
    """The classifier that labels train a baseline's encoder through; it is no part of what is kept."""

    def __init__(self, embedding: Tensor, *, classes: int):
        super().__init__(embedding.shape[-1], classes)


@dataclass(frozen=True)
class Embedded:
    """Finds an embedding (n, d): tokens (n, t, d) and maps (n, d, h, w) are averaged over their places.

    >>> Embedded()(torch.ones(2, 5, 4, 4)).shape
    torch.Size([2, 5])
    """

    def __call__(self, output: object) -> Tensor:
        found = output
        if not isinstance(output, Tensor):
            key = next((k for k in NAMED if (k in output if isinstance(output, Mapping) else hasattr(output, k))), "")
            found = output[key] if isinstance(output, Mapping) and key else getattr(output, key or "none", None)
        if not isinstance(found, Tensor):
            raise UserError(
                f"an encoder must return a tensor (n, d), or one called {' or '.join(NAMED[:2])}, got {type(output).__name__}; "
                "see Adapter(logits=)"
            )
        return found.mean((-2, -1)) if found.dim() == 4 else found.mean(1) if found.dim() == 3 else found


@final
@dataclass(frozen=True)
class Embed(Task):
    """An embedding (n, d) of each sample; labels (n,) are classes that only judge it, -100 where unknown.

    neighbours: k of the figures about neighbours. classes: how many the labels have; 0 without labels. reference: a teacher's
    embeddings by sample number, with which all others are compared; a run finds them before it trains.

    Scored by the rank correlation of similarities to the teacher's, which needs no labels.
    """

    neighbours: int = 10
    classes: int = 0
    reference: Predictions | None = field(default=None, compare=False, repr=False)
    name = "embed"
    fewest = 0
    headless = True
    method = "embedding_match"
    amiss = "its preprocessing (mean, std) differs from this data"
    figures = FIGURES

    # ---------------------------------------------------------------- labels and answers

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.shape != (count,):
            raise UserError(f"{who} has {count} inputs but labels of shape {tuple(labels.shape)}; give one class each, or none")
        if (labels != -100).any():
            in_range(who, labels[labels != -100], classes)

    def check_output(self, who: str, outputs: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if outputs.dim() != 2 or not outputs.is_floating_point() or outputs.shape[1] < 2:
            raise UserError(
                f"role {who!r} gives {outputs.dtype} of shape {tuple(outputs.shape)}, but an encoder gives floats (n, d) with d "
                "of at least 2; give their place with Adapter(logits=...)"
            )

    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if outputs.dim() != 2 or len(outputs) != len(labels):
            raise UserError(f"an encoder must return ({len(labels)}, d) floats, got {tuple(outputs.shape)}")
        return outputs.float(), labels.long()

    def gives(self, classes: Sequence[str]) -> str:
        return "an embedding, to be compared by cosine"

    def width(self, labels: Tensor) -> int:
        return max(0, int(labels.max()) + 1)

    def prepared(self, labels: Tensor) -> Tensor:
        return labels.long()

    def learned(self, labels: Tensor) -> "Embed":
        return self if self.classes else replace(self, classes=self.width(labels))

    def finder(self, classes: int, shape: tuple[int, ...]) -> Callable[[object], Tensor] | None:
        return Embedded()

    def strata(self, labels: Tensor) -> Tensor:
        return labels.unique(return_inverse=True)[1]

    def occurrences(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels[labels != -100], minlength=classes).tolist() if classes else None

    def settings(self) -> dict[str, object]:
        return {"neighbours": self.neighbours, "classes": self.classes}

    # ---------------------------------------------------------------- how they teach

    def label_terms(self, labels: Labels) -> tuple[Term, ...]:
        """Nothing: an encoder learns from the teacher alone."""
        return ()

    def soft_terms(self, soft: Soft) -> tuple[Term, ...]:
        raise UserError(
            "it softens probabilities of classes, which embeddings are not; use embedding_match, global_local, seed_similarity, "
            "rkd, similarity, pkt"
        )

    def adapted(self, term: Term, parts: Collection[str]) -> Term:
        """As it is; refused where it reads labels, or takes embeddings for logits."""
        found = [leaf for source in term.sources for leaf in leaves(source)]
        if any(isinstance(leaf, Field) and leaf.key == "labels" for leaf in found):
            raise UserError(f"term {term.name!r} reads labels, which teach no encoder; use {self.method}")
        if reads_classes(term) and not any(list(modules_of(s)) for s in term.sources):  # a queue makes similarities of them
            raise UserError(f"term {term.name!r} reads class probabilities, which embeddings are not; use {self.method}")
        return term

    def alone(self, role: str) -> Method | None:
        """An encoder trained with a classifier on it by the labels that are known, of which the encoder is kept."""
        if self.classes < 2:
            return None
        told = Term("task", cross_entropy, student=Tap(role).via("classifier", answers=True), labels=Field("labels"))
        update = Update((role, "classifier"), (told,), source="train[labelled]")
        head = Part(partial(Head, classes=self.classes), like=(Tap(role),))
        return Method((Stage("labels", (update,)),), parts={"classifier": head}, deploys=role, name="alone")

    def met(self, answers: Sequence[Predictions]) -> "Embed":
        """The task with a teacher's embeddings of the parts that models are measured on."""
        embeddings, labels, index = (torch.cat([getattr(p, key) for p in answers]) for key in ("answers", "labels", "index"))
        order = index.argsort()
        return replace(self, reference=Predictions(embeddings[order], labels[order], index[order]))

    def remembered(self, index: Tensor) -> Predictions | None:
        met = self.reference
        if met is None:
            return None
        at = torch.searchsorted(met.index, index).clamp_max(len(met.index) - 1)
        return Predictions(met.answers[at], met.labels[at], index) if bool((met.index[at] == index).all()) else None

    # ---------------------------------------------------------------- figures

    def agreement(self, first: Predictions, second: Predictions) -> float:
        """The share of samples whose two embeddings have a cosine of at least 0.999; 0 where widths differ."""
        if first.answers.shape != second.answers.shape:
            return 0.0
        cosine = torch.nn.functional.cosine_similarity(first.answers.double(), second.answers.double(), dim=1)
        zero = (first.answers == 0).all(1) & (second.answers == 0).all(1)
        return float(((cosine >= SAME) | zero).double().mean())

    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        """Embeddings that hardly differ between samples."""
        rows = predictions.answers[metrics.spread(len(predictions), 200)]
        return len(rows) > 2 and float(metrics.similarities(rows).min()) > 1 - 1e-6

    def interval(self, judged: Judged) -> tuple[float, float] | None:
        pair = some(judged)
        return None if pair is None else metrics.rank_interval(*pair)

    # ---------------------------------------------------------------- what is kept and shown

    def record(self, predictions: Mapping[str, Predictions], inputs: Tensor | None) -> dict[str, Tensor]:
        """Up to 1000 samples' embeddings, evenly chosen, and their pictures where neighbours differ most."""
        first = predictions["student"]
        rows = metrics.spread(len(first), KEPT)
        kept = {who: Predictions(p.answers[rows], p.labels[rows], p.index[rows]) for who, p in predictions.items()}
        tensors = {"labels": first.labels[rows], "index": first.index[rows]}
        tensors |= {who: p.answers.contiguous() for who, p in kept.items()}
        if inputs is not None:
            at = self._apart(kept["student"], kept.get("teacher", kept["student"]))[:12]
            tensors |= {"samples": inputs[rows[at]].contiguous(), "samples_index": at}
        return tensors

    def recall(self, tensors: Mapping[str, Tensor]) -> Kept:
        labels, index = tensors["labels"].long(), tensors["index"].long()
        found = {who: Predictions(z.float(), labels, index) for who, z in pick(tensors).items()}
        need(len(labels) == len(index) > 0 and all(p.answers.dim() == 2 and len(p.answers) == len(index) for p in found.values()))
        return Kept(found, tensors.get("samples"), tensors.get("samples_index"))

    def sections(self, kept: Kept, names: Sequence[str]) -> tuple[Section, ...]:
        if kept.other != "teacher":
            return (Section("differ", TITLE, (), "The embeddings of two models are needed, but were not recorded."),)
        charts = tuple(_pairs(who, kept) for who in kept.predictions if who != "teacher")
        pairs = Section(
            "pairs", "Similarities of pairs", charts, "On the dotted diagonal a pair is as similar as to the teacher."
        )

        def shown(who: str, predictions: Predictions, row: int) -> SamplePrediction:
            return SamplePrediction(who, "nearest: " + ", ".join(_near(predictions, row, names)))

        note = "Shown: the samples whose nearest others differ most between teacher and student."
        label = partial(_class, names=names)
        return pairs, differing(kept, self._apart, lambda value: label(value) or "no label", shown, note)

    def _apart(self, first: Predictions, second: Predictions) -> Tensor:
        """Rows by how many of their nearest others two models have in common, the fewest first."""
        k = min(self.neighbours, len(first) - 1)
        if k < 1:
            return torch.arange(len(first))
        near = [metrics.nearest(p.answers, k) for p in (first, second)]
        return (near[0].unsqueeze(2) == near[1].unsqueeze(1)).any(2).sum(1).argsort(stable=True)


def _class(label: Tensor, names: Sequence[str]) -> str:
    return str(names[int(label)]) if 0 <= int(label) < len(names) else ""


def _near(predictions: Predictions, row: int, names: Sequence[str], most: int = 5) -> list[str]:
    """The nearest others of a row, by number and class."""
    unit = torch.nn.functional.normalize(predictions.answers, dim=1)
    order = (unit @ unit[row]).index_fill(0, torch.tensor([row]), -torch.inf).topk(min(most, len(unit) - 1)).indices
    found = ((int(predictions.index[k]), _class(predictions.labels[k], names)) for k in order)
    return [f"{number} ({name})" if name else str(number) for number, name in found]


def _pairs(who: str, kept: Kept) -> Scatter:
    """Cosines of pairs of neighbouring rows of the record: a model's against the teacher's."""
    cosines = []
    for p in (kept.predictions["teacher"], kept.predictions[who]):
        unit = torch.nn.functional.normalize(p.answers, dim=1)
        cosines.append((unit * unit.roll(1, 0)).sum(1)[:DRAWN])
    number = FigureInfo(form=".3f").text
    marks = tuple(Mark(x, y, f"{who}\nteacher {number(x)}\n{who} {number(y)}") for x, y in torch.stack(cosines, 1).tolist())
    words = f"Scatter chart: cosines of {len(marks)} pairs of samples, the {who}'s against the teacher's."
    return Scatter(who, who.capitalize(), words, marks, ("teacher's cosine", f"{who}'s cosine"))
