"""The pictures of an explanation: rows of marks, parts with intervals, heat maps of similarity, what each layer represents."""

from collections.abc import Callable, Mapping, Sequence
from html import escape

from limbeck.cards.words import number, percent
from limbeck.explanation.schema import LayerKeeps, Read, Similarity, TakenApart
from limbeck.report.charts import Axis, Chart, score_span, span
from limbeck.tasks.figure import FigureInfo, known

ROW, WIDE = 22, 26


def rows_chart(rows: Sequence[tuple[str, Mapping[str, float]]], title: str) -> str:
    """A line of marks for every row, one for each model, on a scale of shares; "" without rows."""
    if not rows:
        return ""
    values = [v for _, each in rows for v in each.values() if known(v)]
    chart, x = _labelled(
        f"Dot chart: {title}.", [name for name, _ in rows], score_span(FigureInfo(), values, margin=0.05), percents
    )
    chart.text((chart.left + chart.width) / 2, chart.height - 6, title, "title mid")
    for place, (name, each) in enumerate(rows):
        y = chart.top + ROW * (place + 0.5)
        shown = {who: v for who, v in each.items() if known(v)}
        if len(shown) > 1:
            chart.parts.append(f'<path class="stage" d="M{x(min(shown.values())):.1f} {y:.1f}H{x(max(shown.values())):.1f}"/>')
        tip = "\n".join([name, *(f"{who}: {percent(v)}" for who, v in shown.items())])
        for who, v in shown.items():
            chart.mark(who, x(v), y, tip, 4.5)
    return chart.svg()


def percents(value: float) -> str:
    return f"{100 * value:.3g}%"


def _labelled(label: str, names: Sequence[str], bounds: tuple[float, float], words: Callable[[float], str]) -> tuple[Chart, Axis]:
    """A chart with a name before each row and a grid below."""
    wide = min(WIDE, max(map(len, names)))
    chart = Chart(label, left=14 + 7 * wide, top=8, width=460)
    chart.height = chart.top + ROW * len(names) + chart.bottom
    x, floor = chart.x_axis(*bounds), chart.height - chart.bottom
    for value in x.ticks(5):
        chart.parts.append(f'<path class="grid" d="M{x(value):.1f} {chart.top}V{floor}"/>')
        chart.text(x(value), floor + 16, words(value), "tick mid")
    for place, name in enumerate(names):
        chart.text(chart.left - 8, chart.top + ROW * (place + 0.5) + 4, cut(name, wide), "tick end")
    return chart, x


def cut(name: str, most: int) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def parts_chart(gain: TakenApart) -> str:
    """The parts of the gain and their sum in points, as bars from zero with their 95 % intervals."""
    rows = [*gain["parts"].items(), ("all together", gain["gain"])]
    ends = [v for _, part in rows for v in (part["difference"], part["low"], part["high"]) if known(v)]
    low, high = span([*ends, 0.0], margin=0.08)
    said = "; ".join(f"{name} {part['difference']:+.2f}" for name, part in rows)
    chart, x = _labelled(
        f"Bar chart: parts of the gain in points of accuracy: {said}.", [n for n, _ in rows], (low, high), number
    )
    chart.text((chart.left + chart.width) / 2, chart.height - 6, "points of accuracy", "title mid")
    chart.parts.append(f'<path class="axis" d="M{x(0):.1f} {chart.top}V{chart.height - chart.bottom}"/>')
    for place, (name, part) in enumerate(rows):
        y, value, who = chart.top + ROW * place, part["difference"], "baseline" if name == "all together" else "student"
        left, width = min(x(0), x(value)), max(abs(x(value) - x(0)), 0.8)
        chart.parts.append(f'<rect class="bar {who}" x="{left:.1f}" y="{y + 6:.1f}" width="{width:.1f}" height="{ROW - 12}"/>')
        within = ""
        least, most = part["low"], part["high"]
        if least is not None and most is not None:
            within = f" [{least:+.2f}, {most:+.2f}]"
            chart.parts.append(f'<path class="axis" d="M{x(least):.1f} {y + ROW / 2:.1f}H{x(most):.1f}"/>')
        chart.zone(0, y, chart.width, ROW, f"{name}\n{value:+.2f} points{within}")
    return chart.svg()


