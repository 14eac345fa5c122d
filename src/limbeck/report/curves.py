"""How training went: the score on validation, and the student's loss terms, with the stages marked."""

from collections.abc import Callable

from limbeck.cards.words import count, number
from limbeck.report.charts import DASH, Axis, Chart, log_span, score_span, span
from limbeck.report.costs import chance
from limbeck.report.read import RunView
from limbeck.tasks.figure import known, score_in
from limbeck.tasks.keeping import WHO

MOST = 160  # points of a line
TERMS = 6


def stages(view: RunView, who: str = "student") -> list[tuple[str, float, float]]:
    """The stages of a model's training as (name, first step, last step), in order of appearance."""
    found: dict[str, list[float]] = {}
    for record in view.metrics:
        if record.who == who:
            found.setdefault(record.stage, []).append(record.step)
    return [(name, min(steps), max(steps)) for name, steps in found.items()]


def score_points(view: RunView) -> dict[str, list[tuple[float, float]]]:
    """who -> (step, validation score) in order."""
    found: dict[str, list[tuple[float, float]]] = {}
    for record in view.metrics:
        if "score" in record.validation:
            found.setdefault(record.who, []).append((record.step, float(record.validation["score"])))
    return {who: found[who] for who in (*WHO, *found) if who in found}


def score_curves(view: RunView) -> str:
    """The chart of the validation score, or "" where none was recorded."""
    series = score_points(view)
    if not series:
        return ""
    score = score_in(view.card)
    last = ", ".join(f"{who} {score.text(points[-1][1])}" for who, points in series.items())
    chart = Chart(f"Line chart: {score.title} on validation against training steps. At the end: {last}.")
    chart.top = 30
    x = chart.x_axis(0, max(step for points in series.values() for step, _ in points) or 1)
    y = chart.y_axis(*score_span(score, (v for points in series.values() for _, v in points), margin=0.06))
    _mark_stages(chart, view, x)
    chart.frame(x, y, "training step", f"validation {score.title}", count, score.tick)
    _levels(chart, view, series, y)
    for who, points in series.items():
        drawn = [(x(step), y(value)) for step, value in thinned(points)]
        chart.line(drawn, f"by {who}", DASH.get(who, ""))
        chart.mark(who, *drawn[-1], f"{who} at step {count(points[-1][0])}: {score.text(points[-1][1])}", 4)
    _hover(chart, x, series, score.text)
    return chart.svg()


def _levels(chart: Chart, view: RunView, series: dict[str, list[tuple[float, float]]], y: Axis) -> None:
    """Lines for a teacher that came trained, which has no curve, and for chance."""
    luck, score = chance(view), score_in(view.card)
    teacher = view.models.get("teacher", {}).get("score")
    if "teacher" not in series and known(teacher) and y.low <= teacher <= y.high:
        chart.level(y(teacher), f"teacher {score.text(teacher)} on test", "teacher")
    if known(luck) and y.low <= luck <= y.high:
        chart.level(y(luck), f"chance {score.text(luck)}", "chance")


def term_points(view: RunView) -> dict[str, list[tuple[float, float]]]:
    """The student's terms -> (step, value), the longest recorded first."""
    found: dict[str, list[tuple[float, float]]] = {}
    for record in view.metrics:
        if record.who == "student":
            for name, value in record.terms.items():
                found.setdefault(name, []).append((record.step, float(value)))
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def term_curves(view: RunView) -> str:
    """The chart of the student's loss terms, or "" where none was recorded."""
    every = term_points(view)
    series = dict(list(every.items())[:TERMS])
    if not series:
        return ""
    chart = Chart("Line chart: the student's loss terms against training steps: " + ", ".join(series) + ".")
    chart.top = 30
    x = chart.x_axis(0, max(step for points in series.values() for step, _ in points) or 1)
    thin = {name: thinned(points) for name, points in series.items()}
    values = [v for points in thin.values() for _, v in points]
    log = min(values) > 0 and max(values) > 30 * min(values)
    y = chart.y_axis(*(log_span(values) if log else span(values)), log=log)
    _mark_stages(chart, view, x)
    chart.frame(x, y, "training step", "loss term" + (" (logarithmic)" if log else ""), count)
    for place, points in enumerate(thin.values()):
        chart.line(
            [(x(step), y(value)) for step, value in points],
            f"by term-{place}",
            ("", "7 4", "2 3", "9 3 2 3", "4 2", "1 2")[place],
        )
    _hover(chart, x, thin, number)
    return chart.svg()


def thinned(points: list[tuple[float, float]], most: int = MOST) -> list[tuple[float, float]]:
    """At most `most` points: means over equal numbers of neighbours; the last one is kept as it is.

    >>> thinned([(0, 1.0), (1, 3.0), (2, 5.0), (3, 7.0)], 3)
    [(0.5, 2.0), (2.5, 6.0), (3, 7.0)]
    """
    if len(points) <= most:
        return points
    size = -(-len(points) // (most - 1))
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [(sum(s for s, _ in g) / len(g), sum(v for _, v in g) / len(g)) for g in groups] + [points[-1]]


def _mark_stages(chart: Chart, view: RunView, x: Axis) -> None:
    found = stages(view)
    floor = chart.height - chart.bottom
    for place, (name, _, last) in enumerate(found):
        start = found[place - 1][2] if place else 0.0  # a record closes an epoch, so the last one of a stage is its end
        left, right = x(start), x(last)
        if place:
            chart.parts.append(f'<path class="stage" d="M{left:.1f} {chart.top - 20}V{floor}"/>')
        room = int((right - left - 4) / 6.6)
        words = name if len(name) <= room else (str(place + 1) if room >= 1 else "")
        chart.text(left + 4, chart.top - 8, words, "tick")
        chart.zone(left, chart.top - 22, right - left, 20, f"stage {place + 1}: {name}, steps {count(start)} to {count(last)}")


def _hover(chart: Chart, x: Axis, series: dict[str, list[tuple[float, float]]], words: Callable[[float], str]) -> None:
    """Upright slices that show every line's value nearest to the pointer."""
    steps = sorted({step for points in series.values() for step, _ in points})
    steps = steps[:: -(-len(steps) // MOST)]
    edges = [chart.left, *((x(a) + x(b)) / 2 for a, b in zip(steps, steps[1:])), chart.width - chart.right]
    for step, left, right in zip(steps, edges, edges[1:]):
        lines = [f"step {count(step)}"]
        for name, points in series.items():
            at, value = min(points, key=lambda p: abs(p[0] - step))
            if points[0][0] <= step <= points[-1][0] or abs(x(at) - x(step)) < 8:
                lines.append(f"{name}: {words(value)}")
        chart.zone(left, chart.top, right - left, chart.height - chart.bottom - chart.top, "\n".join(lines))


def legend(names: list[str], css: str = "") -> list[dict[str, str]]:
    """What a template needs to draw the keys of a chart: name, class and dash of each line."""
    dashes = ("", "7 4", "2 3", "9 3 2 3", "4 2", "1 2")
    return [
        {
            "name": name,
            "css": f"by {css}{place}" if css else f"by {name}",
            "dash": dashes[place % 6] if css else DASH.get(name, ""),
        }
        for place, name in enumerate(names)
    ]
