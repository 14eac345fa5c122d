"""The abstract view of a method as a drawing, computed from its declaration."""

import textwrap
from collections.abc import Iterator
from html import escape

from limbeck.catalogue.describe import describe, source_text
from limbeck.catalogue.graph import PAD, ROW, Box, Graph, deployed_roles
from limbeck.catalogue.taxonomy import taxonomy
from limbeck.plan import Method, Stage, Update
from limbeck.plan.actions import action_words
from limbeck.transforms.facts import call_text

WIDTH, MARGIN, LINE = 960, 16, 18
DATA, ROLES, TERMS = (32, 156), (196, 368), (694, 928)  # left and right edges of the outer columns
BETWEEN = (412, 650)
SANS, MONO, BOLD = 6.5, 6.45, 7.5  # generous widths of a character, in pixels, at 11, 10.5 and 12 pixels

STYLE = """
.lbk{--i:var(--ink,#1b2330);--m:var(--muted,#566073);--p:var(--paper,#fff);--b:var(--band,#f2f4f8);--l:var(--line,#c3cad6);
--f:var(--trained,#0b62a4);--o:var(--on-trained,#fff);font-family:"DejaVu Sans",Verdana,"Segoe UI",system-ui,sans-serif}
@media (prefers-color-scheme:dark){.lbk{--i:var(--ink,#e7ebf2);--m:var(--muted,#a4aec0);--p:var(--paper,#12161d);
--b:var(--band,#1b212b);--l:var(--line,#434d5e);--f:var(--trained,#7cc0f5);--o:var(--on-trained,#0b1420)}}
.lbk text{font-size:11px;fill:var(--i)}.lbk .t{font-size:12px;font-weight:600}.lbk .n{fill:var(--m)}
.lbk .c{font-family:"DejaVu Sans Mono",Menlo,Consolas,monospace;font-size:10.5px}
.lbk .e{text-anchor:end}.lbk .y{text-anchor:middle}
.lbk .s{font-size:15px;font-weight:600}.lbk .band{fill:var(--b)}.lbk .box{fill:var(--p);stroke:var(--m);stroke-width:1.2}
.lbk g.on text{fill:var(--o)}.lbk g.on circle{fill:var(--o)}
.lbk g.on rect{fill:var(--f);stroke:var(--f)}.lbk .w{stroke:var(--l);stroke-width:1;fill:none}
.lbk .edge{fill:none;stroke:var(--m);stroke-width:1.3}.lbk .stop{stroke-dasharray:5 4}.lbk circle,.lbk .tip{fill:var(--m)}
""".replace("\n", "")


def svg(method: Method) -> str:
    """Draw a method: a band per stage; data and views, roles with their taps, functions and learned parts, terms.

    The drawing is 960 wide and as high as needed, follows a light or dark surrounding, and carries the
    method's description as its text alternative.
    """
    body: list[str] = []
    y = _header(method, body)
    deployed = deployed_roles(method)
    for number, stage in enumerate(method.stages):
        if number:
            body.append(f'<path class="edge" d="M{WIDTH / 2} {y}v16"/>{_tip(WIDTH / 2, y + 20, down=True)}')
            y += 22
        y = _band(method, stage, number, y, body, deployed if stage is method.stages[-1] else frozenset())
    y = _footer(method, y + 8, body)
    title, described = escape(f"{method.name or 'method'}: drawing"), escape(describe(method))
    return (
        f'<svg class="lbk" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y:.0f}" width="{WIDTH}" height="{y:.0f}" '
        f'role="img" aria-labelledby="lbk-title lbk-desc"><title id="lbk-title">{title}</title>'
        f'<desc id="lbk-desc">{described}</desc><style>{STYLE}</style>'
        f'<rect width="{WIDTH}" height="{y:.0f}" fill="var(--p)"/>{"".join(body)}</svg>'
    )


