"""The result in plain words, with what the test samples can and cannot tell."""

from typing import Any

from limbeck.metrics.classification import paired
from limbeck.report.read import RunView
from limbeck.report.words import count, known, metric_of, number, percent


def headline(view: RunView) -> list[str]:
    """Sentences that say what came out; none without a student in the card."""
    student = view.models.get("student")
    if not student or not known(student.get("accuracy")):
        return []
    teacher, baseline = view.models.get("teacher"), view.models.get("baseline")
    found = [_first(student, teacher, metric_of(view.card))]
    for other, name in ((teacher, "its teacher"), (baseline, "the same network trained without a teacher")):
        if other and known(other.get("accuracy")):
            found.append(_against(view, student, other, "teacher" if other is teacher else "baseline", name))
    if baseline or teacher:
        found.append("This is one seed: how much the result moves between seeds is not in these figures.")
    return found


def _first(student: dict[str, Any], teacher: dict[str, Any] | None, metric: str) -> str:
    right = f"The student gets {percent(student['accuracy'])} of the test samples right"
    if metric != "accuracy":
        right = f"The student reaches {percent(student['accuracy'])} {metric} on the test samples"
    mine, theirs = student.get("parameters"), (teacher or {}).get("parameters")
    if known(mine) and known(theirs) and mine and theirs:
        ratio = theirs / mine
        size = (
            f"{number(ratio)} times fewer"
            if ratio > 1.005
            else "as many"
            if ratio > 0.995
            else f"{number(1 / ratio)} times as many"
        )
        return f"{right} with {size} parameters than its teacher.".replace("as many parameters than", "as many parameters as")
    return f"{right} with {count(mine)} parameters." if known(mine) else right + "."


def _against(view: RunView, student: dict[str, Any], other: dict[str, Any], who: str, name: str) -> str:
    points = 100 * (student["accuracy"] - other["accuracy"])
    if abs(points) < 0.005:
        return f"That is level with {name}."
    way = "above" if points > 0 else "below"
    words = (
        f"That is {abs(points):.1f} points {way} {name}"
        if abs(points) >= 0.05
        else f"That is {abs(points):.2f} points {way} {name}"
    )
    if view.labels is None or who not in view.logits or "student" not in view.logits:
        return words + "."
    test = paired(view.logits["student"], view.logits[who], view.labels)
    n = count(len(view.labels))
    if test["p"] < 0.05:
        return f"{words}, more than chance among the {n} test samples explains (p = {number(test['p'], 2)})."
    return f"{words}, which may be chance: {n} test samples cannot tell the two apart (p = {test['p']:.2f})."
