"""The figures of an embedding: how alike it is to a teacher's, and how well classes are read from it."""

from collections.abc import Callable
from functools import lru_cache, partial

from torch import Tensor

from limbeck.metrics import embedding as metrics
from limbeck.metrics.classification import interval
from limbeck.tasks.figure import Figure, Judged
from limbeck.tasks.predictions import Predictions

ALL = f"{metrics.AT_MOST:,} samples, evenly chosen, where there are more"
Asked = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From known embeddings (m, d), their classes (m,) and others (n, d) to the classes of these (n,)."""


def _goal(judged: Judged) -> Tensor | None:
    """The teacher's embeddings of the same samples; None where they are not known."""
    if judged.teacher is not None:
        return judged.teacher.answers
    met = judged.task.remembered(judged.predictions.index)
    return None if met is None else met.answers


def some(judged: Judged) -> tuple[Tensor, Tensor] | None:
    """A model's and the teacher's embeddings of evenly chosen samples; None where there are too few, or no teacher's."""
    goal, rows = _goal(judged), metrics.spread(len(judged.predictions))
    return None if goal is None or len(rows) < 3 else (judged.predictions.answers[rows], goal[rows])


def _k(judged: Judged) -> int:
    return int(getattr(judged.task, "neighbours", 10))


def _ranks(judged: Judged) -> float | None:
    pair = some(judged)
    return None if pair is None else metrics.rank_correlation(*pair)


def _neighbours(judged: Judged) -> float | None:
    pair = some(judged)
    return None if pair is None else metrics.neighbour_agreement(*pair, neighbours=_k(judged))


def _cka(judged: Judged) -> float | None:
    goal = _goal(judged)
    return None if goal is None else metrics.linear_cka(judged.predictions.answers, goal)


def _cosine(judged: Judged) -> float | None:
    goal, own = _goal(judged), judged.predictions.answers
    return None if goal is None or goal.shape != own.shape else metrics.mean_cosine(own, goal)


@lru_cache(maxsize=8)
def _right(predictions: Predictions, asked: Asked) -> tuple[int, int] | None:
    """How many of the judged samples with a class are answered rightly from the known ones, and how many there are."""
    known, rows = predictions.known, predictions.labels != -100
    if known is None or not rows.any() or len(known.labels.unique()) < 2:
        return None
    said = asked(known.answers, known.labels, predictions.answers[rows])
    return int((said == predictions.labels[rows]).sum()), int(rows.sum())


@lru_cache
def _voters(neighbours: int) -> Asked:
    return partial(metrics.neighbour_classes, neighbours=neighbours)


def _asked(judged: Judged, probe: bool) -> tuple[int, int] | None:
    return _right(judged.predictions, metrics.probe_classes if probe else _voters(_k(judged)))


def _share(judged: Judged, probe: bool) -> float | None:
    found = _asked(judged, probe)
    return None if found is None else found[0] / found[1]


def _share_interval(judged: Judged, probe: bool) -> tuple[float, float] | None:
    found = _asked(judged, probe)
    return None if found is None else interval(*found)


FIGURES = (
    Figure(
        "similarity_correlation",
        "rank correlation",
        _ranks,
        "Spearman's rank correlation of the cosines of all pairs of samples, the model's with the teacher's; "
        f"of {ALL}. It needs no labels; its interval is from 20 groups of samples.",
        form=".3f",
        most=1.0,
        sentence="orders pairs of samples by similarity as its teacher does to a rank correlation of {}",
    ),
    Figure(
        "neighbour_agreement",
        "same neighbours",
        _neighbours,
        f"Share of a sample's k nearest others by cosine that are among the teacher's k nearest, mean; of {ALL}.",
    ),
    Figure(
        "linear_cka",
        "CKA",
        _cka,
        "Linear centred kernel alignment with the teacher's embeddings: 1 if a rotation and a scaling make them equal.",
        form=".3f",
        most=1.0,
    ),
    Figure(
        "cosine_to_teacher",
        "cosine to teacher",
        _cosine,
        "Mean cosine of a sample's embedding and the teacher's; unknown where their widths differ.",
        form=".3f",
        most=1.0,
    ),
    Figure(
        "probe_accuracy",
        "linear probe",
        partial(_share, probe=True),
        "Accuracy of a logistic regression on the frozen embedding, fitted on the training samples with labels.",
        interval=partial(_share_interval, probe=True),
    ),
    Figure(
        "neighbours_accuracy",
        "k-nearest",
        partial(_share, probe=False),
        "Accuracy of a vote of the k nearest training samples with labels, each weighted by exp(cosine / 0.07).",
        interval=partial(_share_interval, probe=False),
    ),
)
