"""The charts of a card: the score against cost, and within each class."""

from html import escape

from limbeck.cards.schema import median_of, onnx_of
from limbeck.cards.words import count, item_of, number
from limbeck.report.charts import Chart, log_span, span
from limbeck.report.read import RunView
from limbeck.tasks.figure import FigureInfo, known, score_in

BARS = 24  # classes in the bar chart


def cost_chart(view: RunView, what: str) -> str:
    """The score against "size" (parameters) or "latency" (milliseconds per sample); "" if unknown."""
    points, score = [], score_in(view.card)
    for who, model in view.models.items():
        cost = model.get("parameters") if what == "size" else median_of(model)
        reached = model.get("score")
        if known(cost) and known(reached) and cost > 0:
            points.append((who, who, float(cost), float(reached), model.get("interval")))
    onnx = onnx_of(view.card)
    fast, student = median_of(onnx), view.models.get("student")
    reached = onnx.get("score") if student is None else student.get("score", onnx.get("score"))
    if what != "size" and known(fast) and known(reached) and fast > 0:
        points.append(("student", "student, ONNX", fast, float(reached), None))
    if not points:
        return ""
    title = "parameters" if what == "size" else "latency in ms"
    words = count if what == "size" else number
    chart = Chart(
        f"Scatter chart: {score.title} against {title}: "
        + "; ".join(f"{n} {words(c)}, {score.text(a)}" for _, n, c, a, _ in points)
        + "."
    )
    costs = [p[2] for p in points]
    log = max(costs) > 8 * min(costs)
    x = chart.x_axis(*(log_span(costs) if log else span(costs, margin=0.2, floor=0)), log=log)
    y = chart.y_axis(*span([v for *_, a, i in points for v in (a, *(i or ()))], **limits(score), margin=0.1))
    chart.frame(x, y, title + (" (logarithmic)" if log else ""), f"test {score.title}", short, score.tick)
    for who, name, cost, value, bounds in points:
        px, py = x(cost), y(value)
        if bounds:
            chart.parts.append(f'<path class="line by {escape(who)}" d="M{px:.1f} {y(bounds[0]):.1f}V{y(bounds[1]):.1f}"/>')
        within = f" [{score.text(bounds[0])}, {score.text(bounds[1])}]" if bounds else ""
        chart.mark(who, px, py, f"{name}\n{score.text(value)}{within}\n{words(cost)} {title.split()[0]}", hollow=name != who)
    _name_points(chart, [(name, x(cost), y(value)) for _, name, cost, value, _ in points])
    return chart.svg()


def limits(score: FigureInfo) -> dict[str, float]:
    """How far an axis of a score may go, for `span`."""
    return {"floor": 0, "ceil": 1} if score.share else {}


def short(value: float) -> str:
    """A number for a tick: 20k, 1.5M.

    >>> short(20000), short(0.5)
    ('20k', '0.5')
    """
    for scale, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= scale:
            return f"{value / scale:.3g}{unit}"
    return number(value)


def _name_points(chart: Chart, points: list[tuple[str, float, float]]) -> None:
    """Write each point's name beside it, on the side with room and clear of the other names."""
    taken: list[tuple[float, float, float, float]] = [(px - 7, py - 7, px + 7, py + 7) for _, px, py in points]
    for name, px, py in points:
        width = 7.8 * len(name)
        spots = [(px + side, py + dy) for dy in (4, -10, 18, -24, 32, -38, 46) for side in (10, -10 - width)]
        free = [
            (left, base)
            for left, base in spots
            if chart.left + 2 < left and left + width < chart.width - 2 and chart.top < base < chart.height - chart.bottom - 2
            and not any(left < r and begin < left + width and base - 11 < b and t < base + 2 for begin, t, r, b in taken)
        ]  # fmt: skip
        left, base = (free or spots)[0]
        taken.append((left, base - 11, left + width, base + 2))
        chart.text(left, base, name, "name")


def class_bars(view: RunView) -> tuple[str, int]:
    """Bars of the score per class and model, and how many classes are shown: the student's lowest ones if not all."""
    models = {who: values for who, m in view.models.items() if (values := m.get("per_class"))}
    score, item = score_in(view.card), item_of(view.card)
    names = view.marked_names()
    sizes = {len(values) for values in models.values()}
    if not models or sizes != {len(names)}:
        return "", 0
    lead = models.get("student", next(iter(models.values())))
    shown = list(range(len(names)))
    if len(names) > BARS:
        shown = sorted(shown, key=lambda c: v if known(v := lead[c]) else float("inf"))[:BARS]
    each = 9 * len(models) + 9
    wide = min(18, max(len(names[c]) for c in shown))
    chart = Chart(
        f"Bar chart: {score.within} per {item} for {', '.join(models)}.",
        height=each * len(shown) + 60,
        left=22 + 7.6 * wide,
        top=8,
    )
    known_values = [v for values in models.values() for c in shown if known(v := values[c])]
    x = chart.x_axis(0, 1) if score.share else chart.x_axis(*span([0.0, *known_values]))
    floor = chart.height - chart.bottom
    for value in (0, 0.25, 0.5, 0.75, 1) if score.share else x.ticks(5):
        chart.parts.append(f'<path class="grid" d="M{x(value):.1f} {chart.top}V{floor}"/>')
        chart.text(x(value), floor + 16, score.tick(value), "tick mid")
    chart.text((chart.left + chart.width) / 2, chart.height - 6, f"{score.within} within the {item}", "title mid")
    for row, c in enumerate(shown):
        top = chart.top + 4 + row * each
        label = names[c] if len(names[c]) <= wide else names[c][: wide - 1] + "…"
        chart.text(chart.left - 6, top + each / 2, label, "tick end")
        for place, (who, values) in enumerate(models.items()):
            if known(reached := values[c]):
                start, end = sorted((x(0), x(reached)))
                box = f'x="{start:.4g}" y="{top + 9 * place}" width="{max(end - start, 0.8):.1f}" height="8"'
                chart.parts.append(f'<rect class="bar {escape(who)}" {box}/>')
        tip = "\n".join([names[c], *(f"{who}: {score.text(values[c])}" for who, values in models.items())])
        chart.zone(0, top, chart.width, each, tip)
    return chart.svg(), len(shown)
