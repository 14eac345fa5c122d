"""How far a run is that has no card yet: the phase, what is left, the best so far against the baseline's curve."""

import tomllib

from limbeck.cards.words import count
from limbeck.report.curves import score_points
from limbeck.report.read import CurveRecord, RunView
from limbeck.tasks.figure import score_in


def status(view: RunView) -> str:
    """A sentence or two on a run in progress; "" once it has its card, or before its first record."""
    if view.models or not view.metrics:
        return ""
    last = view.metrics[-1]
    whole = epochs(view, last.who)
    part = f", {_share(last, whole)}" if whole else ""
    return f"In progress: the {last.who} trains, stage {last.stage}, step {count(last.step)}{part}.{_best(view, last)}"


def epochs(view: RunView, who: str) -> float | None:
    """The epochs that a role trains for, by the recipe; None where it does not tell."""
    try:
        recipe = tomllib.loads(view.recipe)
    except tomllib.TOMLDecodeError:
        return None
    own, train = recipe.get(who), recipe.get("train")
    for table in (own, train):
        found = table.get("epochs") if isinstance(table, dict) else None
        if isinstance(found, int | float) and not isinstance(found, bool) and found > 0:
            return float(found)
    return None


def _share(last: CurveRecord, whole: float) -> str:
    return f"epoch {last.epoch:.0f} of {whole:g}, {100 * min(1.0, last.epoch / whole):.0f} % of its training"


def _best(view: RunView, last: CurveRecord) -> str:
    """The best validation score so far, and the baseline's at the same step."""
    score, found = score_in(view.card), score_points(view)
    points = found.get(last.who)
    if not points:
        return ""
    sign = 1 if score.better == "higher" else -1
    step, best = max(points, key=lambda point: sign * point[1])
    words = f" Best on validation so far: {score.text(best)} at step {count(step)}"
    others = found.get("baseline", []) if last.who == "student" else []
    level = [point for point in others if point[0] <= last.step]
    if level:
        words += f"; the baseline had reached {score.text(max(sign * v for _, v in level) * sign)} by then"
    return words + "."