def heat_map(pair: Similarity, who: str) -> str:
    """CKA of every layer of a learner (rows) with every layer of the teacher (columns)."""
    rows, columns = pair["rows"], pair["columns"]
    if not rows or not columns:
        return ""
    wide = min(14, max(map(len, (*rows, *columns))))
    chart = Chart(f"Heat map: CKA of the layers of {who} (rows) and teacher (columns).", left=24 + 7 * wide, top=22)
    side = min(56.0, (chart.width - chart.left - 8) / len(columns))
    tall = min(side, 34.0)
    chart.height = chart.top + tall * len(rows) + 12 + 5.2 * wide
    chart.text(chart.left + side * len(columns) / 2, 14, "teacher", "title mid")
    middle = chart.top + tall * len(rows) / 2
    chart.parts.append(f'<text class="title mid" transform="translate(13 {middle:.0f}) rotate(-90)">{escape(who)}</text>')
    for c, name in enumerate(columns):
        at = f"translate({chart.left + side * (c + 0.5) + 4:.1f} {chart.top + tall * len(rows) + 12:.1f}) rotate(-45)"
        chart.parts.append(f'<text class="tick end" transform="{at}">{escape(cut(name, wide))}</text>')
    for r, name in enumerate(rows):
        chart.text(chart.left - 6, chart.top + tall * (r + 0.5) + 4, cut(name, wide), "tick end")
        for c, value in enumerate(pair["cka"][r]):
            if value is None:
                continue
            x, y = chart.left + side * c, chart.top + tall * r
            box = f'x="{x:.1f}" y="{y:.1f}" width="{side - 1:.1f}" height="{tall - 1:.1f}" style="--v:{value:.3f}"'
            tip = escape(f"{who} {name}\nteacher {columns[c]}\nCKA {value:.3f}")
            chart.parts.append(f'<rect class="cell right" {box} data-tip="{tip}"/>')
            if side >= 26:
                chart.text(x + side / 2, y + tall / 2 + 4, f"{value:.2f}", "cell-text mid" + (" strong" if value > 0.55 else ""))
    return chart.svg()


def of_same_layers(keeps: Mapping[str, Sequence[LayerKeeps]]) -> list[dict[str, Sequence[LayerKeeps]]]:
    """Models with layers of the same names together, so that one axis can name them."""
    found: dict[tuple[str, ...], dict[str, Sequence[LayerKeeps]]] = {}
    for who, rows in keeps.items():
        found.setdefault(tuple(row["layer"] for row in rows), {})[who] = rows
    return list(found.values())


def keeps_chart(keeps: Mapping[str, Sequence[LayerKeeps]], what: Read, title: str) -> str:
    """What is read back from each layer, first to last, of models with the same layers: a row for each, a mark for each model."""
    layers = [row["layer"] for row in next(iter(keeps.values()), [])]
    if not layers:
        return ""
    who = " and ".join(keeps)
    chart, x = _labelled(f"Dot chart: {title} of {who}, first layer to last.", layers, (0.0, 1.0), number)
    chart.text((chart.left + chart.width) / 2, chart.height - 6, title, "title mid")
    for place, layer in enumerate(layers):
        y = chart.top + ROW * (place + 0.5)
        shown = {name: value for name, rows in keeps.items() if known(value := rows[place][what])}
        tip = "\n".join([layer, *(f"{name}: {value:.3f}" for name, value in shown.items())])
        for name, value in shown.items():
            chart.mark(name, x(min(1.0, max(0.0, value))), y, tip, 4.5)
    return chart.svg()
