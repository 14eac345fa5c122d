"""The charts of a task's pieces: a matrix, lines on a diagonal, answers against labels."""

from collections.abc import Sequence
from html import escape

from limbeck.cards.words import count, number
from limbeck.report.charts import DASH, Chart, span
from limbeck.tasks.figure import FigureInfo
from limbeck.tasks.section import Curve, Matrix, Scatter

CELLS, NAMED = 40, 12  # classes in a confusion matrix, and with numbers in it
percent = FigureInfo().text


def matrix_chart(matrix: Matrix, names: Sequence[str]) -> str:
    """A confusion matrix, rows = labels, shaded by the share of the row; "" if it is too large."""
    counts, who, things = matrix.counts, matrix.who, matrix.things
    if len(counts) > CELLS:
        return ""
    classes = len(counts)
    share = counts / counts.sum(1, keepdim=True).clamp_min(1)
    right = int(counts.diag().sum())
    chart = Chart(f"Confusion matrix of the {who}: {count(right)} of {count(int(counts.sum()))} {things} on the diagonal.")
    wide = min(12, max(map(len, names))) if classes <= 20 else 0
    chart.left, chart.top = 30 + 7.6 * wide, 22
    side = (chart.width - chart.left - 8) / classes
    chart.height = chart.top + side * classes + (8 + 6.6 * wide * 0.75 + 10 if wide else 8)
    chart.text(chart.left + side * classes / 2, 14, f"{who} answers", "title mid")
    middle = chart.top + side * classes / 2
    chart.parts.append(f'<text class="title mid" transform="translate(13 {middle:.0f}) rotate(-90)">label</text>')
    for r in range(classes):
        if wide:
            short_name = names[r] if len(names[r]) <= wide else names[r][: wide - 1] + "…"
            chart.text(chart.left - 5, chart.top + side * (r + 0.5) + 4, short_name, "tick end")
            at = f"translate({chart.left + side * (r + 0.5) + 4:.1f} {chart.top + side * classes + 10:.1f}) rotate(-45)"
            chart.parts.append(f'<text class="tick end" transform="{at}">{escape(short_name)}</text>')
        for c in range(classes):
            _cell(chart, r, c, side, int(counts[r, c]), float(share[r, c]), names, things)
    return chart.svg()


def _cell(chart: Chart, r: int, c: int, side: float, found: int, share: float, names: Sequence[str], things: str) -> None:
    x, y = chart.left + side * c, chart.top + side * r
    tip = f"label {names[r]}, predicted {names[c]}\n{count(found)} {things}, {percent(share)} of the label"
    kind = "right" if r == c else "wrong"
    shade = 0.0 if not found else 0.12 + 0.88 * share
    chart.parts.append(
        f'<rect class="cell {kind}" x="{x:.1f}" y="{y:.1f}" width="{side - 1:.1f}" height="{side - 1:.1f}" '
        f'style="--v:{shade:.3f}" data-tip="{escape(tip)}"/>'
    )
    if len(names) <= NAMED and found:
        words = str(found) if things == "samples" else f"{100 * share:.0f}"
        chart.text(x + side / 2, y + side / 2 + 4, words, "cell-text mid" + (" strong" if shade > 0.55 else ""))


def curve_chart(curve: Curve) -> str:
    """Lines of several models over a dotted diagonal."""
    chart = Chart(curve.words)
    if curve.percent:
        low, high, tick = 0.0, 1.0, _share
    else:
        low, high = span([v for marks in curve.lines.values() for m in marks for v in (m.x, m.y)])
        tick = number
    x, y = chart.x_axis(low, high), chart.y_axis(low, high)
    chart.frame(x, y, *curve.axes, tick, tick)
    chart.parts.append(f'<path class="stage" d="M{x(low):.1f} {y(low):.1f}L{x(high):.1f} {y(high):.1f}"/>')
    for who, marks in curve.lines.items():
        chart.line([(x(m.x), y(m.y)) for m in marks if m.joined], f"by {who}", DASH.get(who, ""))
        for m in marks:
            chart.mark(who, x(m.x), y(m.y), m.tip, 2 + 4 * m.share**0.5)
    return chart.svg()


def scatter_chart(scatter: Scatter) -> str:
    """One model's answers against the labels over a dotted diagonal."""
    chart = Chart(scatter.words)
    low, high = span([v for m in scatter.marks for v in (m.x, m.y)])
    x, y = chart.x_axis(low, high), chart.y_axis(low, high)
    chart.frame(x, y, *scatter.axes)
    chart.parts.append(f'<path class="stage" d="M{x(low):.1f} {y(low):.1f}L{x(high):.1f} {y(high):.1f}"/>')
    for m in scatter.marks:
        chart.mark(scatter.who, x(m.x), y(m.y), m.tip, 2)
    return chart.svg()


def _share(value: float) -> str:
    return f"{100 * value:.0f}%"
