"""What a task shows of its answers on a run's page, in neutral pieces: whoever draws them knows pieces, not tasks.

Letters: C classes, c channels, h and w pixels, m boxes, k samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

Cell = str | tuple[str, float | None]  # words, or words and the value to sort by


@dataclass(frozen=True, eq=False)
class Matrix:
    """What a model takes for what: counts (C, C), rows the labels, columns the answers. things: what is counted."""

    who: str
    counts: Tensor
    things: str = "samples"


@dataclass(frozen=True)
class Mark:
    """A point of a curve or a scatter: where, what to say of it, its share of all samples, whether a line passes."""

    x: float
    y: float
    tip: str
    share: float = 0.0
    joined: bool = True


@dataclass(frozen=True)
class Curve:
    """Lines of several models over common axes, on which a dotted diagonal is perfect.

    words: the chart in a sentence. lines: by model. axes: titles of x and y. percent: shares from 0 to 1, else numbers.
    """

    title: str
    words: str
    lines: Mapping[str, tuple[Mark, ...]]
    axes: tuple[str, str]
    percent: bool = True


@dataclass(frozen=True)
class Scatter:
    """One model's answers against labels, a mark for each sample shown; on the dotted diagonal it is right."""

    who: str
    title: str
    words: str
    marks: tuple[Mark, ...]
    axes: tuple[str, str] = ("label", "answer")


@dataclass(frozen=True)
class Values:
    """A table of numbers: the first cell of a row is its name."""

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Texts:
    """A table of texts."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class SamplePrediction:
    """A model's prediction for one sample, its confidence or error, and whether it is right."""

    who: str
    text: str
    note: str = ""
    right: bool | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """A sample with its label and the predictions of models; picture: (c, h, w), or None."""

    number: int
    label: str
    predictions: tuple[SamplePrediction, ...]
    picture: Tensor | None = None


@dataclass(frozen=True)
class SampleList:
    """A list of samples, the most telling first."""

    samples: tuple[Sample, ...]


@dataclass(frozen=True, eq=False)
class Marked:
    """One model's prediction for a picture: a mask (h, w) of class numbers, or boxes (m, 5) with -100 for none."""

    who: str
    words: str
    mask: Tensor | None = None
    boxes: Tensor | None = None


@dataclass(frozen=True, eq=False)
class MarkedPicture:
    """A picture (c, h, w) with the marks of the label and of every model."""

    number: int
    picture: Tensor
    marks: tuple[Marked, ...]


@dataclass(frozen=True)
class Gallery:
    """Pictures with marks, a colour for each class."""

    rows: tuple[MarkedPicture, ...]
    classes: tuple[str, ...]


Piece = Matrix | Curve | Scatter | Values | Texts | SampleList | Gallery


@dataclass(frozen=True)
class Section:
    """A section of the page: where (id), its title, a note above, and its pieces in order."""

    id: str
    title: str
    pieces: tuple[Piece, ...] = ()
    note: str = ""
