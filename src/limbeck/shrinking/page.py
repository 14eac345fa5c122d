"""The page of a search: the answer, score against latency and size, every training, every candidate."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from limbeck.cards.words import bytes_words, count, number
from limbeck.files import atomic_write
from limbeck.report.charts import Axis, Chart, log_span, score_span, span
from limbeck.report.frame import Cell, PageRow, PageTable, figure, fill
from limbeck.report.headline import Tile
from limbeck.runs.recipes import make
from limbeck.shrinking.schema import CandidateRow, Cost, SearchRequest, Shrunk, TrialRow, read_search
from limbeck.shrinking.study import score_of
from limbeck.shrinking.verdict import front, reached
from limbeck.tasks.figure import FigureInfo, known, score_in

COSTS: Mapping[Cost, tuple[str, Callable[[float], str]]] = {
    "latency_ms": ("latency in ms", number),
    "bytes": ("file size", bytes_words),
}


def write_page(folder: Path) -> Path:
    """Write `shrink.html` from `shrink.json` and return its path."""
    state = read_search(folder)
    with atomic_write(folder / "shrink.html", text=True) as file:
        file.write(page(state))
    return folder / "shrink.html"


def page(state: Shrunk) -> str:
    """The page's HTML, once there is a verdict."""
    trials, best = state["trials"], state["verdict"]["chosen"]
    chosen = best["number"] if best else None
    kept = [t for t in trials if t["state"] == "complete" and t["validation"] is not None]
    title = f"Validation {score_in(state).title}"
    charts = [figure(pareto_chart(state, kept, cost, chosen), f"{title} against {COSTS[cost][0]}") for cost in COSTS]
    asked = state["asked"]
    limits = asked["limits"]
    drawn = [c for c in (reversed(charts) if limits["size"] and not limits["latency"] else charts) if c["svg"]]
    return fill(
        "shrink.html",
        title=f"A student for {make(asked['recipe']).data.name} within a budget",
        words=state["verdict"]["words"],
        limits=_limits(asked, score_in(state)),
        first=numbers(state),
        picture=next(iter(drawn), {}),
        figures=drawn[1:],
        trials=_trials(state, trials, chosen),
        candidates=_candidates(state),
        spent=state["spent"],
    )


def _limits(asked: SearchRequest, score: FigureInfo) -> str:
    limits = asked["limits"]
    said = [f"at most {number(1e3 * limits['latency'])} ms"] if limits["latency"] else []
    said += [f"at most {bytes_words(limits['size'])}"] if limits["size"] else []
    said += [f"at least {score.text(limits['score'])} {score.title}"] if limits["score"] else []
    how = f"{asked['format']}{' int8' if asked['int8'] else ''} on {asked['on']}, {asked['threads']} thread, batch 1"
    return f"Limits: {', '.join(said) or 'no limit'}; measured as {how}."


def pareto_chart(state: Shrunk, trials: Sequence[TrialRow], cost: Cost, chosen: int | None) -> str:
    """Every finished training; filled ones are beaten by none in both directions, and joined by a line."""
    if not trials:
        return ""
    (title, words), score = COSTS[cost], score_in(state)
    best = front(trials, cost)
    said = "; ".join(f"{t['candidate']} {words(t[cost])}, {score.text(t['validation'])}" for t in best)
    chart = Chart(f"Scatter chart: validation {score.title} against {title}. Not beaten: {said}.", width=460)
    limits = state["asked"]["limits"]
    limit = 1e3 * (limits["latency"] or 0.0) if cost == "latency_ms" else (limits["size"] or 0.0)
    values = [t[cost] for t in trials] + ([limit] if limit else [])
    log = max(values) > 8 * min(values)
    x = chart.x_axis(*(log_span(values) if log else span(values, margin=0.1, floor=0)), log=log)
    known_levels = levels(state)
    y = chart.y_axis(*score_span(score, [*(reached(t) for t in trials), *(v for _, v, css in known_levels if css == "teacher")]))
    chart.frame(x, y, title + (" (logarithmic)" if log else ""), f"validation {score.title}", words, score.tick)
    if limit:
        _limit_line(chart, x(limit), f"limit {words(limit)}")
    for name, value, css in known_levels:
        if y.low <= value <= y.high:
            chart.level(y(value), f"{name} {score.text(value)}", css)
    chart.line([(x(t[cost]), y(reached(t))) for t in best], "by student")
    for t in trials:
        _mark(chart, y, t, score, at=x(t[cost]), best=t in best, chosen=t["number"] == chosen)
    return chart.svg()


def levels(state: Shrunk) -> list[tuple[str, float, str]]:
    """Scores on validation that the students stand beside: the teacher's, and that of an answer that does not look."""
    teacher, guess = state.get("teacher"), state.get("guess")
    found = [("teacher", teacher["validation"], "teacher")] if teacher is not None else []
    found += [("chance", guess, "chance")]
    return [(name, value, css) for name, value, css in found if value is not None]


