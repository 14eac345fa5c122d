"""The page of a comparison: verdict, table, charts, failures, every method drawn, how to repeat it."""

import shlex
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from markupsafe import Markup

from limbeck.cards.schema import MethodFacts
from limbeck.cards.words import capital
from limbeck.comparison import board_charts as charts
from limbeck.comparison.board_columns import COST_COLUMNS, BoardColumn, columns, shown
from limbeck.comparison.board_numbers import numbers
from limbeck.comparison.board_read import BoardView, read_board
from limbeck.comparison.leaderboard import scored
from limbeck.comparison.verdict import BASELINE, listed
from limbeck.files import atomic_write
from limbeck.report.frame import Cell, ChartFigure, PageRow, PageSection, PageTable, figure, fill
from limbeck.report.page import shows
from limbeck.runs.folder import Environment
from limbeck.runs.recipes import make
from limbeck.tasks.figure import known, score_in

COSTS: tuple[tuple[charts.Cost, str], ...] = (
    ("latency_ms", "latency"), ("train_seconds", "training time")
)  # fmt: skip
MOST = 8  # columns of a table beside the names
SIDE = "Overlapping marks are placed side by side; hover over one for its value."


def write_board(folder: Path) -> Path:
    """Write `report.html` into a comparison folder from what it holds so far, and return its path."""
    target = Path(folder) / "report.html"
    html = render_board(read_board(Path(folder)))
    with atomic_write(target, text=True) as file:
        file.write(html)
    return target


def render_board(view: BoardView, live: str = "") -> str:
    """The page's HTML for what was read."""
    board = view.board
    data = board["data"]
    cards = [result["card"] for result in view.results if "card" in result]
    return fill(
        "board.html",
        live,
        title=f"{len(view.names) - 1} methods on {(data and data['name']) or 'their data'}",
        version=next((card.get("limbeck", "") for card in cards), ""),
        seeds=view.seeds,
        words=board["verdict"],
        first=numbers(board),
        picture=_picture(view),
        progress=progress(view),
        tables=_tables(view),
        notes=_notes(view),
        sections=_sections(view),
        errors=failures(view),
        methods=_methods(view),
        commands=_commands(view),
        recipe=view.recipe,
        budget=board["budget"],
        data=data or {},
        environment=_environments(view)[0] if _environments(view) else {},
    )


def _picture(view: BoardView) -> ChartFigure:
    """The score against size, with the teacher where it is known."""
    points = charts.cost_points(view, "parameters")
    title = f"{capital(score_in(view.board).title)} against size"
    keys = [{"name": p.name, "css": p.css, "dash": ""} for p in points]
    return figure(charts.cost_chart(view, "parameters"), title, keys) | {"dots": True}


def _tables(view: BoardView) -> list[PageTable]:
    """The methods, best first, in tables of at most `MOST` columns: how well, then at what cost."""
    every = columns(view.board)
    costs = every[-COST_COLUMNS:]
    answers = every[:-COST_COLUMNS]
    parts = [answers[start : start + MOST] for start in range(0, len(answers), MOST)]
    named = [("The methods, best mean score first", parts[0]), *(("Further figures", part) for part in parts[1:])]
    return [_table(view, caption, part) for caption, part in (*named, ("What the methods cost", costs))]


def _table(view: BoardView, caption: str, part: Sequence[BoardColumn]) -> PageTable:
    teacher = view.board["teacher"]
    rows: list[PageRow] = []
    for row in view.board["rows"]:
        cells: list[Cell] = [column.method(row) for column in part]
        rows.append({"name": row["name"], "css": view.css(row["name"]), "strong": row["name"] == BASELINE, "cells": cells})
    if teacher and known(teacher.get("score")):
        rows.append({"name": "teacher", "css": "teacher", "cells": [column.teacher(teacher) for column in part]})
    return {"head": ["method", *(column.title for column in part)], "rows": rows, "caption": caption}


def progress(view: BoardView) -> str:
    """How far an unfinished comparison is; "" once every run has a result."""
    if not view.missing:
        return ""
    total = len(view.names) * len(view.seeds)
    failed = f", {len(view.errors)} of them failed" if view.errors else ""
    shown = [f"{name} with seed {seed}" for name, seed in view.missing[:4]]
    more = f" and {len(view.missing) - 4} more" if len(view.missing) > 4 else ""
    words = ", ".join(shown) + more if more else listed(shown)
    return f"In progress: {len(view.results)} of {total} runs are done{failed}. Still to come: {words}."


class FailureGroup(TypedDict):
    """Runs of a method that failed for the same reason; seeds: in words."""

    entry: str
    seeds: str
    error: str


def failures(view: BoardView) -> list[FailureGroup]:
    """What failed, as the page lists it."""
    found: dict[tuple[str, str], list[str]] = {}
    for result in view.errors:
        found.setdefault((result["entry"], result["error"]), []).append(str(result["seed"]))
    return [
        {"entry": entry, "seeds": f"{'seed' if len(seeds) == 1 else 'seeds'} {listed(seeds)}", "error": error}
        for (entry, error), seeds in found.items()
    ]


