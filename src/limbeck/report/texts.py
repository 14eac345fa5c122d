"""The test samples for which teacher and student write the most different strings."""

from typing import Any

from limbeck.metrics.strings import edits, lists
from limbeck.report.read import RunView
from limbeck.report.words import percent

SHOWN, COMPARED = 12, 500


def written(view: RunView) -> dict[str, Any]:
    """What the template needs: a note, and `texts`, a table of what the label says and what every model writes.

    Samples are ordered by the edits between teacher and student (or baseline and student), over the longer of the two.
    """
    names, who = view.class_names(), [name for name in ("teacher", "baseline", "student") if name in view.strings]
    said = {name: lists(strings[:COMPARED]) for name, strings in view.strings.items()}
    note = "Strings of two models would be needed and were not kept."
    rows = list(range(len(said["label"])))
    if len(who) > 1 and "student" in who:
        first, second = said[who[0]], said["student"]
        apart = [edits(a, b)[0] / max(len(a), len(b), 1) for a, b in zip(first, second, strict=True)]
        rows.sort(key=lambda row: -apart[row])
        unlike = sum(distance > 0 for distance in apart) / max(len(apart), 1)
        whole = len(view.strings["label"]) == len(apart)
        of = "the samples" if whole else f"the first {COMPARED} samples"
        note = f"{who[0].capitalize()} and student write something else for {percent(unlike)} of {of}. "
        note += "Shown: those that are furthest apart in edits, for their length."
    numbers = list(range(len(said["label"]))) if view.index is None else view.index.tolist()
    cells = [[numbers[row], *(_spelt(said[name][row], names) for name in ("label", *who))] for row in rows[:SHOWN]]
    return {"note": note, "texts": {"head": ["sample", "label", *who], "rows": cells}}


def _spelt(string: list[int], names: list[str]) -> str:
    return " ".join(names[k] if 0 <= k < len(names) else str(k) for k in string) or "(nothing)"
