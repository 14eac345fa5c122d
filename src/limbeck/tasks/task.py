"""What is to be answered about a sample: how labels and answers look, how they teach, what is scored, kept and shown.

`Data.task` holds one; a run asks it wherever one label for each sample would otherwise be taken for granted.
Letters: n samples, C classes, h and w pixels.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import ClassVar, final

import torch
from torch import Tensor
from typing_extensions import TypedDict

from limbeck.errors import UserError
from limbeck.losses import traits_of
from limbeck.plan import Labels, Method, Soft, Term
from limbeck.plan.taps import functions_of
from limbeck.tasks.figure import Figure, FigureFacts, Judged, Measured, Worst, finite
from limbeck.tasks.keeping import Kept
from limbeck.tasks.predictions import Predictions, same_samples
from limbeck.tasks.section import Section
from limbeck.transforms.facts import facts_of

OF_CLASSES = ("hard labels", "soft labels", "relations of classes")


class TaskFacts(TypedDict):
    """What a card says of its task."""

    name: str
    item: str
    settings: dict[str, object]
    figures: list[FigureFacts]


@dataclass(frozen=True)
class Task(ABC):
    """What is to be answered. A subclass is a file of its own, registered by its name (`limbeck.tasks.register`).

    name: as files spell it. figures: what is said of a model's answers; the first is the score, of which more is better.
    item: what one of the things answered is called: a class, a label, a target. fewest: of these that data must have. counted:
    what `occurrences` counts.
    located: labels move with the pixels of a view. searched: models answer with what they have written by themselves, which
    no other answer or label stands beside. blends: labels of several samples may be mixed (mixup). whole: a label is whole
    numbers. unknown: what stands in the place of a label that is not known. instead: where answers are no classes, which
    methods work all the same. amiss: what is usually wrong with a teacher that answers at chance level.
    """

    name: ClassVar[str]
    figures: ClassVar[tuple[Figure, ...]]
    item: ClassVar[str] = "class"
    fewest: ClassVar[int] = 2
    counted: ClassVar[str] = "samples"
    located: ClassVar[bool] = False
    searched: ClassVar[bool] = False
    blends: ClassVar[bool] = False
    whole: ClassVar[bool] = True
    unknown: ClassVar[float] = -100
    instead: ClassVar[str] = ""
    method: ClassVar[str] = "kd"
    headless: ClassVar[bool] = False
    amiss: ClassVar[str] = "its preprocessing (mean, std) or its label order differs from this data"

    # ---------------------------------------------------------------- labels and answers

    @abstractmethod
    def check_labels(self, who: str, labels: Tensor, inputs: Tensor | int, classes: int) -> None:
        """Refuse labels that do not go with the inputs (n, ...), or with so many samples."""

    @abstractmethod
    def check_output(self, who: str, outputs: Tensor, labels: Tensor, data: str, classes: int) -> None:
        """Refuse a role's logits that do not fit a batch's labels."""

    @abstractmethod
    def keep(self, outputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """What is kept, for every sample, of a batch's logits and labels."""

    def apart(self, outputs: Tensor, teacher: Tensor, labels: Tensor) -> Tensor | None:
        """(n, ...) how far a batch's logits are from a teacher's, sample by sample, where `keep` does not keep enough of both to
        say; None where it does."""
        return None

    @abstractmethod
    def gives(self, classes: Sequence[str]) -> str:
        """What a model's answer is, in words that go on a model card: "one logit for each of 10 classes"."""

    @classmethod
    def takes(cls, labels: Tensor) -> bool:
        """Whether labels (n,) or (n, k) that came without a task are of this one."""
        return False

    def read(self, where: str, columns: Mapping[str, Sequence[str]]) -> tuple[Tensor, tuple[str, ...]]:
        """Labels (n, ...) and the names of the classes, from the cells of a table's label columns.

        Raises `UserError` where these cannot be such labels.
        """
        raise UserError(f"{where}: labels of the task {self.name!r} cannot be read from a table; use classify, numbers or tags")

    def width(self, labels: Tensor) -> int:
        """How many classes labels speak of, where nobody named them."""
        return int(labels.max()) + 1

    def outputs(self, classes: int) -> int:
        """How many numbers a model gives for each thing that it answers."""
        return classes

    def prepared(self, labels: Tensor) -> Tensor:
        """Labels as they came, in the type and shape that the task has them in."""
        return labels

    def learned(self, labels: Tensor) -> "Task":
        """The task with what it has to know of the training labels."""
        return self

    def finder(self, classes: int, shape: tuple[int, ...]) -> Callable[[object], Tensor] | None:
        """How the logits are found in a role's output, or None for the plain way."""
        return None

    def strata(self, labels: Tensor) -> Tensor:
        """(n,) int64 in 0 ..: the groups of which every split has its share."""
        return torch.zeros(len(labels), dtype=torch.int64)

    def occurrences(self, labels: Tensor, classes: int) -> list[int] | None:
        """How often each class occurs, or None."""
        return None

    def at_once(self, shape: tuple[int, ...]) -> int:
        """Samples that are asked at once when a partition is judged."""
        return 256

    def settings(self) -> dict[str, object]:
        """What `task_of` needs to make this task again, ready for JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    # ---------------------------------------------------------------- how they teach

    def label_terms(self, labels: Labels) -> tuple[Term, ...]:
        """What a role learns from the labels alone: what stands in the place of a method's `Labels`."""
        return (plain(labels),)

    def soft_terms(self, soft: Soft) -> tuple[Term, ...]:
        """What a learner learns from a mentor's softened answers: what stands in the place of a method's `Soft`.

        Raises `UserError` where answers cannot be softened.
        """
        return (plain(soft),)

    def alone(self, role: str) -> Method | None:
        """How a role learns from labels where it needs a piece for it that is not kept; None for its own `label_terms`."""
        return None

    def met(self, answers: Sequence[Predictions]) -> "Task":
        """The task with what it has to know of a teacher's answers to the parts that models are measured on."""
        return self

    def remembered(self, index: Tensor) -> Predictions | None:
        """The teacher's answers to samples by number, where the task has met them all; else None."""
        return None

    def adapted(self, term: Term, parts: Collection[str]) -> Term:
        """A term that is the method's own, as it reads this task's answers and labels; parts: the method's learned pieces."""
        return term

    # ---------------------------------------------------------------- figures

    @abstractmethod
    def agreement(self, first: Predictions, second: Predictions) -> float:
        """The share of answers that two models give alike."""

    @abstractmethod
    def near_chance(self, predictions: Predictions, classes: int) -> bool:
        """Whether a model answers little better than without looking."""

    def chance(self, predictions: Predictions) -> float | None:
        """The score on these samples of an answer that does not look at them; None where none is agreed upon."""
        return None

    @abstractmethod
    def interval(self, judged: Judged) -> tuple[float, float] | None:
        """The score's interval, 95 %, over the samples."""

    def paired(self, first: Predictions, second: Predictions) -> float | None:
        """The chance of so large a difference between two models on the same samples if both were equally good; None: unknown."""
        return None

    def gauge(self, predictions: Predictions) -> tuple[Tensor, float] | None:
        """How far a training has come, finer than the score: a value (n,) for each sample, more is better, and its mean where
        nothing is known yet; None where the task has no such measure."""
        return None

    def worst(self, judged: Judged, each: Sequence[float | None] | None) -> Worst | None:
        """The class that is answered worst (the first, if several are), from the score within each; None where there is one."""
        there = [(value, place) for place, value in enumerate(each or ()) if value is not None]
        if not there or len(each or ()) < 2:
            return None
        value, place = min(there)
        return Worst(str(judged.classes[place]), value)

    @final
    def score(self, predictions: Predictions) -> float:
        """The task's score; NaN where it has no meaning."""
        value = self.figures[0].value(Judged(self, predictions))
        return float("nan") if value is None else float(value)

    @final
    def measure(
        self,
        predictions: Predictions,
        classes: Sequence[str],
        teacher: Predictions | None = None,
        apart: Tensor | None = None,
    ) -> Measured:
        """Every figure of a model's answers, with the score's interval.

        teacher, apart: see `Judged`.

        Raises `UserError` if teacher and model answered different samples.
        """
        same_samples(predictions, teacher)
        judged = Judged(self, predictions, tuple(classes), teacher, apart)
        values = {figure.key: finite(figure.value(judged)) for figure in self.figures}
        first = self.figures[0]
        each = None if first.per_class is None else [finite(value) for value in first.per_class.value(judged)]
        return Measured(
            samples=len(predictions),
            score=values[first.key],
            interval=_inside(first, self.interval(judged)),
            figures=values,
            worst=self.worst(judged, each),
            per_class=each,
            intervals={key: found for key, found in self._intervals(judged) if found is not None},
        )

    def _intervals(self, judged: Judged) -> Iterator[tuple[str, tuple[float, float] | None]]:
        return ((f.key, _inside(f, f.interval(judged))) for f in self.figures if f.interval is not None)

    @final
    def facts(self) -> TaskFacts:
        """What a card says of the task: enough to draw it without the task."""
        figures = [figure.facts().plain() for figure in self.figures]
        return {"name": self.name, "item": self.item, "settings": self.settings(), "figures": figures}

    # ---------------------------------------------------------------- what is kept and shown

    @abstractmethod
    def record(self, predictions: Mapping[str, Predictions], inputs: Tensor | None) -> dict[str, Tensor]:
        """What a run keeps of the answers of its models; inputs: the judged part's pictures, if it has any."""

    @abstractmethod
    def recall(self, tensors: Mapping[str, Tensor]) -> Kept:
        """What `record` kept, checked. Raises `ValueError` or `KeyError` where it does not fit together."""

    @abstractmethod
    def sections(self, kept: Kept, names: Sequence[str]) -> tuple[Section, ...]:
        """What a run's page shows of the answers; names: of the classes."""


