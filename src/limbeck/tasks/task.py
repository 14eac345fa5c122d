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

from limbeck.errors import UserError
from limbeck.metrics import classification as figures

if TYPE_CHECKING:
    from limbeck.tasks.predictions import Predictions


@dataclass(frozen=True)
class Task(ABC):
    """What is to be answered. Subclasses are final; scores are between 0 and 1, and higher is better.

    name: as files spell it. metric: the score's name. share: the name of the score within one class.
    alone: the catalogue's method that trains on the labels alone. located: labels move with the pixels of a view.
    searched: models answer with what they have written by themselves, which no other answer or label stands beside.
    """

    name: ClassVar[str]
    metric: ClassVar[str]
    share: ClassVar[str]
    alone: ClassVar[str] = "alone"
    searched: ClassVar[bool] = False
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
