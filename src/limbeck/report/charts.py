"""Small SVG charts: axes, ticks, lines, marks. Colours come from the page's style sheet; every string is escaped."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

from limbeck.cards.words import number
from limbeck.report import marks
from limbeck.tasks.figure import FigureInfo

DASH = {
    "teacher": "7 4", "baseline": "2 3", "baseline-started": "9 3 2 3", "baseline-longer": "1 3", "student": "", "int8": "4 2"
}  # fmt: skip


@dataclass
class Axis:
    """A scale from values to pixels; `log` for a logarithmic one."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, value = (math.log10(v) for v in (self.low, self.high, value)) if self.log else (self.low, self.high, value)
        return self.start + (value - low) / ((high - low) or 1.0) * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values on the axis, about `count` of them."""
        if not self.log:
            return nice(self.low, self.high, count)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1,), (1, 3), (1, 2, 5)):
            found = [f * 10.0**d for d in decades for f in factors if self.low * 0.999 <= f * 10.0**d <= self.high * 1.001]
            if len(found) >= 3:
                break
        step = -(-len(found) // (count + 1))
        return found[::step] if found else [self.low, self.high]


def nice(low: float, high: float, count: int = 5) -> list[float]:
    """Round values between low and high, 1, 2 or 5 times a power of ten apart.

    >>> nice(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = (high - low) or 1.0
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(f * power for f in (1, 2, 5, 10) if f * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def span(
    values: Iterable[float], *, margin: float = 0.06, floor: float | None = None, ceil: float | None = None
) -> tuple[float, float]:
    """A range that holds the values with a margin, kept within floor and ceil."""
    found = list(values) or [0.0, 1.0]
    low, high = min(found), max(found)
    room = (high - low) * margin or max(abs(high) * 0.05, 0.01)
    low, high = low - room, high + room
    return (low if floor is None else max(low, floor)), (high if ceil is None else min(high, ceil))


def score_span(score: FigureInfo, values: Iterable[float], *, margin: float = 0.1) -> tuple[float, float]:
    """A range for an axis of scores that does not make small differences look large: shares get at least 10 points, other
    figures a fifth of the largest value.

    >>> score_span(FigureInfo(), [0.97, 0.98])
    (0.9, 1.0)
    """
    found = list(values) or [0.0, 1.0]
    low, high = span(found, margin=margin, floor=0.0 if score.share else None, ceil=1.0 if score.share else None)
    least = 0.1 if score.share else 0.2 * max(abs(v) for v in found)
    if high - low >= least:
        return low, high
    middle = (low + high) / 2
    low, high = middle - least / 2, middle + least / 2
    if score.share and high > 1:
        low, high = 1 - least, 1.0
    if score.share and low < 0:
        low, high = 0.0, least
    return round(low, 12), high


def log_span(values: Sequence[float]) -> tuple[float, float]:
    """A range on a logarithmic axis that holds the values with some room."""
    return min(values) / 1.5, max(values) * 1.5


@dataclass
class Chart:
    """A chart of a fixed inner size that scales with its place; `label` is its text alternative."""

    label: str
    width: float = 440
    height: float = 270
    left: float = 60
    right: float = 20
    top: float = 16
    bottom: float = 42
    parts: list[str] = field(default_factory=list)

    def x_axis(self, low: float, high: float, *, log: bool = False) -> Axis:
        return Axis(low, high, self.left, self.width - self.right, log)

    def y_axis(self, low: float, high: float, *, log: bool = False) -> Axis:
        return Axis(low, high, self.height - self.bottom, self.top, log)

    def frame(self, x: Axis, y: Axis, x_title: str, y_title: str, x_text: Callable = number, y_text: Callable = number) -> None:
        """Draw grid, ticks and titles."""
        floor = self.height - self.bottom
        for value in y.ticks(5):
            at = y(value)
            self.parts.append(f'<path class="grid" d="M{self.left} {at:.1f}H{self.width - self.right}"/>')
            self.text(self.left - 6, at + 4, y_text(value), "tick end")
        last = -1e9
        for value in x.ticks(5):
            at, words = x(value), x_text(value)
            if at - last < 7.5 * len(words) + 4:
                continue
            last = at
            self.parts.append(f'<path class="grid" d="M{at:.1f} {floor}v4"/>')
            self.text(at, floor + 17, words, "tick mid")
        self.parts.append(f'<path class="axis" d="M{self.left} {floor}H{self.width - self.right}"/>')
        self.text((self.left + self.width - self.right) / 2, self.height - 6, x_title, "title mid")
        middle = (self.top + floor) / 2
        self.parts.append(f'<text class="title mid" transform="translate(13 {middle:.0f}) rotate(-90)">{escape(y_title)}</text>')

    def text(self, x: float, y: float, words: str, css: str = "") -> None:
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{escape(css)}">{escape(words)}</text>')

    def line(self, points: Sequence[tuple[float, float]], css: str, dash: str = "") -> None:
        css, dash = escape(css), escape(dash)
        if len(points) == 1:
            self.parts.append(f'<circle class="mark {css}" cx="{points[0][0]:.1f}" cy="{points[0][1]:.1f}" r="3"/>')
        elif points:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
            extra = f' stroke-dasharray="{dash}"' if dash else ""
            self.parts.append(f'<path class="line {css}" d="{path}"{extra}/>')

    def mark(self, who: str, x: float, y: float, tip: str, size: float = 5, *, hollow: bool = False) -> None:
        """A point in the mark of its role or method."""
        css = f"mark {escape(who)}{' hollow' if hollow else ''}"
        self.parts.append(marks.mark(who, x, y, size, f'class="{css}" data-tip="{escape(tip)}"'))

    def level(self, y: float, words: str, css: str) -> None:
        """A horizontal line over the whole chart with its words above its middle: a teacher's score, chance, a limit."""
        self.parts.append(f'<path class="level {escape(css)}" d="M{self.left} {y:.1f}H{self.width - self.right}"/>')
        self.text((self.left + self.width - self.right) / 2, y - 4, words, "tick mid halo")

    def zone(self, x: float, y: float, width: float, height: float, tip: str) -> None:
        """An invisible area that shows `tip` under the pointer."""
        box = f'x="{x:.1f}" y="{y:.1f}" width="{max(width, 1):.1f}" height="{height:.1f}"'
        self.parts.append(f'<rect class="zone" {box} data-tip="{escape(tip)}"/>')

    def svg(self) -> str:
        size = f'viewBox="0 0 {self.width:.0f} {self.height:.0f}"'
        return f'<svg class="chart" {size} role="img" aria-label="{escape(self.label)}">{"".join(self.parts)}</svg>'