def _inside(figure: Figure, interval: tuple[float, float] | None) -> tuple[float, float] | None:
    """An interval within what the figure can be; None where it is unknown."""
    return figure.facts().inside(*interval) if interval is not None and all(map(isfinite, interval)) else None


def _agrees(judged: Judged) -> float | None:
    return None if judged.teacher is None else judged.task.agreement(judged.predictions, judged.teacher)


AGREES = Figure(
    "agreement_with_teacher",
    "agrees with teacher",
    _agrees,
    "Share of predictions equal to the teacher's, right or wrong.",
)
"""A figure that every task can have."""


def plain(term: Term) -> Term:
    """A `Labels` or `Soft` term as the loss that it stands for where one class is answered."""
    return Term(term.name, term.by, weight=term.weight, mask=term.mask, **term.inputs)


def reads_classes(term: Term) -> bool:
    """Whether a term reads probabilities of classes: by its loss, or by what a source goes through."""
    through = (facts_of(fn).knowledge for source in term.sources for fn in functions_of(source))
    traits = traits_of(term.by)
    return (traits is not None and traits.over == "classes") or any(kind in OF_CLASSES for kind in through)


def is_number(cell: str) -> bool:
    """Whether a table's cell is a number."""
    try:
        return isfinite(float(cell))
    except ValueError:
        return False


def in_range(who: str, labels: Tensor, classes: int) -> None:
    """Refuse class numbers outside 0 .. classes - 1."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise UserError(
            f"{who} has labels out of range: expected 0 to {classes - 1} for {classes} classes, got {wrong}; "
            "number the classes from 0, or name all of them"
        )


def wrong_classes(who: str, outputs: Tensor, data: str, classes: int) -> UserError:
    """What to say of a role that answers in another shape than the data needs."""
    return UserError(
        f"role {who!r} has outputs of shape {tuple(outputs.shape)}, but {data} has {classes} classes; "
        "teacher and student need as many outputs as there are classes"
    )
