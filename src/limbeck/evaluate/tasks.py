"""What is to be answered about a sample: how labels and answers look, what is scored, and how sure the score is.

`Data.task` holds one; a run asks it wherever one label for each sample would otherwise be taken for granted.
Letters: n samples, C classes, h and w pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch
from torch import Tensor
from torch.nn import functional as F

from limbeck.errors import UserError
from limbeck.evaluate import figures, masks

if TYPE_CHECKING:
    from limbeck.evaluate.answers import Predictions


@dataclass(frozen=True)
class Task(ABC):
    """What is to be answered. Subclasses are final; scores are between 0 and 1, and higher is better.

    name: as files spell it. metric: the score's name. share: the name of the score within one class.
    alone: the catalogue's method that trains on the labels alone. located: labels move with the pixels of a view.
    """

    name: ClassVar[str]
    metric: ClassVar[str]
    share: ClassVar[str]
    alone: ClassVar[str] = "alone"
    located: ClassVar[bool] = False

    @abstractmethod
    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        """Refuse labels that do not go with the inputs (n, ...), or with so many samples."""

    @abstractmethod
    def check_answer(self, who: str, said: Tensor, labels: Tensor, data: str, classes: int) -> None:
        """Refuse a role's logits that do not fit a batch's labels."""

    @abstractmethod
    def keep(self, said: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """What is kept, for every sample, of a batch's logits and labels."""

    @abstractmethod
    def score(self, predictions: "Predictions") -> float:
        """The task's score."""

    @abstractmethod
    def agreement(self, first: "Predictions", second: "Predictions") -> float:
        """The share of answers that two models give alike."""

    @abstractmethod
    def figures(self, predictions: "Predictions", classes: Sequence[str], teacher: "Predictions | None") -> dict[str, Any]:
        """A card's figures after `samples` and `metric`; see `summary`."""

    @abstractmethod
    def near_chance(self, predictions: "Predictions", classes: int) -> bool:
        """Whether a model answers little better than without looking."""

    @abstractmethod
    def record(self, seen: Mapping[str, "Predictions"], inputs: Tensor | None) -> dict[str, Tensor]:
        """What a run keeps of the answers of its models, for the page; inputs: the judged part's pictures, if any."""

    def finder(self, classes: int, shape: tuple[int, ...]) -> Callable[[Any], Tensor] | None:
        """How the logits are found in a role's output, or None for the plain way."""
        return None

    def strata(self, labels: Tensor) -> Tensor:
        """(n,) int64 in 0 ..: the groups of which every split has its share."""
        return torch.zeros(len(labels), dtype=torch.int64)

    def per_class(self, labels: Tensor, classes: int) -> list[int] | None:
        """How often each class occurs, or None."""
        return None

    def at_once(self, shape: tuple[int, ...]) -> int:
        """Samples that are asked at once when a partition is judged."""
        return 256


@final
@dataclass(frozen=True)
class Classify(Task):
    """One class for each sample: labels (n,), logits (n, C). Scored by accuracy, with Wilson's interval."""

    name = "classify"
    metric = "accuracy"
    share = "accuracy"

    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        count = inputs if isinstance(inputs, int) else len(inputs)
        if labels.shape != (count,):
            raise UserError(f"{who} has {count} inputs but labels of shape {tuple(labels.shape)}; give one label for each")
        in_range(who, labels, classes)

    def check_answer(self, who: str, said: Tensor, labels: Tensor, data: str, classes: int) -> None:
        if said.dim() < 2 or said.shape[1] != classes:
            raise wrong_classes(who, said, data, classes)

    def keep(self, said: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if said.dim() != 2:
            raise UserError(
                f"a model must answer ({len(labels)}, classes) logits, got {tuple(said.shape)}; say where its logits are"
            )
        labels = labels.reshape(-1).long()
        figures.check(said, labels)
        return said, labels

    def score(self, predictions: "Predictions") -> float:
        return figures.accuracy(predictions.logits, predictions.labels)

    def agreement(self, first: "Predictions", second: "Predictions") -> float:
        return figures.agreement(first.logits, second.logits)

    def figures(self, predictions: "Predictions", classes: Sequence[str], teacher: "Predictions | None") -> dict[str, Any]:
        logits, labels = predictions.logits, predictions.labels
        if logits.shape[1] != len(classes):
            raise UserError(f"the model answers {logits.shape[1]} classes, but {len(classes)} are named; name as many")
        each = figures.per_class(logits, labels)
        worst, value = figures.worst_class(logits, labels)
        correct = int((logits.argmax(1) == labels).sum())
        return {
            "accuracy": correct / len(predictions),
            "interval": list(figures.interval(correct, len(predictions))),
            "worst_class": {"class": str(classes[worst]), "accuracy": value},
            "per_class": [None if v != v else v for v in each.tolist()],
            "calibration_error": figures.calibration_error(logits, labels),
            "agreement_with_teacher": None if teacher is None else figures.agreement(logits, teacher.logits),
            "mean_kl_from_teacher": None if teacher is None else figures.mean_kl(logits, teacher.logits),
        }

    def near_chance(self, predictions: "Predictions", classes: int) -> bool:
        correct = int((predictions.logits.argmax(1) == predictions.labels).sum())
        return figures.near_chance(correct, len(predictions), classes)

    def record(self, seen: Mapping[str, "Predictions"], inputs: Tensor | None) -> dict[str, Tensor]:
        first = seen["student"]
        tensors = {"labels": first.labels, "index": first.index} | {who: p.logits.float() for who, p in seen.items()}
        if inputs is not None:
            other = seen.get("teacher", first).logits.softmax(1)
            apart = (first.logits.softmax(1) - other).abs().sum(1).argsort(descending=True)[:24].sort().values
            tensors |= {"samples": inputs[apart].contiguous(), "samples_index": apart}
        return tensors

    def strata(self, labels: Tensor) -> Tensor:
        return labels

    def per_class(self, labels: Tensor, classes: int) -> list[int] | None:
        return torch.bincount(labels, minlength=classes).tolist()


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


def in_range(who: str, labels: Tensor, classes: int) -> None:
    """Refuse class numbers outside 0 .. classes - 1."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise UserError(
            f"{who} has labels out of range: expected 0 to {classes - 1} for {classes} classes, got {wrong}; "
            "number the classes from 0, or name all of them"
        )


def wrong_classes(who: str, said: Tensor, data: str, classes: int) -> UserError:
    """What to say of a role that answers in another shape than the data needs."""
    return UserError(
        f"role {who!r} answers with shape {tuple(said.shape)}, but {data} has {classes} classes; "
        "teacher and student need as many outputs as there are classes"
    )


CLASSIFY = Classify()
"""The task of data that says no other."""