def _notes(view: BoardView) -> list[str]:
    board = view.board
    found = [
        "± and [ ] are 95 % intervals over the seeds; differences are paired by seed. p is corrected after Holm: "
        "to the baseline over the methods, to the best over all pairs, because the best was found by looking at all. "
        "Teacher and split of the data are the same in every run, so the intervals do not hold what they would add.",
        f"Hyper-parameters: {board['hyperparameters']}. "
        f"Score: distillation score at alpha {board['alpha']:g}; lower is better. "
        "Latency: one answer at a time, one thread, mean of the runs' medians.",
    ]
    if len(_environments(view)) > 1:
        found.append("The runs were not all made with the same machine and versions; times may not be comparable.")
    every = (note for r in view.results if "card" in r for note in r["card"].get("notes", ()))
    return [*found, *dict.fromkeys(map(str, every))]


def _environments(view: BoardView) -> list[Environment]:
    found: list[Environment] = []
    for run in (run for runs in view.runs.values() for run in runs.values()):
        if run.environment and run.environment not in found:
            found.append(run.environment)
    return found


# --------------------------------------------------------------------------------------- sections


def _sections(view: BoardView) -> list[PageSection]:
    rows = charts.done_rows(view)
    curves = charts.mean_curves(view)
    keys = charts.keys_of(view, [r["name"] for r in rows])
    mates = keys + ([{"name": "teacher", "css": "by teacher", "dash": ""}] if view.board["teacher"] else [])
    title = capital(score_in(view.board).title)
    costs = [
        figure(charts.cost_chart(view, what), f"{title} against {cost}", keys if what == "train_seconds" else mates)
        | {"dots": True}
        for what, cost in COSTS
    ]
    seeds = f"Test {score_in(view.board).title}: each seed, the mean, its 95 % interval"
    wide = figure(charts.seeds_chart(view), seeds) | {"wide": True}
    legend = charts.keys_of(view, list(curves))
    lines = figure(charts.curves_chart(view, curves), f"{title} on validation", legend) | {"wide": True}
    none = "" if rows else "No run is done yet."
    band = "Mean over the seeds; the band goes from the lowest to the highest seed."
    found: list[PageSection] = [
        {"id": "seeds", "title": "Seed by seed", "figures": [wide], "note": none, "values": _seed_values(view), "wide": True},
        {
            "id": "curves",
            "title": "Learning curves",
            "figures": [lines],
            "note": band if curves else "No learning curves were recorded.",
        },
        {"id": "cost", "title": f"{title} against cost", "figures": costs, "note": none or SIDE},
        _alpha_section(view),
    ]
    return [section for section in found if shows(section)]


def _seed_values(view: BoardView) -> PageTable:
    """Every result as a table."""
    rows = charts.done_rows(view)
    score = score_in(view.board)
    lines: list[list[Cell]] = [[r["name"], *(shown(r["scores"].get(str(seed)), score) for seed in view.seeds)] for r in rows]
    return {"head": ["method", *(f"seed {seed}" for seed in view.seeds)], "rows": lines} if rows else {}


def _alpha_section(view: BoardView) -> PageSection:
    rows, changes = scored(view.board["rows"]), view.board["ranking_by_alpha"]
    section: PageSection = {"id": "alpha", "title": "The ranking as size counts more", "figures": []}
    if not rows:
        return section | {
            "note": f"The distillation score needs a teacher's size and {score_in(view.board).title}, which are not known here."
        }
    keys = charts.keys_of(view, [row["name"] for row in rows])
    section["figures"] = [figure(charts.alpha_chart(view), "Distillation score against alpha", keys)]
    if len(changes) == 1:
        return section | {"note": f"The order is the same at every alpha between 0 and 1: {', '.join(changes[0]['order'])}."}
    lines: list[list[Cell]] = [[f"{change['alpha']:.3f}", (", ".join(change["order"]), None)] for change in changes]
    words = f"Alpha weighs size against {score_in(view.board).title}"
    note = f"{words}; the order changes {len(changes) - 1} times between 0 and 1 (dotted lines)."
    values: PageTable = {"head": ["from alpha", "order, best first"], "rows": lines}
    return section | {"note": note, "values": values}


class MethodPart(TypedDict):
    """A method as the page draws it."""

    name: str
    css: str
    svg: Markup
    text: str
    paper: str
    taxonomy: str


def _methods(view: BoardView) -> list[MethodPart]:
    """Each method's abstract view, from its first run that has one; ids are made different, as they share a page."""
    found: list[MethodPart] = []
    for place, name in enumerate(view.names):
        runs = [run for _, run in sorted(view.runs[name].items())]
        method = next((run.card["method"] for run in runs if run.card.get("method")), MethodFacts())
        svg = next((run.svg for run in runs if run.svg), "")
        for word in ("lbk-title", "lbk-desc"):
            svg = svg.replace(word, f"{word}-{place}")
        part: MethodPart = {"name": name, "css": view.css(name), "svg": Markup(svg), "text": method.get("text", ""),
                            "paper": method.get("paper", ""), "taxonomy": method.get("taxonomy", "")}  # fmt: skip
        found.append(part)
    return found


def _commands(view: BoardView) -> list[str]:
    recipe, folder = (shlex.quote(str(path)) for path in (view.folder / "compare.toml", view.folder))
    trust = " --trust" if make(tomllib.loads(view.recipe)).programs else ""
    again = f"limbeck compare --recipe {recipe} --out {shlex.quote(f'{view.folder}-again')}{trust}"
    found = [again] if (view.folder / "compare.toml").exists() else []
    return [*found, f"limbeck report {folder}", f"limbeck watch {folder}"]
