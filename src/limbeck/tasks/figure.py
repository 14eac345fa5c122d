"""A number that is said of a model's answers: what it is called, how it is computed, written and read.

A task has an ordered tuple of `Figure`s, the first of which is its score. Card, tables, pages, board and comparison are drawn
from what a card keeps of them (`FigureInfo`), so that whoever reads a card.json needs no task.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from math import inf, isfinite
from typing import TYPE_CHECKING, Any, Literal, TypeGuard

from torch import Tensor
from typing_extensions import TypedDict

from limbeck.tasks.predictions import Predictions

if TYPE_CHECKING:
    from limbeck.tasks.task import Task

Better = Literal["higher", "lower"]
FEW = 5  # samples of a class, below which a figure within it tells nothing


class FigureFacts(TypedDict, total=False):
    """`FigureInfo` in a file."""

    key: str
    title: str
    words: str
    better: Better
    form: str
    within: str
    sentence: str
    most: float
    spoken: str


@dataclass(frozen=True, eq=False)
class Judged:
    """What figures are computed of.

    Attributes:
        task: what was answered. predictions: a model's answers, and the labels.
        classes: the names of classes, in the order of their numbers; () where only the score is wanted.
        teacher: a teacher's answers to the same samples, or None.
        apart: what `Task.apart` gave for each sample beside that teacher, (n, ...), or None.
    """

    task: "Task"
    predictions: Predictions
    classes: tuple[str, ...] = ()
    teacher: Predictions | None = None
    apart: Tensor | None = None


@dataclass(frozen=True)
class FigureInfo:
    """A figure without its computation, as a card holds it.

    Attributes:
        key: its name in files. title: its name in tables. words: definition, a sentence, with the formula where that is short.
        better: which way. form: "percent" for shares, else a format of numbers such as ".3g".
        within: the title of the same within one class; "" where there is none.
        sentence: of the headline about a student, after "The student", with {} for the value.
        most: the largest value there can be, where that is known and the figure is no share.
        spoken: of a score, the key of the figure that sentences speak of in its place, "" for itself.
    """

    key: str = "score"
    title: str = "score"
    words: str = ""
    better: Better = "higher"
    form: str = "percent"
    within: str = ""
    sentence: str = ""
    most: float | None = None
    spoken: str = ""

    def plain(self) -> FigureFacts:
        """The same as a file holds it."""
        own: FigureFacts = {"key": self.key, "title": self.title, "words": self.words, "better": self.better}
        own |= {"form": self.form, "within": self.within, "sentence": self.sentence}
        own |= {} if self.most is None else {"most": self.most}
        return own | {"spoken": self.spoken} if self.spoken else own

    def inside(self, low: float, high: float) -> tuple[float, float]:
        """An interval of values cut to what there can be: shares lie in 0 .. 1, errors are at least 0.

        >>> FigureInfo().inside(-0.05, 0.4), FigureInfo(form=".3f", most=1.0).inside(-0.5, 1.5)
        ((0.0, 0.4), (-0.5, 1.0))
        """
        least = 0.0 if self.share or self.better == "lower" else -inf
        most = 1.0 if self.share else inf if self.most is None else self.most
        return min(max(low, least), most), max(min(high, most), least)

    @property
    def share(self) -> bool:
        """Whether it lies between 0 and 1 and is told in percent; differences are then in points (hundredths)."""
        return self.form == "percent"

    @property
    def scale(self) -> int:
        return 100 if self.share else 1

    @property
    def unit(self) -> str:
        """Behind a value that was multiplied by `scale`."""
        return " %" if self.share else ""

    @property
    def points(self) -> str:
        """Behind a difference that was multiplied by `scale`."""
        return " points" if self.share else ""

    @property
    def places(self) -> int:
        """Places behind the point of a value that was multiplied by `scale`, where small differences count."""
        return 2 if self.share else 3

    def text(self, value: object, digits: int = 1) -> str:
        """A value as words; a dash where it is unknown.

        >>> FigureInfo().text(0.9722), FigureInfo(form=".3f").text(-0.5), FigureInfo().text(None)
        ('97.2 %', '-0.500', '–')
        """
        if not known(value):
            return "–"
        return f"{100 * value:.{digits}f} %" if self.share else format(value, self.form)

    def bounds(self, interval: Sequence[float | None] | None) -> str:
        """An interval in brackets, in the value's unit; nothing where it is unknown.

        >>> FigureInfo().bounds((0.9511, 0.98)), FigureInfo(form=".2f").bounds((0.1, 0.25)), FigureInfo().bounds(None)
        (' [95.1, 98.0]', ' [0.10, 0.25]', '')
        """
        if not interval or not all(map(known, interval)):
            return ""
        low, high = (f"{100 * v:.1f}" if self.share else format(v, self.form) for v in interval if v is not None)
        return f" [{low}, {high}]"

    def tick(self, value: float) -> str:
        """A value at an axis."""
        return f"{100 * value:.3g}%" if self.share else f"{value:.3g}"

    def gap(self, difference: float) -> str:
        """The size of a difference of two values.

        >>> FigureInfo().gap(-0.012), FigureInfo().gap(0.0004), FigureInfo(form=".3f").gap(0.0123)
        ('1.2 points', '0.04 points', '0.0123')
        """
        size = abs(self.scale * difference)
        if not self.share:
            return f"{size:.3g}"
        return f"{size:.1f} points" if size >= 0.05 else f"{size:.2f} points"


@dataclass(frozen=True)
class PerClass:
    """A figure within each class: its title, and the values in the classes' order, None for a class without samples."""

    title: str
    value: Callable[[Judged], list[float | None]]


