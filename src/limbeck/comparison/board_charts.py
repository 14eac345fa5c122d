"""The charts of a comparison: seeds, learning curves, score against cost, score against alpha."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from limbeck.cards.schema import median_of
from limbeck.cards.words import count, number, seconds_words
from limbeck.comparison.board_columns import shown
from limbeck.comparison.board_read import BoardView
from limbeck.comparison.leaderboard import score_at, scored
from limbeck.comparison.schema import BoardRow, Mean, mean_of
from limbeck.report.charts import Axis, Chart, log_span, score_span, span
from limbeck.report.curves import score_points, thinned
from limbeck.report.figures import short
from limbeck.tasks.figure import FigureInfo, known, score_in

ROW = 34


def keys_of(view: BoardView, names: Sequence[str]) -> list[dict[str, str]]:
    """The keys of a chart's lines, in the order of the table."""
    return [{"name": name, "css": f"by {view.css(name)}", "dash": view.dash(name)} for name in names]


def done_rows(view: BoardView) -> list[BoardRow]:
    return [row for row in view.board["rows"] if row["seeds"]]


def scaled_span(score: FigureInfo, values: Sequence[float], margin: float = 0.1) -> tuple[float, float]:
    """`score_span` of scores that were multiplied by their scale."""
    low, high = score_span(score, [v / score.scale for v in values], margin=margin)
    return low * score.scale, high * score.scale


def seeds_chart(view: BoardView) -> str:
    """Every seed's score as a point, the mean as a bar, its 95 % interval as a line; best method first."""
    rows, score = done_rows(view), score_in(view.board)
    if not rows:
        return ""
    said = "; ".join(f"{r['name']} {shown(r['score']['mean'], score)[0]}" for r in rows)
    wide = min(20, max(len(r["name"]) for r in rows))
    chart = Chart(f"Strip chart: test {score.title} of every seed. Means: {said}.", left=18 + 7.2 * wide, top=8, width=460)
    chart.height = chart.top + ROW * len(rows) + chart.bottom
    values = [v for r in rows for v in r["scores"].values()]
    bounds = [v for r in rows for v in (r["score"]["low"], r["score"]["high"]) if v is not None]
    middle, room = span(values, margin=1.0), span([*values, *bounds])
    low, high = max(middle[0], room[0]), min(middle[1], room[1])
    x = chart.x_axis(*((max(0.0, low), min(100.0, high)) if score.share else (low, high)))
    floor = chart.height - chart.bottom
    for value in x.ticks(5):
        chart.parts.append(f'<path class="grid" d="M{x(value):.1f} {chart.top}V{floor}"/>')
        chart.text(x(value), floor + 16, f"{value:.6g}{score.unit.strip()}", "tick mid")
    chart.text((chart.left + chart.width) / 2, chart.height - 6, f"test {score.title}", "title mid")
    for place, row in enumerate(rows):
        _strip(chart, view, row, x, chart.top + ROW * (place + 0.5), wide)
    return chart.svg()


def _strip(chart: Chart, view: BoardView, row: BoardRow, x: Axis, y: float, wide: int) -> None:
    name, css, score = row["name"], view.css(row["name"]), score_in(view.board)
    chart.text(chart.left - 10, y + 4, name if len(name) <= wide else name[: wide - 1] + "…", "tick end")
    mean, low, high = mean_of(row), row["score"]["low"], row["score"]["high"]
    within = ""
    if low is not None and high is not None:
        ends = [x(min(max(v, x.low), x.high)) for v in (low, high)]
        chart.parts.append(f'<path class="line by {css}" d="M{ends[0]:.1f} {y:.1f}H{ends[1]:.1f}"/>')
        within = f"\n95 % interval {low:.{score.places}f} to {high:.{score.places}f}"
    chart.parts.append(f'<path class="line by {css}" stroke-width="3" d="M{x(mean):.1f} {y - 9:.1f}v18"/>')
    chart.zone(0, y - ROW / 2, chart.width, ROW, f"{name}\nmean {shown(mean, score)[0]}{within}")
    level: dict[float, int] = {}
    for seed, value in row["scores"].items():  # equal results stand above one another
        place = level[value] = level.get(value, -1) + 1
        chart.mark(css, x(value), y - 6 * place, f"{name}, seed {seed}\n{shown(value, score)[0]}", 3.6)


