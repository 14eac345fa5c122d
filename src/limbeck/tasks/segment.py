"""A class for every pixel: mean IoU, its interval, and where the logits of a network are.

Letters: n samples, C classes, h and w pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor
from torch.nn import functional as F

from limbeck.errors import UserError
from limbeck.metrics import iou as masks
from limbeck.tasks.task import Task, in_range, wrong_classes

if TYPE_CHECKING:
    from limbeck.tasks.predictions import Predictions


@final
@dataclass(frozen=True)
class Segment(Task):
    """One class for each pixel: labels (n, h, w), -100 where a pixel is not counted; logits (n, h, w, C).

    Scored by mean IoU over the classes that occur, counts taken over all images together; its interval is a
    bootstrap over images (1,000 draws with a fixed seed), for the pixels of one image are no independent samples.

    pieces: samples `k * pieces` to `k * pieces + pieces - 1` are tiles of one image and are drawn together.
    """

    pieces: int = 1
    name = "segment"
    metric = "mean IoU"
    share = "IoU"
    located = True

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        pixels = labels.shape[1:] if isinstance(inputs, int) else inputs.shape[2:]
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.dim() != 3 or labels.shape != (count, *pixels):
            raise UserError(
                f"{who} has masks of shape {tuple(labels.shape)} for {count} images of {tuple(pixels)} pixels; "
                "give one class number for each pixel"
            )
        counted = labels[labels != -100]
        if not len(counted):
            raise UserError(f"{who}: no pixel of any mask is counted (all are -100); give masks with classes")
        in_range(who, counted, classes)

    def check_answer(self, who: str, said: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if said.dim() != 4 or said.shape != (*labels.shape, classes):
            raise wrong_classes(who, said, data, classes)

    def keep(self, said: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if said.shape[:-1] != labels.shape:
            raise UserError(
                f"a model must answer logits {(*labels.shape, 'classes')} to masks {tuple(labels.shape)}, got "
                f"{tuple(said.shape)}; say where its logits are"
            )
        small = torch.uint8 if said.shape[-1] <= 256 else torch.int32
        return said.argmax(-1).to(small), labels.to(torch.int16 if said.shape[-1] < 2**15 else torch.int64)

    def score(self, predictions: "Predictions") -> float:
        return masks.mean_iou(masks.overlaps(predictions.answers, predictions.labels, self._classes(predictions)).sum(0))

    def agreement(self, first: "Predictions", second: "Predictions") -> float:
        counted = first.labels != -100
        return float((first.answers == second.answers)[counted].double().mean())

    def figures(self, predictions: "Predictions", classes: Sequence[str], teacher: "Predictions | None") -> dict[str, Any]:
        counts = masks.overlaps(predictions.answers, predictions.labels, len(classes))
        each = masks.iou(counts.sum(0))
        worst = int(torch.where(each.isnan(), 2.0, each).argmin())
        counted = predictions.labels != -100
        return {
            "accuracy": masks.mean_iou(counts.sum(0)),
            "interval": list(masks.interval(self._by_image(counts, predictions.index))),
            "worst_class": {"class": str(classes[worst]), "accuracy": float(each[worst])},
            "per_class": [None if v != v else v for v in each.tolist()],
            "pixel_accuracy": float((predictions.answers == predictions.labels)[counted].double().mean()),
            "calibration_error": None,
            "agreement_with_teacher": None if teacher is None else self.agreement(predictions, teacher),
            "mean_kl_from_teacher": None,
        }

    def near_chance(self, predictions: "Predictions", classes: int) -> bool:
        """Less than a tenth of the way from answering the most frequent class everywhere to perfect."""
        labels = predictions.labels[predictions.labels != -100].long()
        shares = torch.bincount(labels, minlength=classes).double() / len(labels)
        chance = float(shares.max()) / int((shares > 0).sum())
        return chance < 1 and (self.score(predictions) - chance) / (1 - chance) < 0.1

    def record(self, seen: Mapping[str, "Predictions"], inputs: Tensor | None) -> dict[str, Tensor]:
        """Confusion counts, and pictures, masks and answers of the 12 images on which teacher and student differ most."""
        first = seen["student"]
        classes = max(self._classes(p) for p in seen.values())
        tensors = {"index": first.index}
        tensors |= {f"confusion_{who}": masks.confusion(p.answers, p.labels, classes) for who, p in seen.items()}
        if inputs is not None:
            other, counted = seen.get("teacher", first), first.labels != -100
            unlike = ((first.answers != other.answers) & counted).flatten(1).sum(1)
            at = unlike.argsort(descending=True, stable=True)[:12]
            shown = first.labels[at].clone()
            tensors |= {"samples": inputs[at].contiguous(), "samples_index": at, "masks": shown.contiguous()}
            tensors |= {f"masks_{who}": p.answers[at].contiguous() for who, p in seen.items()}
        return tensors

    def finder(self, classes: int, shape: tuple[int, ...]) -> Callable[[Any], Tensor] | None:
        return Pixels(classes, (shape[-2], shape[-1]))

    def per_class(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels[labels != -100].long(), minlength=classes).tolist()

    def at_once(self, shape: tuple[int, ...]) -> int:
        return max(1, min(256, 2**18 // (shape[-2] * shape[-1])))

    def _classes(self, predictions: "Predictions") -> int:
        return 1 + max(int(predictions.answers.max()), int(predictions.labels.max()))

    def _by_image(self, counts: Tensor, index: Tensor) -> Tensor:
        image = index // self.pieces
        _, place = image.unique(return_inverse=True)
        return torch.zeros(int(place.max()) + 1, *counts.shape[1:], dtype=counts.dtype).index_add(0, place, counts)


@dataclass(frozen=True)
class Pixels:
    """Finds the logits of a segmentation network and puts them as (n, h, w, C), enlarged bilinearly to `size`.

    They are the output itself, `.logits`, or the key "logits" or "out" (torchvision), with the classes at the
    second or at the last place.

    >>> Pixels(3, (4, 4))(torch.zeros(2, 3, 1, 1)).shape
    torch.Size([2, 4, 4, 3])
    """

    classes: int
    size: tuple[int, int]

    def __call__(self, output: Any) -> Tensor:
        found = output
        if isinstance(output, Mapping):
            found = next((output[key] for key in ("logits", "out") if key in output), None)
        elif not isinstance(output, Tensor):
            found = getattr(output, "logits", None)
        if not isinstance(found, Tensor) or found.dim() != 4:
            shown = tuple(found.shape) if isinstance(found, Tensor) else type(output).__name__
            raise UserError(
                f"a segmentation network must return logits (n, classes, h, w), got {shown}; say where they are with "
                "Adapter(logits=...)"
            )
        if found.shape[1] == self.classes and (found.shape[3] != self.classes or found.shape[1:3] != self.size):
            if tuple(found.shape[2:]) != self.size:
                found = F.interpolate(found, self.size, mode="bilinear", align_corners=False)
            return found.permute(0, 2, 3, 1)
        return found
