"""Boxes around objects: mean average precision at an overlap of one half.

Letters: n samples, m boxes, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.losses import cross_entropy, smooth_l1
from limbeck.metrics import precision
from limbeck.plan import Field, Labels, Soft, Tap, Term, Weight
from limbeck.plan.labels import named
from limbeck.tasks.differing import TITLE
from limbeck.tasks.figure import Figure, Judged, PerClass
from limbeck.tasks.keeping import Kept, need, pick
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Gallery, Marked, MarkedPicture, Section
from limbeck.tasks.task import AGREES, Task, in_range, wrong_classes
from limbeck.transforms import boxes

SHOWN = 6
SURE = 0.5  # the probability from which a box counts in pictures and agreement


@lru_cache(maxsize=2)
def _match(predictions: Predictions, classes: int) -> precision.Matched:
    most = max(predictions.answers[..., 0].max(), predictions.labels[..., 0].max())
    return precision.match(predictions.answers, predictions.labels, classes or 1 + int(most.clamp_min(0)))


def _matched(judged: Judged) -> precision.Matched:
    return _match(judged.predictions, len(judged.classes))


def _mean_precision(judged: Judged) -> float:
    return float(precision.average_precision(_matched(judged)).nanmean())


def _precision(judged: Judged) -> list[float | None]:
    found = precision.average_precision(_matched(judged))[0]
    return [None if value != value else value for value in found.tolist()]


@final
@dataclass(frozen=True)
class Detect(Task):
    """Boxes with a class: labels (n, m, 5), answers (n, h, w, C + 5), both as in `limbeck.boxes`.

    Scored by mean average precision at 0.5 (mAP@0.5) over the classes that occur; its interval is a bootstrap over images.

    size: height and width of the images, which answers do not tell.
    """

    size: tuple[int, int] = (0, 0)
    name = "detect"
    fewest = 1  # "nothing here" is no class of the data
    counted = "objects"
    located = True
    figures = (
        Figure(
            "map_50",
            "mAP@0.5",
            _mean_precision,
            "Mean over classes of the average precision of boxes, surest first, that overlap a label's by at least a half.",
            per_class=PerClass("AP@0.5", _precision),
        ),
        AGREES,
    )

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.dim() != 3 or labels.shape[0] != count or labels.shape[2] != 5:
            raise UserError(
                f"{who} has {count} images but boxes of shape {tuple(labels.shape)}; give (images, boxes, 5): "
                "class, x0, y0, x1, y1"
            )
        real = labels[labels[..., 0] != -100]
        hard = real[:, 0] <= boxes.DIFFICULT
        real = torch.cat([torch.where(hard, boxes.DIFFICULT - real[:, 0], real[:, 0])[:, None], real[:, 1:]], 1)
        if not len(real) or bool(hard.all()):
            raise UserError(f"{who} has no box that counts; give images with objects")
        in_range(who, real[:, 0], classes)
        if not (real[:, 3:] > real[:, 1:3]).all():
            raise UserError(f"{who} has a box of zero area: {real[(real[:, 3:] <= real[:, 1:3]).any(1)][0].tolist()}; remove it")

    def label_terms(self, labels: Labels) -> tuple[Term, ...]:
        """The class of every cell, and the box of those that answer for an object."""
        if labels.chosen is not None:
            raise UserError(
                "a detector is trained on all cells of all images, so its labels cannot be masked by sample; use a "
                "method without a mask"
            )
        classes, place = box_terms(labels.role, weight=labels.weight)
        return classes.but(weight=labels.weight), place

    def soft_terms(self, soft: Soft) -> tuple[Term, ...]:
        raise UserError(
            "a detector has no single class to soften; use detection, fine_grained, mgd, pkd or another method for boxes"
        )

    def check_output(self, who: str, outputs: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if outputs.dim() != 4 or outputs.shape[0] != len(labels) or outputs.shape[3] != classes + 5:
            raise wrong_classes(who, outputs, data, classes)

    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if outputs.dim() != 4:
            raise UserError(
                f"a detector must return (n, cells, cells, classes + 5), got {tuple(outputs.shape)}; use another model"
            )
        return boxes.detections(outputs, self.size), labels

    def gives(self, classes: Sequence[str]) -> str:
        return f"per cell one logit for each of {len(classes)} classes and for background, and 4 numbers of a box"

    def agreement(self, first: Predictions, second: Predictions) -> float:
        """Of the boxes that either is sure of, the share that the other has too: class, and an overlap of a half."""
        same = total = 0
        for a, b in ((first, second), (second, first)):
            sure = [p.answers[..., 1] >= SURE for p in (a, b)]
            labels = torch.where(sure[1][..., None], b.answers, -100.0)[..., [0, 2, 3, 4, 5]]
            found = torch.where(sure[0][..., None], a.answers, -100.0)
            matched = precision.match(found, labels, 1 + max(0, *(int(p.answers[..., 0].max()) for p in (a, b))))
            same, total = same + int(matched.right.sum()), total + len(matched.right)
        return same / total if total else 1.0

    def interval(self, judged: Judged) -> tuple[float, float]:
        return precision.interval(_matched(judged))

    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        """A detector that never looked finds next to nothing."""
        return self.score(predictions) < 0.05

    def record(self, predictions: Mapping[str, Predictions], inputs: Tensor | None) -> dict[str, Tensor]:
        """The pictures on which teacher and student differ most in their number of sure boxes, with all boxes."""
        first = predictions["student"]
        tensors = {"index": first.index, "boxes": first.labels[:0]}
        if inputs is not None:
            other = predictions.get("teacher", first)
            counts = [(p.answers[..., 1] >= SURE).sum(1) for p in (first, other)]
            at = (counts[0] - counts[1]).abs().argsort(descending=True, stable=True)[:12]
            tensors |= {"samples": inputs[at].contiguous(), "samples_index": at, "boxes": first.labels[at].contiguous()}
            for who, p in predictions.items():
                sure = torch.where((p.answers[at, :, 1] >= SURE)[..., None], p.answers[at], -100.0)
                tensors[f"boxes_{who}"] = sure[..., [0, 2, 3, 4, 5]].contiguous()
        return tensors

    def recall(self, tensors: Mapping[str, Tensor]) -> Kept:
        samples, at = tensors.get("samples"), tensors.get("samples_index")
        if samples is None or at is None:
            return Kept()
        labels, index = tensors["boxes"], tensors["index"].long()[at]
        predicted = pick(tensors, "boxes_")
        fits = (b.dim() == 3 and len(b) == len(at) and b.shape[2] == 5 for b in (labels, *predicted.values()))
        need(samples.dim() == 4 and all(fits))
        return Kept({who: Predictions(b, labels, index) for who, b in predicted.items()}, samples, torch.arange(len(at)))

    def sections(self, kept: Kept, names: Sequence[str]) -> tuple[Section, ...]:
        """The pictures in which the models find the most different number of boxes: the label's, and every model's."""
        if kept.samples is None:
            return (Section("differ", TITLE, (), "No pictures were kept."),)
        rows = []
        first = next(iter(kept.predictions.values()))
        for k, number in enumerate(first.index.tolist()[:SHOWN]):
            marks = []
            for who, found in {"label": first.labels, **{who: p.answers for who, p in kept.predictions.items()}}.items():
                real = found[k][found[k][:, 0] >= 0]
                marks.append(Marked(who, f"{who}, {len(real)} {'box' if len(real) == 1 else 'boxes'}", boxes=real))
            rows.append(MarkedPicture(number, kept.samples[k], tuple(marks)))
        note = "Test images with the largest difference in the number of boxes, of probability at least 0.5."
        return (Section("differ", TITLE, (Gallery(tuple(rows), tuple(names)),), note),)

    def occurrences(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels[..., 0][labels[..., 0] >= 0].long(), minlength=classes).tolist()

    def at_once(self, shape: tuple[int, ...]) -> int:
        return max(1, min(64, 2**20 // (shape[-2] * shape[-1])))


def box_terms(role: str = "student", *, weight: Weight = 1.0) -> tuple[Term, Term]:
    """What a detector learns from labels alone: the class of every cell, and by `weight` the box of those that answer for one."""
    answers, labels, inputs = Tap(role), Field("labels"), Field("inputs")
    goal = labels.via(boxes.class_targets, answers, inputs)
    classes = Term(named("classes", role), cross_entropy, student=answers.via(boxes.class_logits), labels=goal)
    place = Term(
        named("boxes", role),
        smooth_l1,
        weight=weight,
        mask=labels.via(boxes.objects, answers, inputs),
        student=answers.via(boxes.box_numbers),
        teacher=labels.via(boxes.box_targets, answers, inputs),
    )
    return classes, place