def _header(method: Method, body: list[str]) -> float:
    arguments = ", ".join(f"{k}={v!r}" for k, v in method.arguments.items())
    y = 28.0
    body.append(_text(MARGIN, y, method.name or "method", "s"))
    lines = [(arguments, "c"), (f"{method.year or ''}  {method.paper}".strip(), ""), (str(taxonomy(method)), "")]
    for line, css in lines:
        for row in _wrapped(line, WIDTH - 2 * MARGIN, css):
            y += LINE
            body.append(_text(MARGIN, y, row, css or "n"))
    return y + 14


def _band(method: Method, stage: Stage, number: int, y: float, body: list[str], deployed: frozenset[str]) -> float:
    """One stage; returns the height below it."""
    inside: list[str] = []
    top, y = y, y + 24
    share = f"{stage.steps} step{'s' * (stage.steps != 1)}" if stage.steps is not None else f"share {stage.share:g} of the budget"
    inside.append(_text(DATA[0], y, _fit(f"stage {number + 1}: {stage.name}", 560, BOLD), "t"))
    inside.append(_text(TERMS[1], y, share, "n e"))
    actions = [*(("first: ", a) for a in stage.before), *(("after each step: ", a) for a in stage.after_step)]
    for when, action in actions:
        for row in _wrapped(when + action_words(action), TERMS[1] - DATA[0], ""):
            y += LINE
            inside.append(_text(DATA[0], y, row, "n"))
    for turn, update in enumerate(stage.updates):
        if turn:
            inside.append(f'<path class="w" d="M{DATA[0]} {y + 4}H{TERMS[1]}"/>')
            y += 8
        of = f"step {turn + 1} of {len(stage.updates)}: " if len(stage.updates) > 1 else ""
        for row in _wrapped(of + _update_words(update), TERMS[1] - DATA[0], ""):
            y += LINE
            inside.append(_text(DATA[0], y, row, ""))
        y += 12
        graph = Graph(method, stage, update, deployed)
        inside += _draw(graph, y)
        y += graph.height + 14
    body.append(f'<rect class="band" x="{MARGIN}" y="{top}" width="{WIDTH - 2 * MARGIN}" height="{y - top:.0f}" rx="10"/>')
    body += inside
    return y


def _update_words(update: Update) -> str:
    words = "trains " + ", ".join(update.trains)
    words += f", {update.repeat} times" if update.repeat != 1 else ""
    words += f", by {call_text(update.apply)}" if update.apply is not None else ""
    return words + (f", with {call_text(update.optimizer)}" if update.optimizer is not None else "")


def _footer(method: Method, y: float, body: list[str]) -> float:
    for row in _wrapped(f"deploys: {source_text(method.deployed)}", WIDTH - 2 * MARGIN, "t"):
        y += LINE
        body.append(_text(MARGIN, y, row, "t"))
    y += 24
    marks = (
        ('<g class="on"><rect width="20" height="12" y="-10" rx="2"/></g>', "trains"),
        ('<rect class="box" width="20" height="12" y="-10" rx="2"/>', "frozen"),
        ('<rect class="box" width="20" height="12" y="-10" rx="6"/>', "learned part"),
        ('<path class="edge" d="M0 -4h22"/>', "values and gradients"),
        ('<path class="edge stop" d="M0 -4h22"/>', "values only: no gradient flows back"),
    )
    x = float(MARGIN)
    for mark, label in marks:
        body.append(f'<g transform="translate({x:.0f} {y})">{mark}{_text(28, 0, label, "n")}</g>')
        x += 56 + SANS * len(label)
    return y + 16


# ---------------------------------------------------------------------------------------------- one update


def _edges(column: int, depth: int) -> tuple[float, float]:
    """The left and right edge of a column."""
    if column < 2:
        return (DATA, ROLES)[column]
    if column == depth + 2:
        return TERMS
    gap = 34
    width = (BETWEEN[1] - BETWEEN[0] - gap * (depth - 1)) / depth
    left = BETWEEN[0] + (width + gap) * (column - 2)
    spare = max(0.0, width - 190) / 2
    return left + spare, left + width - spare


