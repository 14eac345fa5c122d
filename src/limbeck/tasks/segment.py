"""A class for every pixel: mean IoU, its interval, and where the logits of a network are.

Letters: n samples, C classes, h and w pixels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from limbeck.errors import UserError
from limbeck.metrics import iou as masks
from limbeck.tasks.differing import TITLE
from limbeck.tasks.figure import Figure, FigureInfo, Judged, PerClass
from limbeck.tasks.keeping import TWINS, Kept, need, pick
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Gallery, Marked, MarkedPicture, Matrix, Section
from limbeck.tasks.task import AGREES, Task, in_range, wrong_classes

SHOWN = 6
percent = FigureInfo().text


def _classes(predictions: Predictions) -> int:
    return 1 + max(int(predictions.answers.max()), int(predictions.labels.max()))


@lru_cache(maxsize=2)
def _overlaps(predictions: Predictions, classes: int) -> Tensor:
    return masks.overlaps(predictions.answers, predictions.labels, classes)


def _counts(judged: Judged) -> Tensor:
    return _overlaps(judged.predictions, len(judged.classes) or _classes(judged.predictions))


def _mean_iou(judged: Judged) -> float:
    return masks.mean_iou(_counts(judged).sum(0))


def _iou(judged: Judged) -> list[float | None]:
    return [None if value != value else value for value in masks.iou(_counts(judged).sum(0)).tolist()]


def _pixel_accuracy(judged: Judged) -> float:
    predictions = judged.predictions
    return float((predictions.answers == predictions.labels)[predictions.labels != -100].double().mean())


def _differing(kept: Kept, names: Sequence[str]) -> Section:
    """The images on which teacher and student differ in most pixels: input, label, and every model's answer beside them."""
    if kept.samples is None:
        return Section("differ", TITLE, (), "No pictures were kept.")
    rows = []
    first = next(iter(kept.predictions.values()))
    for k, number in enumerate(first.index.tolist()[:SHOWN]):
        label = first.labels[k]
        marks = [Marked("label", "label", mask=label)]
        for who, p in kept.predictions.items():
            counted = label >= 0
            right = float((p.answers[k] == label)[counted].double().mean()) if counted.any() else None
            marks.append(Marked(who, f"{who}, {percent(right)} of the pixels right", mask=p.answers[k]))
        rows.append(MarkedPicture(number, kept.samples[k], tuple(marks)))
    note = f"Test images on which the predictions of {kept.other or 'other models'} and student differ most"
    note += ": the input, the label, and each prediction. Black pixels are ignored."
    return Section("differ", TITLE, (Gallery(tuple(rows), tuple(names)),), note)


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
    counted = "pixels"
    located = True
    figures = (
        Figure(
            "mean_iou",
            "mean IoU",
            _mean_iou,
            "Mean over classes of intersection over union of label and prediction, counted over all images together.",
            per_class=PerClass("IoU", _iou),
        ),
        Figure("pixel_accuracy", "pixel accuracy", _pixel_accuracy, "Share of counted pixels that are right."),
        AGREES,
    )

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
            raise UserError(f"{who}: all pixels of all masks are ignored (-100); give masks with classes")
        in_range(who, counted, classes)

    def check_output(self, who: str, outputs: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if outputs.dim() != 4 or outputs.shape != (*labels.shape, classes):
            raise wrong_classes(who, outputs, data, classes)

    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if outputs.shape[:-1] != labels.shape:
            raise UserError(
                f"a model must return logits {(*labels.shape, 'classes')} for masks {tuple(labels.shape)}, got "
                f"{tuple(outputs.shape)}; give their place with Adapter(logits=...)"
            )
        small = torch.uint8 if outputs.shape[-1] <= 256 else torch.int32
        return outputs.argmax(-1).to(small), labels.to(torch.int16 if outputs.shape[-1] < 2**15 else torch.int64)

    def gives(self, classes: Sequence[str]) -> str:
        return f"one logit for each of {len(classes)} classes at every pixel"

    def agreement(self, first: Predictions, second: Predictions) -> float:
        counted = first.labels != -100
        return float((first.answers == second.answers)[counted].double().mean())

    def interval(self, judged: Judged) -> tuple[float, float]:
        return masks.interval(self._by_image(_counts(judged), judged.predictions.index))

    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        """Less than a tenth of the way from answering the most frequent class everywhere to perfect."""
        labels = predictions.labels[predictions.labels != -100].long()
        shares = torch.bincount(labels, minlength=classes).double() / len(labels)
        chance = float(shares.max()) / int((shares > 0).sum())
        return chance < 1 and (self.score(predictions) - chance) / (1 - chance) < 0.1

    def record(self, predictions: Mapping[str, Predictions], inputs: Tensor | None) -> dict[str, Tensor]:
        """Confusion counts, and pictures, masks and answers of the 12 images on which teacher and student differ most."""
        first = predictions["student"]
        classes = max(_classes(p) for p in predictions.values())
        tensors = {"index": first.index}
        tensors |= {f"confusion_{who}": masks.confusion(p.answers, p.labels, classes) for who, p in predictions.items()}
        if inputs is not None:
            other, counted = predictions.get("teacher", first), first.labels != -100
            unlike = ((first.answers != other.answers) & counted).flatten(1).sum(1)
            at = unlike.argsort(descending=True, stable=True)[:12]
            shown = first.labels[at].clone()
            tensors |= {"samples": inputs[at].contiguous(), "samples_index": at, "masks": shown.contiguous()}
            tensors |= {f"masks_{who}": p.answers[at].contiguous() for who, p in predictions.items()}
        return tensors

    def recall(self, tensors: Mapping[str, Tensor]) -> Kept:
        counts = {who: c.long() for who, c in pick(tensors, "confusion_").items()}
        need(all(c.dim() == 2 and c.shape == (len(c), len(c)) for c in counts.values()))
        need(len({len(c) for c in counts.values()}) < 2)
        samples, at = tensors.get("samples"), tensors.get("samples_index")
        if samples is None or at is None:
            return Kept(counts=counts)
        labels, index = tensors["masks"].long(), tensors["index"].long()[at]
        predicted = {who: m.long() for who, m in pick(tensors, "masks_").items()}
        need(samples.dim() == 4 and all(m.shape == (len(at), *samples.shape[2:]) for m in (labels, *predicted.values())))
        return Kept({who: Predictions(m, labels, index) for who, m in predicted.items()}, samples, torch.arange(len(at)), counts)

    def sections(self, kept: Kept, names: Sequence[str]) -> tuple[Section, ...]:
        taken = tuple(Matrix(who, counts, "pixels") for who, counts in kept.counts.items() if who not in TWINS)
        return Section("confusion", "Confusion matrix", taken), _differing(kept, names)

    def finder(self, classes: int, shape: tuple[int, ...]) -> Callable[[object], Tensor] | None:
        return Pixels(classes, (shape[-2], shape[-1]))

    def occurrences(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels[labels != -100].long(), minlength=classes).tolist()

    def at_once(self, shape: tuple[int, ...]) -> int:
        return max(1, min(256, 2**18 // (shape[-2] * shape[-1])))

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

    def __call__(self, output: object) -> Tensor:
        found = output
        if isinstance(output, Mapping):
            found = next((output[key] for key in ("logits", "out") if key in output), None)
        elif not isinstance(output, Tensor):
            found = getattr(output, "logits", None)
        if not isinstance(found, Tensor) or found.dim() != 4:
            shown = tuple(found.shape) if isinstance(found, Tensor) else type(output).__name__
            raise UserError(
                f"a segmentation network must return logits (n, classes, h, w), got {shown}; give their place with "
                "Adapter(logits=...)"
            )
        if found.shape[1] == self.classes and (found.shape[3] != self.classes or found.shape[1:3] != self.size):
            if tuple(found.shape[2:]) != self.size:
                found = F.interpolate(found, self.size, mode="bilinear", align_corners=False)
            return found.permute(0, 2, 3, 1)
        return found
