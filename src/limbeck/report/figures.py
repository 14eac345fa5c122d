"""The charts of what came out: accuracy against cost, per class, confusion, reliability."""

from collections.abc import Sequence
from html import escape

import torch

from limbeck.metrics.classification import calibration_error, confusion, per_class, reliability
from limbeck.report.charts import DASH, Chart, log_span, span
from limbeck.report.read import RunView
from limbeck.report.words import count, known, metric_of, number, percent

BARS, CELLS, NAMED = 24, 40, 12  # classes in the bar chart, in a confusion matrix, and with numbers in it
FEW = 5  # samples in a bin of the reliability diagram that a line passes


def cost_chart(view: RunView, what: str) -> str:
    """Accuracy against "size" (parameters) or "latency" (milliseconds per sample); "" if unknown."""
    points = []
    for who, model in view.models.items():
        cost = model.get("parameters") if what == "size" else (model.get("latency_ms") or {}).get("median")
        if known(cost) and known(model.get("accuracy")) and cost > 0:
            points.append((who, who, float(cost), model["accuracy"], model.get("interval")))
    onnx = (view.card.get("export") or {}).get("onnx") or {}
    fast = (onnx.get("latency_ms") or {}).get("median")
    if what != "size" and known(fast) and known(onnx.get("accuracy")) and fast > 0:
        points.append(
            ("student", "student, ONNX", fast, view.models.get("student", onnx).get("accuracy", onnx["accuracy"]), None)
        )
    if not points:
        return ""
    title = "parameters" if what == "size" else "latency in ms"
    words = count if what == "size" else number
    chart = Chart(
        f"Scatter chart: {metric_of(view.card)} against {title}: "
        + "; ".join(f"{n} {words(c)}, {percent(a)}" for _, n, c, a, _ in points)
        + "."
    )
    costs = [p[2] for p in points]
    log = max(costs) > 8 * min(costs)
    x = chart.x_axis(*(log_span(costs) if log else span(costs, margin=0.2, floor=0)), log=log)
    y = chart.y_axis(*span([v for *_, a, i in points for v in (a, *(i or ()))], floor=0, ceil=1, margin=0.1))
    chart.frame(
        x, y, title + (" (logarithmic)" if log else ""), f"test {metric_of(view.card)}", short, lambda v: f"{100 * v:.3g}%"
    )
    for who, name, cost, value, bounds in points:
        px, py = x(cost), y(value)
        if bounds:
            chart.parts.append(f'<path class="line by {who}" d="M{px:.1f} {y(bounds[0]):.1f}V{y(bounds[1]):.1f}"/>')
        within = f" [{percent(bounds[0])}, {percent(bounds[1])}]" if bounds else ""
        chart.mark(who, px, py, f"{name}\n{percent(value)}{within}\n{words(cost)} {title.split()[0]}", hollow=name != who)
    _name_points(chart, [(name, x(cost), y(value)) for _, name, cost, value, _ in points])
    return chart.svg()


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
    """Bars of accuracy per class and model, and how many classes are shown: the student's lowest ones if not all."""
    models = {who: m["per_class"] for who, m in view.models.items() if m.get("per_class")}
    if not models and view.labels is not None:
        models = {who: [None if v != v else v for v in per_class(z, view.labels).tolist()] for who, z in view.logits.items()}
    names = view.class_names()
    sizes = {len(values) for values in models.values()}
    if not models or sizes != {len(names)}:
        return "", 0
    lead = models.get("student", next(iter(models.values())))
    shown = list(range(len(names)))
    if len(names) > BARS:
        shown = sorted(shown, key=lambda c: lead[c] if known(lead[c]) else 2.0)[:BARS]
    each = 9 * len(models) + 9
    wide = min(18, max(len(names[c]) for c in shown))
    chart = Chart(
        f"Bar chart: {metric_of(view.card, 'share')} per class for {', '.join(models)}.",
        height=each * len(shown) + 60,
        left=22 + 7.6 * wide,
        top=8,
    )
    x = chart.x_axis(0, 1)
    floor = chart.height - chart.bottom
    for value in (0, 0.25, 0.5, 0.75, 1):
        chart.parts.append(f'<path class="grid" d="M{x(value):.1f} {chart.top}V{floor}"/>')
        chart.text(x(value), floor + 16, f"{100 * value:.0f}%", "tick mid")
    chart.text((chart.left + chart.width) / 2, chart.height - 6, f"{metric_of(view.card, 'share')} within the class", "title mid")
    for row, c in enumerate(shown):
        top = chart.top + 4 + row * each
        label = names[c] if len(names[c]) <= wide else names[c][: wide - 1] + "…"
        chart.text(chart.left - 6, top + each / 2, label, "tick end")
        for place, (who, values) in enumerate(models.items()):
            if known(values[c]):
                box = f'x="{chart.left}" y="{top + 9 * place}" width="{max(x(values[c]) - chart.left, 0.8):.1f}" height="8"'
                chart.parts.append(f'<rect class="bar {who}" {box}/>')
        tip = "\n".join([names[c], *(f"{who}: {percent(values[c])}" for who, values in models.items())])
        chart.zone(0, top, chart.width, each, tip)
    return chart.svg(), len(shown)


