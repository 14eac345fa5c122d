"""What was measured here, from the table that `python -m bench.survey --aggregate` writes."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from limbeck.metrics.score import distillation_score, relative_drop, relative_gain, size_cut

TABLE = Path(__file__).parent / "measured.json"


@cache
def measured() -> dict[int, dict[str, Any]]:
    """Row -> its means and 95 % intervals over the seeds; empty before anything was measured."""
    return {int(k): v for k, v in json.loads(TABLE.read_text(encoding="utf-8")).items()} if TABLE.exists() else {}


def relations(found: dict[str, Any], alpha: float) -> dict[str, float | None]:
    """The survey's percentages and score of a measured row; None where a model or a size is missing."""
    teacher, baseline, student = (found[who] and found[who]["mean"] for who in ("teacher", "baseline", "student"))
    sizes = found["teacher_size"], found["student_size"]
    known = all(sizes)
    score = distillation_score(sizes[1], sizes[0], student, teacher, alpha) if known and teacher else None
    return {
        "drop": relative_drop(student, teacher) if teacher else None,
        "gain": relative_gain(student, baseline) if baseline else None,
        "cut": size_cut(sizes[1], sizes[0]) if known else None,
        "score": score,
    }


def verdict(found: dict[str, Any]) -> str:
    """In words: whether the method beats its baseline over the seeds, as far as they can tell."""
    gap = found["gap"]
    if gap is None:
        return "no baseline"
    if gap["low"] is None:
        return f"{gap['mean']:+.2f} points, one seed"
    if gap["low"] > 0:
        return f"better by {gap['mean']:.2f} points"
    if gap["high"] < 0:
        return f"worse by {-gap['mean']:.2f} points"
    return f"{gap['mean']:+.2f} points, {found['seeds']} seeds settle nothing"