def _draw(graph: Graph, y: float) -> Iterator[str]:
    for edge in graph.edges:
        start, end = graph.boxes[edge.start], graph.boxes[edge.end]
        x1, x2 = _edges(start.column, graph.depth)[1], _edges(end.column, graph.depth)[0]
        y1, y2 = y + start.port_y(edge.start_port), y + end.port_y(edge.end_port)
        bend = (x2 - x1) / 2
        tip = "" if end.kind == "lane" else _tip(x2, y2)
        css = "edge stop" if edge.stopped else "edge"
        short = 0 if end.kind == "lane" else 5
        yield (
            f'<path class="{css}" d="M{x1:.1f} {y1:.1f}C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} '
            f'{x2 - short:.1f} {y2:.1f}"/>{tip}'
        )
    for key, box in graph.boxes.items():
        left, right = _edges(box.column, graph.depth)
        if box.kind == "lane":
            stopped = any(edge.stopped for edge in graph.edges if edge.end == key)
            middle = y + box.y + box.height / 2
            yield f'<path class="edge{" stop" if stopped else ""}" d="M{left:.1f} {middle:.1f}H{right:.1f}"/>'
        else:
            yield _box(box, left, right, y)


def _box(box: Box, left: float, right: float, y: float) -> str:
    width, top = right - left, y + box.y
    radius = {"part": 18, "function": 12, "term": 3, "data": 3}.get(box.kind, 3)
    parts = [
        f'<g class="{"on" if box.trained else "off"}"><title>{escape(box.full)}</title>'
        f'<rect class="box" x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{box.height:.1f}" rx="{radius}"/>'
    ]
    line = top + PAD + ROW / 2 + 4
    for number, head in enumerate(box.head):
        parts.append(_head(box, number, head, left, right, line))
        line += ROW
    for label in box.ports.values():
        at_left = box.kind == "term"
        x, css = (left + 12, "c") if at_left else (right - 12, "c e")
        dot = "" if at_left else f'<circle cx="{right:.1f}" cy="{line - 4:.1f}" r="3"/>'
        parts.append(dot + _text(x, line, _fit(label, width - 20, MONO), css))
        line += ROW
    return "".join(parts) + "</g>"


def _head(box: Box, number: int, head: str, left: float, right: float, line: float) -> str:
    width = right - left - 16
    if box.kind in ("part", "function"):
        css, size = ("t", BOLD) if box.kind == "part" and not number else ("c" if box.kind == "function" else "n", SANS)
        return _text((left + right) / 2, line, _fit(head, width + 6, size), css + " y")
    name, tab, beside = head.partition("\t")
    if tab:
        name = _fit(name, width - SANS * len(beside) - 10, BOLD)
        weight = _text(right - 8, line, _fit(beside, width - 40, SANS), "n e") if beside else ""
        return _text(left + 8, line, name, "t") + weight
    if number:
        return _text(left + 8, line, _fit(head, width, MONO), "c" if box.kind == "term" else "n")
    return _text(left + 8, line, _fit(head, width, BOLD), "t")


# ------------------------------------------------------------------------------------------------ pieces


def _tip(x: float, y: float, *, down: bool = False) -> str:
    shape = f"M{x:.1f} {y:.1f}l-4 -7h8z" if down else f"M{x:.1f} {y:.1f}l-7 -4v8z"
    return f'<path class="tip" d="{shape}"/>'


def _text(x: float, y: float, words: str, css: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{css}">{escape(words)}</text>'


def _fit(words: str, width: float, per_character: float) -> str:
    room = max(3, int(width / per_character))
    return words if len(words) <= room else words[: room - 1].rstrip() + "…"


def _wrapped(words: str, width: float, css: str) -> list[str]:
    size = {"c": MONO, "t": BOLD}.get(css, SANS)
    return textwrap.wrap(words, int(width / size)) if words else []