# ------------------------------------------------------------------------------------ learning curves


def mean_curves(view: BoardView) -> dict[str, list[tuple[float, float, float, float]]]:
    """Method -> (step, mean, lowest, highest) of the validation score over its seeds, at steps that most have."""
    found, scale = {}, score_in(view.board).scale
    for name in _ordered(view):
        at: dict[float, list[float]] = {}
        for run in view.runs[name].values():
            for step, value in score_points(run).get("student", []):
                at.setdefault(step, []).append(scale * value)
        most = max(map(len, at.values()), default=0)
        line = [(step, fmean(v), min(v), max(v)) for step, v in sorted(at.items()) if 2 * len(v) >= most]
        if line:
            found[name] = line
    return found


def _ordered(view: BoardView) -> list[str]:
    done = [row["name"] for row in view.board["rows"]]
    return [*done, *(name for name in view.names if name not in done)]


def curves_chart(view: BoardView, curves: Mapping[str, list[tuple[float, float, float, float]]]) -> str:
    """The chart of the mean validation score, a band from the lowest to the highest seed."""
    if not curves:
        return ""
    score = score_in(view.board)
    last = ", ".join(f"{name} {shown(line[-1][1], score)[0]}" for name, line in curves.items())
    chart = Chart(f"Line chart: mean {score.title} on validation against training steps. At the end: {last}.", width=460)
    x = chart.x_axis(0, max(line[-1][0] for line in curves.values()) or 1)
    y = chart.y_axis(*scaled_span(score, [v for line in curves.values() for _, _, low, high in line for v in (low, high)], 0.06))
    chart.frame(x, y, "training step", f"validation {score.title}", count, lambda v: f"{v:.4g}{score.unit.strip()}")
    for name, line in curves.items():
        edge = [(x(s), y(low)) for s, _, low, _ in line] + [(x(s), y(high)) for s, _, _, high in reversed(line)]
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in edge) + "z"
        chart.parts.append(f'<path class="band by {view.css(name)}" d="{path}"/>')
    for name, line in curves.items():
        drawn = [(x(step), y(value)) for step, value in thinned([(s, m) for s, m, _, _ in line])]
        chart.line(drawn, f"by {view.css(name)}", view.dash(name))
    _hover(chart, x, curves, score)
    return chart.svg()


