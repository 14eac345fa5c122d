"""`limbeck survey`: the two tables, the score of the papers and of what was measured, and the survey's own example."""

import json
from collections.abc import Iterator
from typing import TypedDict

from rich.console import Console
from rich.table import Table
from rich.text import Text

from limbeck.catalogue.survey.measured import Relations, Spread, SurveyResult, measured, relations, verdict
from limbeck.catalogue.survey.systems import EXAMPLE, EXAMPLE_TEACHER, SYSTEMS, System, score_of_paper
from limbeck.catalogue.taxonomy import taxonomy
from limbeck.methods import CATALOGUE, find
from limbeck.metrics.score import distillation_score
from limbeck.plan import Method

WIDE = 130  # columns that the widest table takes without breaking words
TITLES = {"soft labels": "Soft labels only", "other parts": "Other parts than, or in addition to, soft labels"}


class TaxonomyPlace(TypedDict):
    """A row's place in the taxonomy, computed from its declaration."""

    knowledge: str
    scheme: str
    ratio: str


class Paper(TypedDict):
    """What the survey reports of a row."""

    drop: float | None
    gain: float | str | None
    cut: float | None
    score: float | None


class SurveyVerdict(SurveyResult, Relations):
    """What was measured, with the survey's percentages and a verdict."""

    verdict: str


class SystemRow(TypedDict):
    """One system: as the survey has it, as it is declared here, and as it was measured."""

    row: int
    reference: str
    architecture: str
    data: str
    place: TaxonomyPlace | None
    method: str | None
    arguments: dict[str, object]
    paper: Paper
    measured: SurveyVerdict | None


def declared(system: System) -> Method | None:
    """The row's method as a value; None while it is not in the catalogue."""
    return find(system.method)(**system.arguments) if system.method in CATALOGUE else None


def rows(alpha: float) -> Iterator[SystemRow]:
    """Every row with its place computed from the declaration, the paper's figures, and what was measured."""
    for system in SYSTEMS:
        method, found = declared(system), measured().get(system.row)
        place = taxonomy(method) if method is not None else None
        yield {
            "row": system.row,
            "reference": system.reference,
            "architecture": system.architecture,
            "data": system.data,
            "place": None if place is None else TaxonomyPlace(knowledge=place.knowledge, scheme=place.scheme, ratio=place.ratio),
            "method": system.method if method is not None else None,
            "arguments": dict(system.arguments),
            "paper": {
                "drop": system.drop,
                "gain": system.gain if system.gain is not None else (system.gain_words or None),
                "cut": system.cut,
                "score": score_of_paper(system, alpha),
            },
            "measured": None if found is None else SurveyVerdict(**found, **relations(found, alpha), verdict=verdict(found)),
        }


def example(alpha: float) -> list[dict[str, float]]:
    """The survey's four students of one teacher, with their scores."""
    return [{"size": s, "accuracy": a, "score": distillation_score(s, 1.0, a, EXAMPLE_TEACHER, alpha)} for s, a in EXAMPLE]


def as_json(alpha: float) -> str:
    """All of it as JSON."""
    found = {"alpha": alpha, "rows": list(rows(alpha)), "example": {"teacher": EXAMPLE_TEACHER, "students": example(alpha)}}
    return json.dumps(found, indent=1)


def show(alpha: float) -> None:
    """Print the tables."""
    console, every = Console(), list(rows(alpha))
    if not console.is_terminal and console.width < WIDE:
        console.width = WIDE  # a pipe has no width of its own
    for knowledge, title in TITLES.items():
        console.print(Text(title, "bold"))
        table = _table_of_papers()
        for scheme in ("offline", "online"):
            table.add_row("", Text(scheme, "italic"))
            for r, system in zip(every, SYSTEMS, strict=True):
                if (system.knowledge, system.scheme) == (knowledge, scheme):
                    _add_paper(table, r)
        console.print(table)
        console.print()
    console.print(Text("Measured here: test score in percent, mean over the seeds +- half of its 95 % interval", "bold"))
    console.print(_measured([(r, r["measured"]) for r in every if r["measured"]], wide=console.width >= WIDE))
    if console.width < WIDE:
        console.print(
            f"A terminal of {WIDE} columns also shows data, budget, size cut and score; --json has all.", highlight=False
        )
    for row in every:
        if row["measured"] and (cause := row["measured"].get("cause")):
            console.print(f"{row['row']}: {cause}", soft_wrap=True, highlight=False)
    open_rows = [str(row["row"]) for row in every if not row["measured"]]
    if open_rows:
        console.print(f"Not measured yet: rows {', '.join(open_rows)}.", highlight=False)
    console.print()
    _example(console, alpha)


def _table_of_papers() -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("", "reference", "architecture", "data"):
        table.add_column(name, no_wrap=name == "")
    for name in ("drop %", "gain %", "size cut %", "score"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("method", overflow="fold")
    table.add_column("place, computed", overflow="fold")
    return table


def _add_paper(table: Table, r: SystemRow) -> None:
    paper, place = r["paper"], r["place"]
    words = "not in the catalogue" if place is None else f"{place['knowledge']}, {place['scheme']}, {place['ratio']}"
    figures = [_figure(value) for value in (paper["drop"], paper["gain"], paper["cut"])]
    score, name = _number(paper["score"], 4), r["method"] or "-"
    table.add_row(str(r["row"]), r["reference"], r["architecture"], r["data"], *figures, score, name, words)


def _measured(found: list[tuple[SystemRow, SurveyVerdict]], *, wide: bool) -> Table:
    """wide: with data, budget, size cut and score."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "method", *(("data and budget",) if wide else ())):
        table.add_column(name, overflow="fold", no_wrap=name == "", min_width=10 if name else None)
    for name in ("seeds", "teacher", "baseline", "student", *(("size cut %", "score") if wide else ())):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("student against baseline", min_width=16)
    for r, m in found:
        cells = [str(r["row"]), m["method"], *([f"{m['data']}; {m['budget']}"] if wide else []), str(m["seeds"])]
        cells += [_interval(spread) for spread in (m["teacher"], m["baseline"], m["student"])]
        cells += [_number(m["cut"], 3), _number(m["score"], 4)] if wide else []
        table.add_row(*cells, m["verdict"])
    return table


def _example(console: Console, alpha: float) -> None:
    students = example(alpha)
    console.print(Text(f"The survey's example of the score, alpha = {alpha:g}: four students of one teacher", "bold"))
    best = min(range(len(students)), key=lambda k: students[k]["score"])
    for k, student in enumerate(students):
        mark = "  best" if k == best else ""
        line = f"size ratio {student['size']:.4f}  accuracy {student['accuracy']:.2f}  score {student['score']:.4f}{mark}"
        console.print(line, highlight=False)
    console.print(
        f"Too little and too much compression both lose: the best ratio is {students[best]['size']:.4f}.", highlight=False
    )


def _figure(value: float | str | None) -> str:
    """A figure of a paper, as the survey prints it."""
    return "-" if value is None else value if isinstance(value, str) else f"{value:g}"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}g}" if abs(value) >= 1 else f"{value:.4f}"


def _interval(found: Spread | None) -> str:
    if found is None:
        return "-"
    half = "" if found["low"] is None or found["high"] is None else f" +-{(found['high'] - found['low']) / 2:.2f}"
    return f"{found['mean']:.2f}{half}"
