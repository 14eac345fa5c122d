"""Boxes around objects: mean average precision at an overlap of one half.

Letters: n samples, m boxes, C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.losses import cross_entropy, smooth_l1
from limbeck.metrics import precision
from limbeck.plan import Field, Labels, Soft, Tap, Term, Weight
from limbeck.plan.labels import named
from limbeck.tasks.task import Task, in_range, wrong_classes
from limbeck.transforms import boxes

if TYPE_CHECKING:
    from limbeck.tasks.predictions import Predictions

SURE = 0.5  # the probability from which a box counts in pictures and agreement


@final
@dataclass(frozen=True)
class Detect(Task):
    """Boxes with a class: labels (n, m, 5), answers (n, h, w, C + 5), both as in `limbeck.boxes`.

    Scored by mean average precision at 0.5 (mAP@0.5) over the classes that occur; its interval is a bootstrap over images.

    size: height and width of the images, which answers do not tell.
    """

    size: tuple[int, int] = (0, 0)
    name = "detect"
    metric = "mAP@0.5"
    share = "AP@0.5"
    located = True

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.dim() != 3 or labels.shape[0] != count or labels.shape[2] != 5:
            raise UserError(
                f"{who} has {count} images but boxes of shape {tuple(labels.shape)}; give (images, boxes, 5): "
                "class, x0, y0, x1, y1"
            )
        real = labels[labels[..., 0] != -100]
        if not len(real):
            raise UserError(f"{who} has no box at all; give images with objects")
        in_range(who, real[:, 0], classes)
        if not (real[:, 3:] > real[:, 1:3]).all():
            raise UserError(f"{who} has a box without area: {real[(real[:, 3:] <= real[:, 1:3]).any(1)][0].tolist()}; remove it")

    def label_terms(self, labels: Labels) -> tuple[Term, ...]:
        """The class of every cell, and the box of those that answer for an object."""
        if labels.chosen is not None:
            raise UserError("a detector learns from all cells of all pictures, so its labels cannot be masked by sample")
        classes, place = box_terms(labels.role, weight=labels.weight)
        return classes.but(weight=labels.weight), place

    def soft_terms(self, soft: Soft) -> tuple[Term, ...]:
        raise UserError(
            "a detector's cells have no one class to soften; take detection, fine_grained, mgd, pkd or another method for boxes"
        )

    def check_answer(self, who: str, said: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if said.dim() != 4 or said.shape[0] != len(labels) or said.shape[3] != classes + 5:
            raise wrong_classes(who, said, data, classes)

    def keep(self, said: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if said.dim() != 4:
            raise UserError(f"a detector must answer (n, cells, cells, classes + 5), got {tuple(said.shape)}; say where they are")
        return boxes.detections(said, self.size), labels

    def score(self, predictions: "Predictions") -> float:
        return float(precision.average_precision(self._matched(predictions)).nanmean())

    def agreement(self, first: "Predictions", second: "Predictions") -> float:
        """Of the boxes that either is sure of, the share that the other has too: class, and an overlap of a half."""
        same = total = 0
        for a, b in ((first, second), (second, first)):
            sure = [p.answers[..., 1] >= SURE for p in (a, b)]
            labels = torch.where(sure[1][..., None], b.answers, -100.0)[..., [0, 2, 3, 4, 5]]
            found = torch.where(sure[0][..., None], a.answers, -100.0)
            matched = precision.match(found, labels, 1 + max(0, *(int(p.answers[..., 0].max()) for p in (a, b))))
            same, total = same + int(matched.right.sum()), total + len(matched.right)
        return same / total if total else 1.0

    def figures(self, predictions: "Predictions", classes: Sequence[str], teacher: "Predictions | None") -> dict[str, Any]:
        matched = self._matched(predictions, len(classes))
        each = precision.average_precision(matched)[0]
        worst = int(torch.where(each.isnan(), 2.0, each).argmin())
        return {
            "accuracy": float(each.nanmean()),
            "interval": list(precision.interval(matched)),
            "worst_class": {"class": str(classes[worst]), "accuracy": float(each[worst])},
            "per_class": [None if v != v else v for v in each.tolist()],
            "calibration_error": None,
            "agreement_with_teacher": None if teacher is None else self.agreement(predictions, teacher),
            "mean_kl_from_teacher": None,
        }

    def near_chance(self, predictions: "Predictions", classes: int) -> bool:
        """A detector that never looked finds next to nothing."""
        return self.score(predictions) < 0.05

    def record(self, seen: Mapping[str, "Predictions"], inputs: Tensor | None) -> dict[str, Tensor]:
        """The pictures on which teacher and student differ most in their number of sure boxes, with all boxes."""
        first = seen["student"]
        tensors = {"index": first.index, "boxes": first.labels[:0]}
        if inputs is not None:
            other = seen.get("teacher", first)
            counts = [(p.answers[..., 1] >= SURE).sum(1) for p in (first, other)]
            at = (counts[0] - counts[1]).abs().argsort(descending=True, stable=True)[:12]
            tensors |= {"samples": inputs[at].contiguous(), "samples_index": at, "boxes": first.labels[at].contiguous()}
            for who, p in seen.items():
                sure = torch.where((p.answers[at, :, 1] >= SURE)[..., None], p.answers[at], -100.0)
                tensors[f"boxes_{who}"] = sure[..., [0, 2, 3, 4, 5]].contiguous()
        return tensors

    def per_class(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels[..., 0][labels[..., 0] >= 0].long(), minlength=classes).tolist()

    def at_once(self, shape: tuple[int, ...]) -> int:
        return max(1, min(64, 2**20 // (shape[-2] * shape[-1])))

    def _matched(self, predictions: "Predictions", classes: int = 0) -> precision.Matched:
        most = max(predictions.answers[..., 0].max(), predictions.labels[..., 0].max())
        return precision.match(predictions.answers, predictions.labels, classes or 1 + int(most.clamp_min(0)))


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
