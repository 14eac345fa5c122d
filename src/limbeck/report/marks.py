"""One mark and one colour for each role and each method, on every page: in charts, in their keys, in tables.

Letters: a mark is a polygon around (0, 0), in units of its size; a circle where there is none.
"""

from html import escape
from math import cos, pi, sin

Polygon = tuple[tuple[float, float], ...]

SQUARE: Polygon = ((-1, -1), (1, -1), (1, 1), (-1, 1))
UP: Polygon = ((0, -1.25), (1.25, 1), (-1.25, 1))
DOWN: Polygon = ((0, 1.25), (1.25, -1), (-1.25, -1))
DIAMOND: Polygon = ((0, -1.4), (1.4, 0), (0, 1.4), (-1.4, 0))
PLUS: Polygon = ((-0.45, -1.3), (0.45, -1.3), (0.45, -0.45), (1.3, -0.45), (1.3, 0.45), (0.45, 0.45), (0.45, 1.3), (-0.45, 1.3),
                 (-0.45, 0.45), (-1.3, 0.45), (-1.3, -0.45), (-0.45, -0.45))  # fmt: skip
CROSS: Polygon = tuple(((x - y) * 0.7071, (x + y) * 0.7071) for x, y in PLUS)
STAR: Polygon = tuple(
    ((1.5 if k % 2 else 0.62) * sin(pi * (k + 1) / 5), -(1.5 if k % 2 else 0.62) * cos(pi * (k + 1) / 5)) for k in range(10)
)
HOURGLASS: Polygon = ((-1.1, -1.2), (1.1, -1.2), (-1.1, 1.2), (1.1, 1.2))

COLOURS = 10  # of methods, `--m0` to `--m9` in the style sheet
SHAPES: dict[str, Polygon] = {
    "teacher": SQUARE,
    "baseline": UP,
    "baseline-started": DOWN,
    "baseline-longer": HOURGLASS,
    "int8": PLUS,
    **{f"m-{k}": shape for k in range(COLOURS) if (shape := (None, DIAMOND, CROSS, STAR, None)[k % 5]) is not None},
}
REACH = 1.5  # how far a polygon goes at most


def mark(css: str, x: float, y: float, size: float, attributes: str) -> str:
    """The mark of a role or method (the first word of `css`) at a place. attributes: of the SVG element, escaped already."""
    shape = SHAPES.get(css.partition(" ")[0])
    if shape is None:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size * 1.1:.1f}" {attributes}/>'
    path = "L".join(f"{x + a * size:.1f} {y + b * size:.1f}" for a, b in shape)
    return f'<path d="M{path}z" {attributes}/>'


def style() -> str:
    """The same marks for keys in tables and legends, as rules of a style sheet."""
    rules = [f".key.{escape(name)}{{clip-path:polygon({_percents(shape)})}}" for name, shape in SHAPES.items()]
    round_ones = ["student", *(f"m-{k}" for k in range(COLOURS) if f"m-{k}" not in SHAPES)]
    colours = [f".m-{k}{{--c:var(--m{k})}}" for k in range(COLOURS)]
    return "".join([*rules, *(f".key.{name}{{border-radius:50%}}" for name in round_ones), *colours])


def _percents(shape: Polygon) -> str:
    return ",".join(f"{50 + 50 * a / REACH:.0f}% {50 + 50 * b / REACH:.0f}%" for a, b in shape)