def _limit_line(chart: Chart, at: float, words: str) -> None:
    floor = chart.height - chart.bottom
    chart.parts.append(f'<path class="axis" stroke-dasharray="4 3" d="M{at:.1f} {chart.top}V{floor}"/>')
    chart.text(at - 5, chart.height - chart.bottom - 6, words, "tick end halo")


def _mark(chart: Chart, y: Axis, t: TrialRow, score: FigureInfo, *, at: float, best: bool, chosen: bool) -> None:
    cost_words = f"{number(t['latency_ms'])} ms, {bytes_words(t['bytes'])}"
    words = f"{t['candidate']}\n{score.text(t['validation'], 2)} on validation\n{cost_words}"
    up = y(reached(t))
    chart.mark("student", at, up, words, 6 if chosen else 4, hollow=not best)
    if chosen:
        left = at < (chart.left + chart.width) / 2
        chart.text(at + (12 if left else -12), up - 6, f"chosen: {t['candidate']}"[:44], f"tick halo{'' if left else ' end'}")


def numbers(state: Shrunk) -> list[Tile]:
    """What the chosen student reaches, how much smaller than its teacher it is, and what its file takes of each limit."""
    best, teacher, score = state["verdict"]["chosen"], state.get("teacher"), score_in(state)
    if best is None:
        return []
    limits, file = state["asked"]["limits"], state.get("chosen")
    theirs = teacher["validation"] if teacher is not None else None
    beside = [f"teacher {score.text(theirs)}"] if known(theirs) else []
    beside += [f"on test {score.text(file['score'])}"] if file is not None and known(file["score"]) else []
    found: list[Tile] = [(f"{score.title} on validation", score.text(best["validation"]), tuple(beside))]
    if teacher is not None and best["parameters"]:
        ratio = f"{number(teacher['parameters'] / best['parameters'])} times"
        found.append(("smaller", ratio, (f"{count(best['parameters'])} parameters, teacher {count(teacher['parameters'])}",)))
    size, speed = (file or best)["bytes"], (file or best)["latency_ms"]
    most = f"limit {bytes_words(limits['size'])}" if limits["size"] else "no limit of size"
    fast = f"limit {number(1e3 * limits['latency'])} ms" if limits["latency"] else "no limit of latency"
    return [*found, ("its file", f"{bytes_words(size)}, {number(speed)} ms", (most, fast))]


def _trials(state: Shrunk, trials: Sequence[TrialRow], chosen: int | None) -> PageTable:
    """Every training, the best on validation first."""
    better = score_in(state).better
    order = sorted(trials, key=lambda t: (t["validation"] is None, (-1 if better == "higher" else 1) * (t["validation"] or 0.0)))
    head = ["student", "validation", "latency", "file", "parameters", "score", "settings", "outcome"]
    score = "Distillation score: size and validation score against the teacher's; lower is better."
    words = ["", "Score on validation, by which students are chosen.", "Median of one answer of the untrained file.",
             "Its size.", "", score, "What the search drew.", ""]  # fmt: skip
    rows = [_trial(t, state, chosen) for t in order]
    return {"head": head, "rows": rows, "words": words, "caption": "Every training, best on validation first"} if rows else {}


def _trial(t: TrialRow, state: Shrunk, chosen: int | None) -> PageRow:
    teacher, alpha = state.get("teacher"), make(state["asked"]["recipe"]).alpha
    distilled = None if teacher is None else score_of(t, teacher["parameters"], teacher["validation"] or 0.0, alpha)
    settings = ", ".join(f"{k} {v:.3g}" for k, v in t["settings"].items())
    outcome = {"complete": "trained to the end", "pruned": "ended early", "running": "cut off", "fail": "failed"}
    cells: list[Cell] = [
        (score_in(state).text(t["validation"], 2), t["validation"]),
        (f"{number(t['latency_ms'])} ms", t["latency_ms"]),
        (bytes_words(t["bytes"]), t["bytes"]),
        (count(t["parameters"]), t["parameters"]),
        ("–" if distilled is None else f"{distilled:.4f}", distilled),
        settings,
        t["error"] or ("chosen" if t["number"] == chosen else outcome.get(t["state"], t["state"])),
    ]
    return {"name": t["candidate"], "css": "student", "strong": t["number"] == chosen, "cells": cells}


def _candidates(state: Shrunk) -> PageTable:
    """Every candidate, the cheapest first, and what became of it: dropped by a limit, trained, or never begun."""
    begun = {t["candidate"] for t in state["trials"]}
    rows = [_candidate(row, begun) for row in state.get("candidates", [])]
    head = ["student", "parameters", "latency", "file", "what became of it"]
    return {"head": head, "rows": rows, "caption": "Every candidate, the cheapest first"}


def _candidate(row: CandidateRow, begun: Collection[str]) -> PageRow:
    speed: Cell = (f"{number(row['latency_ms'])} ms", row["latency_ms"]) if "latency_ms" in row else "–"
    size: Cell = (bytes_words(row["bytes"]), row["bytes"]) if "bytes" in row else "–"
    fate = row["dropped"] or ("fits, trained" if row["name"] in begun else "fits, not trained: the search ended before its turn")
    return {"name": row["name"], "cells": [(count(row["parameters"]), row["parameters"]), speed, size, fate]}
