"""The test samples on which teacher and student differ most, as pictures or as text."""

from typing import Any

from torch import Tensor

from limbeck.report.pictures import boxed, masked, png
from limbeck.report.read import RunView
from limbeck.report.texts import written
from limbeck.report.words import percent

SHOWN = 12


def differing(view: RunView) -> dict[str, Any]:
    """What the template needs: a note, and `samples` (with a picture) or none.

    Samples are ordered by the total variation between the two models' probabilities, half their absolute difference.
    """
    if view.masks:
        return masked(view)
    if view.boxes:
        return boxed(view)
    if view.strings:
        return written(view)
    other = next((who for who in ("teacher", "baseline") if who in view.logits), "")
    if not other or "student" not in view.logits or view.labels is None:
        return {"note": "Predictions of two models would be needed and were not kept.", "samples": []}
    first, second = view.logits[other].softmax(1), view.logits["student"].softmax(1)
    apart = (first - second).abs().sum(1) / 2
    rows, pictures = _chosen(view, apart)
    unlike = float((first.argmax(1) != second.argmax(1)).double().mean())
    note = f"{other.capitalize()} and student give different answers for {percent(unlike)} of the samples. "
    note += "Shown: those whose probabilities are furthest apart" + (
        ", among the samples that the run kept." if pictures else "."
    )
    names = view.class_names()
    return {"note": note, "samples": [_sample(view, row, pictures.get(row), other, first, second, names) for row in rows]}


def _chosen(view: RunView, apart: Tensor) -> tuple[list[int], dict[int, Tensor]]:
    """The rows to show, furthest apart first, and their pictures, if the run kept any."""
    if view.samples is None or view.samples_index is None:
        return apart.argsort(descending=True)[:SHOWN].tolist(), {}
    kept = {int(row): picture for row, picture in zip(view.samples_index, view.samples) if 0 <= int(row) < len(apart)}
    rows = sorted(kept, key=lambda row: -float(apart[row]))[:SHOWN]
    return rows, kept


def _sample(
    view: RunView, row: int, picture: Tensor | None, other: str, a: Tensor, b: Tensor, names: list[str]
) -> dict[str, Any]:
    assert view.labels is not None and view.index is not None
    label = int(view.labels[row])
    says = [
        {
            "who": who,
            "answer": names[int(p[row].argmax())],
            "share": percent(float(p[row].max()), 0),
            "right": int(p[row].argmax()) == label,
        }
        for who, p in ((other, a), ("student", b))
    ]
    number, heard = int(view.index[row]), "; ".join(f"{s['who']} says {s['answer']}, {s['share']}" for s in says)
    alternative = f"Sample {number}, label {names[label]}: {heard}."
    return {
        "number": number,
        "label": names[label],
        "says": says,
        "alt": alternative,
        "picture": png(picture) if picture is not None else "",
    }
