"""The score within each class as bars, and what charts of scores share."""

from html import escape

from limbeck.cards.words import item_of, number
from limbeck.report.charts import Chart, span
from limbeck.report.read import RunView
from limbeck.tasks.figure import FigureInfo, known, score_in

BARS = 24  # classes in the bar chart


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


def shown_classes(view: RunView) -> list[int]:
    """The classes of the bars and of the table beside them, in their order: all of a few in the data's order; of many the
    student's lowest first, those with too few samples to tell last."""
    names, marked = view.class_names(), view.marked_names()
    models = {who: values for who, m in view.models.items() if (values := m.get("per_class")) and len(values) == len(names)}
    order = list(range(len(names)))
    if not models or len(names) <= BARS:
        return order
    lead, better = models.get("student", next(iter(models.values()))), score_in(view.card).better
    sign = 1 if better == "higher" else -1

    def place(c: int) -> tuple[bool, bool, float]:
        value = lead[c]
        return not known(value), names[c] != marked[c], sign * value if known(value) else 0.0

    return sorted(order, key=place)


def class_bars(view: RunView) -> tuple[str, int]:
    """Bars of the score per class and model, and how many classes are shown: the student's lowest ones if not all."""
    models = {who: values for who, m in view.models.items() if (values := m.get("per_class"))}
    score, item = score_in(view.card), item_of(view.card)
    names = view.marked_names()
    sizes = {len(values) for values in models.values()}
    if not models or sizes != {len(names)}:
        return "", 0
    shown = shown_classes(view)[:BARS]
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
