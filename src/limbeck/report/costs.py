"""The score against what a model costs: teacher, baselines, student, and the files that were exported of it."""

from dataclasses import dataclass
from html import escape
from typing import Literal

from limbeck.cards.schema import median_of, onnx_of
from limbeck.cards.words import bytes_words, number
from limbeck.deploy.measured import Measurement
from limbeck.report.charts import Axis, Chart, log_span, score_span, span
from limbeck.report.read import RunView
from limbeck.tasks.figure import known, score_in

Cost = Literal["size", "latency"]
TITLES = {"size": "size in bytes", "latency": "latency in ms"}


@dataclass(frozen=True)
class CostPoint:
    """A model or a file: its role (`who`, which decides colour and mark), its name, its cost, its score with bounds."""

    who: str
    name: str
    cost: float
    score: float
    bounds: tuple[float, float] | None = None
    hollow: bool = False


def cost_points(view: RunView, what: Cost) -> list[CostPoint]:
    """The models whose cost is known, then the exported files: in size the int8 ones, for a float file holds the same numbers
    as the student; in latency all that were timed."""
    found = []
    for who, model in view.models.items():
        cost, reached = model.get("bytes") if what == "size" else median_of(model), model.get("score")
        if known(cost) and known(reached) and cost > 0:
            bounds = model.get("interval")
            found.append(
                CostPoint(who, who.replace("-", ", "), float(cost), float(reached), (bounds[0], bounds[1]) if bounds else None)
            )
    return found + (_files(view, what) if found else [])


def _files(view: RunView, what: Cost) -> list[CostPoint]:
    timed = {row["file"]: row for row in view.measured if "file" in row}
    found = []
    for row in view.exports:
        cost = row.get("bytes") if what == "size" else _milliseconds(timed.get(row["file"]))
        part = row.get("test") or row.get("validation")
        reached, eight = part["score"] if part else None, row["precision"] == "int8"
        if "error" in row or not known(cost) or not known(reached) or (what == "size" and not eight):
            continue
        role, name = ("int8", f"int8, {row['format']}") if eight else ("student", f"student, {row['format']}")
        found.append(CostPoint(role, name, float(cost), float(reached), hollow=not eight))
    onnx, student = onnx_of(view.card), view.models.get("student", {})
    fast, reached = median_of(onnx), student.get("score", onnx.get("score"))
    if what == "latency" and known(fast) and known(reached) and fast > 0 and "student, onnx" not in [p.name for p in found]:
        found.append(CostPoint("student", "student, onnx", fast, float(reached), hollow=True))
    return found


def _milliseconds(row: Measurement | None) -> float | None:
    times = (row or {}).get("latency_ms", {}).get("1")
    return times["median"] if times else None


def cost_chart(view: RunView, what: Cost) -> str:
    """The chart, or "" where no cost is known; the teacher's score, and chance where it is near, are lines."""
    points, score = cost_points(view, what), score_in(view.card)
    if not points:
        return ""
    words = bytes_words if what == "size" else number
    unit = "" if what == "size" else " ms"
    said = "; ".join(f"{p.name} {words(p.cost)}{unit}, {score.text(p.score)}" for p in points)
    chart = Chart(f"Scatter chart: {score.title} against {TITLES[what]}: {said}.")
    costs = [p.cost for p in points]
    log = max(costs) > 8 * min(costs)
    x = chart.x_axis(*(log_span(costs) if log else span(costs, margin=0.2, floor=0)), log=log)
    y = chart.y_axis(*score_span(score, [v for p in points for v in (p.score, *(p.bounds or ()))]))
    title = TITLES[what].removesuffix(" in bytes") + (" (logarithmic)" if log else "")
    chart.frame(x, y, title, f"test {score.title}", words, score.tick)
    levels(chart, view, y)
    for p in points:
        if p.bounds:
            low, high = (y(v) for v in p.bounds)
            chart.parts.append(f'<path class="line thin by {escape(p.who)}" d="M{x(p.cost):.1f} {low:.1f}V{high:.1f}"/>')
        within = f" [{score.text(p.bounds[0])}, {score.text(p.bounds[1])}]" if p.bounds else ""
        tip = f"{p.name}\n{score.text(p.score)}{within}\n{words(p.cost)}{unit}"
        chart.mark(p.who, x(p.cost), y(p.score), tip, hollow=p.hollow)
    return chart.svg()


def cost_keys(view: RunView, what: Cost) -> list[dict[str, str]]:
    """The keys of the chart: a mark for each point."""
    return [{"name": p.name, "css": f"{p.who}{' hollow' if p.hollow else ''}", "dash": ""} for p in cost_points(view, what)]


def levels(chart: Chart, view: RunView, y: Axis) -> None:
    """Lines for the teacher's score and for chance, where they lie within the axis."""
    score = score_in(view.card)
    teacher, luck = view.models.get("teacher", {}).get("score"), chance(view)
    for value, words, css in (
        (teacher, f"teacher {score.text(teacher)}", "teacher"),
        (luck, f"chance {score.text(luck)}", "chance"),
    ):
        if known(value) and y.low <= value <= y.high:
            chart.level(y(value), words, css)


def chance(view: RunView) -> float | None:
    """The score on the judged samples of an answer that does not look at them, where the task knows one."""
    if view.task is None or view.kept is None or not view.kept.predictions:
        return None
    return view.task.chance(next(iter(view.kept.predictions.values())))


def chance_words(view: RunView) -> str:
    """What chance would reach, as a sentence."""
    found, score = chance(view), score_in(view.card)
    return f" Chance reaches {score.text(found)}." if known(found) else ""