def _hover(chart: Chart, x: Axis, curves: Mapping[str, list[tuple[float, float, float, float]]], score: FigureInfo) -> None:
    """Upright slices that show what every method has at that step."""
    places = score.places
    steps = sorted({point[0] for line in curves.values() for point in line})
    steps = steps[:: -(-len(steps) // 160)]
    edges = [chart.left, *((x(a) + x(b)) / 2 for a, b in zip(steps, steps[1:])), chart.width - chart.right]
    for step, left, right in zip(steps, edges, edges[1:]):
        words = [f"step {count(step)}"]
        for name, line in curves.items():
            near, mean, low, high = min(line, key=lambda p: abs(p[0] - step))
            if abs(x(near) - x(step)) < 8:
                words.append(f"{name}: {mean:.{places}f}{score.unit} ({low:.{places}f} to {high:.{places}f})")
        chart.zone(left, chart.top, right - left, chart.height - chart.bottom - chart.top, "\n".join(words))


# ----------------------------------------------------------------------------------- cost and alpha

Cost = Literal["parameters", "latency_ms", "train_seconds"]
COSTS: Mapping[Cost, tuple[str, Callable[[float], str]]] = {
    "parameters": ("parameters", count),
    "latency_ms": ("latency in ms", number),
    "train_seconds": ("training time in s", seconds_words),
}


@dataclass(frozen=True)
class Point:
    """A method, or the teacher, in a chart of its score against a cost."""

    name: str
    css: str
    cost: float
    score: Mean


def cost_points(view: BoardView, what: Cost) -> list[Point]:
    """The methods whose cost is known, and the teacher where its own is."""
    rows = [(row, row[what]) for row in done_rows(view)]
    points = [
        Point(row["name"], view.css(row["name"]), cost, row["score"]) for row, cost in rows if cost is not None and cost > 0
    ]
    teacher = view.board["teacher"]
    if points and teacher is not None:
        cost, reached = median_of(teacher) if what == "latency_ms" else teacher.get(what), teacher.get("score")
        if known(cost) and cost > 0 and known(reached):
            mean = Mean(mean=score_in(view.board).scale * reached, low=None, high=None)
            points.append(Point("teacher", "teacher", cost, mean))
    return points


def cost_chart(view: BoardView, what: Cost) -> str:
    """Mean score, with its interval, against one of `COSTS`; the teacher too where its cost is known."""
    (title, words), score = COSTS[what], score_in(view.board)
    points = cost_points(view, what)
    if not points:
        return ""
    said = "; ".join(f"{p.name} {words(p.cost)}, {shown(p.score['mean'], score)[0]}" for p in points)
    chart = Chart(f"Scatter chart: {score.title} against {title}: {said}.")
    costs = [p.cost for p in points]
    log = max(costs) > 8 * min(costs)
    x = chart.x_axis(*(log_span(costs) if log else span(costs, margin=0.2, floor=0)), log=log)
    x.start += 5.5 * len(points)  # room for marks that stand side by side
    values = [v for p in points for v in (p.score["mean"], p.score["low"], p.score["high"]) if v is not None]
    y = chart.y_axis(*scaled_span(score, values))
    chart.frame(
        x, y, title + (" (logarithmic)" if log else ""), f"test {score.title}", short, lambda v: f"{v:.4g}{score.unit.strip()}"
    )
    level = next((p.score["mean"] for p in points if p.css == "teacher"), None)
    if level is not None:
        chart.level(y(level), f"teacher {shown(level, score)[0]}", "teacher")
    for point, at in zip(points, side_by_side([x(p.cost) for p in points])):
        mean, low, high = point.score["mean"], point.score["low"], point.score["high"]
        assert mean is not None, point.name
        if low is not None and high is not None:
            chart.parts.append(f'<path class="line thin by {point.css}" d="M{at:.1f} {y(low):.1f}V{y(high):.1f}"/>')
        tip = f"{point.name}\n{shown(mean, score)[0]}\n{words(point.cost)} {title.split()[0]}"
        chart.mark(point.css, at, y(mean), tip)
    return chart.svg()


def side_by_side(places: Sequence[float], gap: float = 11) -> list[float]:
    """Move marks that would cover one another apart, around their common middle.

    >>> side_by_side([10, 200, 10, 11])
    [-0.7, 200.0, 10.3, 21.3]
    """
    found = list(map(float, places))
    order = sorted(range(len(found)), key=lambda i: found[i])
    groups: list[list[int]] = []
    for i in order:
        near = groups and places[i] - places[groups[-1][-1]] < 4
        groups[-1].append(i) if near else groups.append([i])
    for group in groups:
        middle = fmean(places[i] for i in group)
        for k, i in enumerate(group):
            found[i] = round(middle + gap * (k - (len(group) - 1) / 2), 1)
    return found


def alpha_chart(view: BoardView) -> str:
    """The distillation score of every method as alpha goes from 0 to 1, with the places where the order changes."""
    rows, changes = scored(view.board["rows"]), view.board["ranking_by_alpha"]
    if not rows:
        return ""
    chart = Chart(f"Line chart: distillation score against alpha; the order changes {len(changes) - 1} times.")
    x = chart.x_axis(0, 1)
    y = chart.y_axis(*span([score_at(r, alpha) for r in rows for alpha in (0.0, 1.0)]))
    chart.frame(x, y, f"alpha: weight of size against {score_in(view.board).title}", "distillation score (lower is better)")
    for change in changes[1:]:
        chart.parts.append(f'<path class="stage" d="M{x(change["alpha"]):.1f} {chart.top}V{chart.height - chart.bottom}"/>')
    for row in rows:
        chart.line([(x(a), y(score_at(row, a))) for a in (0.0, 1.0)], f"by {view.css(row['name'])}", view.dash(row["name"]))
    chart.parts.append(f'<path class="axis" d="M{x(view.board["alpha"]):.1f} {chart.height - chart.bottom}v-8"/>')
    for step in range(20):
        alpha = (step + 0.5) / 20
        lines = [f"{r['name']}: {score_at(r, alpha):.4f}" for r in sorted(rows, key=lambda r: score_at(r, alpha))]
        tip = "\n".join([f"alpha {alpha:.3g}", *lines])
        chart.zone(x(step / 20), chart.top, (x(1) - x(0)) / 20, chart.height - chart.bottom - chart.top, tip)
    return chart.svg()