def confusion_chart(view: RunView, who: str) -> str:
    """A model's confusion matrix, rows = labels, shaded by the share of the row; "" if unknown or too large."""
    counts = view.confusions.get(who)
    if counts is None and who in view.logits and view.labels is not None:
        counts = confusion(view.logits[who], view.labels)
    if counts is None or len(counts) > CELLS:
        return ""
    names, classes = view.class_names(), len(counts)
    share = counts / counts.sum(1, keepdim=True).clamp_min(1)
    right = int(counts.diag().sum())
    chart = Chart(f"Confusion matrix of the {who}: {count(right)} of {count(int(counts.sum()))} {_things(view)} on the diagonal.")
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
            _cell(chart, r, c, side, int(counts[r, c]), float(share[r, c]), names, _things(view))
    return chart.svg()


def _things(view: RunView) -> str:
    return "pixels" if view.confusions else "samples"


def _cell(chart: Chart, r: int, c: int, side: float, found: int, share: float, names: Sequence[str], things: str) -> None:
    x, y = chart.left + side * c, chart.top + side * r
    tip = f"label {names[r]}, answer {names[c]}\n{count(found)} {things}, {percent(share)} of the label"
    kind = "right" if r == c else "wrong"
    shade = 0.0 if not found else 0.12 + 0.88 * share
    chart.parts.append(
        f'<rect class="cell {kind}" x="{x:.1f}" y="{y:.1f}" width="{side - 1:.1f}" height="{side - 1:.1f}" '
        f'style="--v:{shade:.3f}" data-tip="{escape(tip)}"/>'
    )
    if len(names) <= NAMED and found:
        words = str(found) if things == "samples" else f"{100 * share:.0f}"
        chart.text(x + side / 2, y + side / 2 + 4, words, "cell-text mid" + (" strong" if shade > 0.55 else ""))


def reliability_chart(view: RunView) -> str:
    """Confidence against correctness for every model; "" without predictions."""
    if view.labels is None or not view.logits:
        return ""
    errors = {who: calibration_error(z, view.labels) for who, z in view.logits.items()}
    chart = Chart(
        "Reliability diagram. Expected calibration error: " + ", ".join(f"{w} {percent(e)}" for w, e in errors.items()) + "."
    )
    x, y = chart.x_axis(0, 1), chart.y_axis(0, 1)
    share = lambda v: f"{100 * v:.0f}%"  # noqa: E731
    chart.frame(x, y, "confidence", "share that is right", share, share)
    chart.parts.append(f'<path class="stage" d="M{x(0):.1f} {y(0):.1f}L{x(1):.1f} {y(1):.1f}"/>')
    for who, logits in view.logits.items():
        curve = reliability(logits, view.labels)
        filled = torch.nonzero(curve.counts)[:, 0].tolist()
        points = [(x(float(curve.confidence[b])), y(float(curve.accuracy[b]))) for b in filled]
        chart.line([p for b, p in zip(filled, points) if curve.counts[b] >= FEW], f"by {who}", DASH.get(who, ""))
        for b, (px, py) in zip(filled, points):
            sure, right = percent(float(curve.confidence[b])), percent(float(curve.accuracy[b]))
            tip = f"{who}\nconfidence {sure}\nright {right}\n{count(int(curve.counts[b]))} samples"
            size = 2 + 4 * (float(curve.counts[b]) / len(view.labels)) ** 0.5
            chart.mark(who, px, py, tip, size)
    return chart.svg()
