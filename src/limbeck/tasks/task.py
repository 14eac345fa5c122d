"""What is to be answered about a sample: how labels and answers look, what is scored, and how sure the score is.

`Data.task` holds one; a run asks it wherever one label for each sample would otherwise be taken for granted.
Letters: n samples, C classes, h and w pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from limbeck.errors import UserError
from limbeck.plan import Labels, Soft, Term

if TYPE_CHECKING:
    from limbeck.tasks.predictions import Predictions


@dataclass(frozen=True)
class Task(ABC):
    """What is to be answered. Subclasses are final; scores are between 0 and 1, and higher is better.

    name: as files spell it. metric: the score's name. share: the name of the score within one class.
    located: labels move with the pixels of a view.
    searched: models answer with what they have written by themselves, which no other answer or label stands beside.
    """

    name: ClassVar[str]
    metric: ClassVar[str]
    share: ClassVar[str]
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

    def label_terms(self, labels: Labels) -> tuple[Term, ...]:
        """What a role learns from the labels alone: what stands in the place of a method's `Labels`."""
        return (plain(labels),)

    def soft_terms(self, soft: Soft) -> tuple[Term, ...]:
        """What a learner learns from a mentor's softened answers: what stands in the place of a method's `Soft`.

        Raises `UserError` where answers cannot be softened.
        """
        return (plain(soft),)

    def settings(self) -> dict[str, Any]:
        """What `task_of` needs to make this task again, ready for JSON."""
        return asdict(self)

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


def plain(term: Term) -> Term:
    """A `Labels` or `Soft` term as the loss that it stands for where one class is answered."""
    return Term(term.name, term.by, weight=term.weight, mask=term.mask, **term.inputs)


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