@dataclass(frozen=True)
class Figure:
    """One figure of a task; see `FigureInfo` for what is not described here.

    value: computes it; None where it has no meaning. per_class: the same within each class. interval: its 95 %, where it is
    not the score, whose the task has.
    """

    key: str
    title: str
    value: Callable[[Judged], float | None]
    words: str
    better: Better = "higher"
    form: str = "percent"
    per_class: PerClass | None = None
    sentence: str = ""
    interval: Callable[[Judged], tuple[float, float] | None] | None = None
    most: float | None = None
    spoken: str = ""

    def facts(self) -> FigureInfo:
        """What a card keeps of it."""
        own = {f.name: getattr(self, f.name) for f in fields(FigureInfo) if f.name != "within"}
        return FigureInfo(**own, within=self.per_class.title if self.per_class else "")


@dataclass(frozen=True)
class Worst:
    """The class that is answered worst, and the score within it."""

    name: str
    value: float


@dataclass(frozen=True)
class Measured:
    """What a model's answers to a partition came to; nothing in it is NaN.

    Attributes:
        samples: how many were asked. score: the first of `figures`, by their keys.
        interval: of the score, 95 %, over the samples; intervals: of other figures that have one.
        worst, per_class: of the score within classes.
    """

    samples: int
    score: float | None
    interval: tuple[float, float] | None
    figures: dict[str, float | None]
    worst: Worst | None
    per_class: list[float | None] | None
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)

    def entry(self) -> dict[str, object]:
        """The same as a card holds it."""
        return asdict(self)


def marked(name: str, samples: int) -> str:
    """A class's name, with a mark where figures within it tell nothing.

    >>> marked("cat", 4), marked("dog", 5), marked("owl", 0)
    ('cat, too few to tell', 'dog', 'owl')
    """
    return f"{name}, too few to tell" if 0 < samples < FEW else name


def known(value: object) -> TypeGuard[float]:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def finite(value: float | None) -> float | None:
    """The value, or None where it is no finite number."""
    return value if value is not None and isfinite(value) else None


def figures_in(facts: Mapping[str, object]) -> tuple[FigureInfo, ...]:
    """The figures that a card or a board names, the score first; a nameless score where it names none."""
    task = facts.get("task")
    found = task.get("figures") if isinstance(task, Mapping) else None
    return tuple(map(_facts_of, found)) if isinstance(found, Sequence) and found else (FigureInfo(),)


def _facts_of(each: Mapping[str, Any]) -> FigureInfo:
    """A figure as a file has it; what another version added is passed over."""
    named = {f.name for f in fields(FigureInfo)}
    return FigureInfo(**{key: value for key, value in each.items() if key in named})


def score_in(facts: Mapping[str, object]) -> FigureInfo:
    """The score that a card or a board names."""
    return figures_in(facts)[0]


def spoken_in(facts: Mapping[str, object]) -> FigureInfo:
    """The figure that sentences speak of: the score, or what it names in its place."""
    score, *others = figures_in(facts)
    return next((figure for figure in others if figure.key == score.spoken), score)
