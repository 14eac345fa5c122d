"""What was measured here, from the table that `python -m bench.survey --aggregate` writes."""

import json
from functools import cache
from pathlib import Path
from typing import NotRequired, TypedDict

from limbeck.metrics.score import distillation_score, relative_drop, relative_gain, size_cut

TABLE = Path(__file__).parent / "measured.json"


class Spread(TypedDict):
    """A mean over seeds and its 95 % interval; no interval of one seed."""

    mean: float
    low: float | None
    high: float | None


class SurveyResult(TypedDict):
    """A row of the survey as it was measured here."""

    method: str
    arguments: dict[str, object] | None
    data: str
    budget: str
    metric: str
    networks: str
    note: str | None
    seeds: int
    teacher_size: int | None
    student_size: int | None
    teacher: Spread | None
    baseline: Spread | None
    student: Spread
    gap: Spread | None
    others: NotRequired[dict[str, Spread]]
    cause: NotRequired[str]


class Relations(TypedDict):
    """The survey's percentages and score; None where a model or a size is missing."""

    drop: float | None
    gain: float | None
    cut: float | None
    score: float | None


@cache
def measured() -> dict[int, SurveyResult]:
    """Row -> its means and 95 % intervals over the seeds; empty before anything was measured."""
    return {int(k): v for k, v in json.loads(TABLE.read_text(encoding="utf-8")).items()} if TABLE.exists() else {}


def relations(found: SurveyResult, alpha: float) -> Relations:
    """The survey's percentages and score of a measured row; None where a model or a size is missing."""
    teacher, baseline = (spread and spread["mean"] for spread in (found["teacher"], found["baseline"]))
    large, small, student = found["teacher_size"], found["student_size"], found["student"]["mean"]
    score = distillation_score(small, large, student, teacher, alpha) if large and small and teacher else None
    return {
        "drop": relative_drop(student, teacher) if teacher else None,
        "gain": relative_gain(student, baseline) if baseline else None,
        "cut": size_cut(small, large) if large and small else None,
        "score": score,
    }


def verdict(found: SurveyResult) -> str:
    """In words: whether the method beats its baseline over the seeds, as far as they can tell."""
    gap = found["gap"]
    if gap is None:
        return "no baseline"
    if gap["low"] is None or gap["high"] is None:
        return f"{gap['mean']:+.2f} points, one seed"
    if gap["low"] > 0:
        return f"better by {gap['mean']:.2f} points"
    if gap["high"] < 0:
        return f"worse by {-gap['mean']:.2f} points"
    return f"{gap['mean']:+.2f} points, {found['seeds']} seeds settle nothing"
