"""The figure of `limbeck survey --figure`: the score of every row as alpha goes from size to accuracy, and the example."""

from limbeck.catalogue.survey.show import example, rows
from limbeck.catalogue.survey.systems import EXAMPLE
from limbeck.report.charts import Chart, span

STYLE = (
    "text{font:12px 'DejaVu Sans',Verdana,sans-serif;fill:#1b2330}.tick,.title{fill:#566073;font-size:11px}.head{font-size:13px;"
    "font-weight:600}.mid{text-anchor:middle}.end{text-anchor:end}.grid{stroke:#c3cad6;stroke-width:.6;fill:none}"
    ".axis{stroke:#566073;fill:none}.line{fill:none;stroke-width:1.6;stroke:#0b62a4}.paper{stroke:#9a5b00;opacity:.55}"
    ".s0{stroke:#b03020}.s1{stroke:#9a5b00}.s2{stroke:#2e7d32}"
    ".s3{stroke:#7a3e9d}.best{stroke-width:3.5}.stage{stroke:#566073;stroke-dasharray:3 4}"
)


def _chart(label: str) -> Chart:
    return Chart(label, width=470, height=320, right=118, top=34)


def svg(alpha: float = 0.5) -> str:
    """The two charts side by side, as one file."""
    left, right = _example_chart(alpha), _sweep(alpha)
    width, height = left.width + right.width, left.height
    inner = f'<g>{"".join(left.parts)}</g><g transform="translate({left.width:.0f} 0)">{"".join(right.parts)}</g>'
    said, size = f"{left.label} {right.label}", f'width="{width:.0f}" height="{height:.0f}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" {size} role="img">'
        f"<title>Distillation scores</title><desc>{said}</desc><style>{STYLE}</style>"
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>{inner}</svg>\n'
    )


def _example_chart(alpha: float) -> Chart:
    """Score against alpha for the survey's four students: which ratio is best depends on alpha."""
    lines = [(example(0.0)[k]["score"], example(1.0)[k]["score"]) for k in range(len(EXAMPLE))]
    students = example(alpha)
    best = min(students, key=lambda student: student["score"])
    said = f"The survey's four students of one teacher: at alpha {alpha:g} the best size ratio is {best['size']:.4f}."
    chart = _chart(said)
    x, y = chart.x_axis(0, 1), chart.y_axis(*span([v for line in lines for v in line]))
    chart.frame(x, y, "alpha: weight of size against accuracy", "distillation score (lower is better)")
    chart.text(chart.left, 18, f"Four students of one teacher; best ratio {best['size']:.4f}", "head")
    labels = _apart([y(end) for _, end in lines])
    for k, (start, end) in enumerate(lines):
        chart.line([(x(0), y(start)), (x(1), y(end))], f"s{k}" + (" best" if students[k] == best else ""))
        chart.text(x(1) + 6, labels[k] + 4, f"ratio {EXAMPLE[k][0]:.4f}")
    chart.parts.append(f'<path class="stage" d="M{x(alpha):.1f} {chart.top}V{chart.height - chart.bottom}"/>')
    return chart


def _sweep(alpha: float) -> Chart:
    """Score against alpha for every row that reports drop and size cut, as published and as measured."""
    lines: list[tuple[str, str, float, float]] = []
    for at_zero, at_one in zip(rows(0.0), rows(1.0), strict=True):
        ends = [(r["paper"]["score"], r["measured"]["score"] if r["measured"] else None) for r in (at_zero, at_one)]
        for css, first, last in zip(("paper", "here"), *ends, strict=True):
            if first is not None and last is not None:
                lines.append((f"row {at_zero['row']}", css, first, last))
    papers = sum(css == "paper" for _, css, _, _ in lines)
    chart = _chart(f"{papers} published rows and {len(lines) - papers} measured here, score against alpha.")
    x, y = chart.x_axis(0, 1), chart.y_axis(*span([v for *_, a, b in lines for v in (a, b)]))
    chart.frame(x, y, "alpha: weight of size against accuracy", "distillation score (lower is better)")
    chart.text(chart.left, 18, "The rows: published (brown), measured here (blue)", "head")
    places = _apart([y(last) for *_, last in lines], gap=10)
    for (name, css, first, last), place in zip(lines, places, strict=True):
        chart.line([(x(0), y(first)), (x(1), y(last))], css)
        chart.text(x(1) + 6, place + 4, name + ("" if css == "paper" else " here"), "tick")
    chart.parts.append(f'<path class="stage" d="M{x(alpha):.1f} {chart.top}V{chart.height - chart.bottom}"/>')
    return chart


def _apart(places: list[float], gap: float = 14) -> list[float]:
    """Labels moved down where they would cover one another, in the order of their places.

    >>> _apart([10.0, 12.0, 50.0])
    [10.0, 24.0, 50.0]
    """
    found, last = list(places), -1e9
    for k in sorted(range(len(found)), key=lambda k: found[k]):
        found[k] = last = max(found[k], last + gap)
    return found
