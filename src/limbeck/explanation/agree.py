"""Where student, baseline and teacher agree and differ: by class, by the teacher's confidence, in the worst groups.

Letters: n samples, C classes. Agreement is the share of equal answers, right or wrong.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from limbeck.explanation.schema import Agreement, Alike, GroupAlike, SureAlike, Took
from limbeck.tasks.predictions import Predictions

EDGES = (0.0, 0.5, 0.7, 0.9, 0.99, 1.0)  # of the teacher's confidence
SMALLEST = 10  # samples in a group that is named


def agreement(seen: Mapping[str, Predictions], classes: Sequence[str]) -> Agreement:
    """All figures of agreement, ready for JSON; who: teacher, student and maybe baseline."""
    labels = seen["teacher"].labels
    answers = {who: p.logits.argmax(1) for who, p in seen.items()}
    sure = seen["teacher"].logits.double().softmax(1).max(1).values
    every = labels == labels
    return {
        "samples": len(labels),
        "overall": figures(answers, labels, every),
        "per_class": [
            {"class": str(name), **figures(answers, labels, labels == c)}
            for c, name in enumerate(classes)
            if bool((labels == c).any())
        ],
        "confidence": confidence_bins(answers, labels, sure),
        "groups": worst_groups(answers, labels, sure, classes),
        "took": took_over(answers, labels),
    }


def figures(answers: Mapping[str, Tensor], labels: Tensor, rows: Tensor) -> Alike:
    """Among the samples `rows` (n,) bool: how many, everyone's accuracy, and agreement with the teacher."""
    count = int(rows.sum())
    share = {who: _mean(said == labels, rows) for who, said in answers.items()}
    same = {who: _mean(said == answers["teacher"], rows) for who, said in answers.items() if who != "teacher"}
    return {"samples": count, "accuracy": share, "agreement": same}


def _mean(hits: Tensor, rows: Tensor) -> float:
    return float(hits[rows].double().mean()) if bool(rows.any()) else float("nan")


def confidence_bins(answers: Mapping[str, Tensor], labels: Tensor, sure: Tensor) -> list[SureAlike]:
    """The figures where the teacher's largest probability lies between two of `EDGES`; empty bins are left out."""
    found: list[SureAlike] = []
    for low, high in zip(EDGES, EDGES[1:], strict=False):
        rows = (sure >= low) & ((sure < high) if high < 1 else (sure <= 1.0 + 1e-9))
        if bool(rows.any()):
            found.append({"low": low, "high": high, **figures(answers, labels, rows)})
    return found


def worst_groups(
    answers: Mapping[str, Tensor], labels: Tensor, sure: Tensor, classes: Sequence[str], most: int = 6
) -> list[GroupAlike]:
    """The groups (class, and whether the teacher is surer than its median) in which the student is right least often."""
    middle = sure.median()
    groups: list[GroupAlike] = [
        {"group": f"{name}, teacher {word}", **figures(answers, labels, (labels == c) & side)}
        for c, name in enumerate(classes)
        for word, side in (("sure", sure >= middle), ("less sure", sure < middle))
    ]
    return sorted((g for g in groups if g["samples"] >= SMALLEST), key=lambda g: g["accuracy"]["student"])[:most]


def took_over(answers: Mapping[str, Tensor], labels: Tensor) -> Took:
    """What passed on: of what only the baseline gets wrong, how much the student gets right; how often it shares errors.

    rescued: share of the samples that the teacher gets right and the baseline does not, on which the student is right.
    same_errors: share of the teacher's wrong answers that the learner gives as well, the very same ones.
    """
    teacher = answers["teacher"]
    right = {who: said == labels for who, said in answers.items()}
    wrong = ~right["teacher"]
    found: Took = {
        "teacher_errors": int(wrong.sum()),
        "same_errors": {who: _known(_mean(said == teacher, wrong)) for who, said in answers.items() if who != "teacher"},
    }
    if "baseline" in answers:
        only, lost = right["teacher"] & ~right["baseline"], right["baseline"] & ~right["student"]
        found |= {
            "baseline_alone_wrong": int(only.sum()),
            "rescued": _known(_mean(right["student"], only)),
            "gained": int((right["student"] & ~right["baseline"]).sum()),
            "lost": int(lost.sum()),
        }
    return found


def _known(value: float) -> float | None:
    return None if value != value else value
