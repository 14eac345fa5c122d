"""`explain.json`: what an explanation found, as types. Versioned. who: teacher, student and maybe baseline."""

from pathlib import Path
from typing import Literal, NotRequired, final

from typing_extensions import TypedDict

from limbeck.cards.schema import MethodFacts
from limbeck.files import read_json, write_json
from limbeck.metrics.significance import PairedFacts

FILE, VERSION = "explain.json", 1
Read = Literal["input", "label"]  # what is read back from a layer


class Alike(TypedDict):
    """Of some samples: the accuracy by who, and the share of the teacher's predictions that a learner gives too."""

    samples: int
    accuracy: dict[str, float]
    agreement: dict[str, float]


_Class = TypedDict("_Class", {"class": str})


class ClassAlike(_Class, Alike):
    """The same within a class."""


class SureAlike(Alike):
    """The same where the teacher's largest probability lies between two bounds."""

    low: float
    high: float


class GroupAlike(Alike):
    """The same of a group in words."""

    group: str


class Took(TypedDict):
    """What passed on, see `took_over`; the last four where there is a baseline."""

    teacher_errors: int
    same_errors: dict[str, float | None]
    baseline_alone_wrong: NotRequired[int]
    rescued: NotRequired[float | None]
    gained: NotRequired[int]
    lost: NotRequired[int]


class Agreement(TypedDict):
    """Where the models agree and differ."""

    samples: int
    overall: Alike
    per_class: list[ClassAlike]
    confidence: list[SureAlike]
    groups: list[GroupAlike]
    took: Took


class Corrupted(Alike):
    """Accuracy and agreement under a corruption; the first is without one, named "clean"."""

    name: str
    strength: str


class Similarity(TypedDict):
    """CKA of a learner's layers (rows) with the teacher's (columns); floor: the most that mixed-up samples reach."""

    rows: list[str]
    columns: list[str]
    cka: list[list[float | None]]
    floor: float | None


class LayerKeeps(TypedDict):
    """What is read back from a layer: R2 of the input, accuracy of the label; None where that has no meaning."""

    layer: str
    input: float | None
    label: float | None


class Inside(TypedDict):
    """What the layers hold; absent where no layers can be read, or inputs are not read back."""

    samples: int
    similarity: NotRequired[dict[str, Similarity]]
    keeps: NotRequired[dict[str, list[LayerKeeps]]]
    input_itself: NotRequired[LayerKeeps]


class Arm(TypedDict):
    """Students trained on one kind of labels: accuracy by seed, its mean and 95 % interval."""

    accuracy: list[float]
    mean: float
    low: float | None
    high: float | None


@final
class Skipped(TypedDict):
    """Why the gain was not taken apart."""

    skipped: str


class Parts(TypedDict):
    """Differences in points of accuracy: each part of the gain, the whole, and the check against shuffled labels."""

    parts: dict[str, PairedFacts]
    gain: PairedFacts
    against_shuffled: PairedFacts


@final
class TakenApart(Parts):
    """The gain, taken apart; amount: of smoothing, samples: of the test."""

    temperature: float
    alpha: float
    amount: float
    seeds: list[int]
    samples: int
    arms: dict[str, Arm]


Gain = Skipped | TakenApart


class ExplainedData(TypedDict):
    """The data of the run."""

    name: str
    classes: list[str]
    kind: str


class Explanation(TypedDict):
    """What explain.json holds; verdict: sentences, the most important first."""

    version: int
    limbeck: str
    method: MethodFacts
    data: ExplainedData
    agreement: Agreement
    corruptions: list[Corrupted]
    inside: Inside
    gain: Gain
    verdict: list[str]


def read_explanation(folder: Path) -> Explanation:
    """What a run's folder holds of an explanation. Raises `UserError` if it is missing, damaged, or of another version."""
    return read_json(folder / FILE, Explanation, VERSION)


def write_explanation(folder: Path, found: Explanation) -> None:
    write_json(folder / FILE, found)
