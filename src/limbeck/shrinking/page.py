"""The page of a search: the answer, score against latency and size, every training, every candidate."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypedDict

from limbeck.cards.words import bytes_words, count, number
from limbeck.files import atomic_write
from limbeck.report.charts import Axis, Chart, log_span, span
from limbeck.report.figures import limits as limits_of
from limbeck.report.frame import Cell, figure, fill
from limbeck.runs.recipes import make
from limbeck.shrinking.schema import CandidateRow, Cost, SearchRequest, Shrunk, TrialRow, read_search
from limbeck.shrinking.study import score_of
from limbeck.shrinking.verdict import front, reached
from limbeck.tasks.figure import FigureInfo, score_in

COSTS: Mapping[Cost, tuple[str, Callable[[float], str]]] = {
    "latency_ms": ("latency in ms", number),
    "bytes": ("file size", bytes_words),
}


class TrialLine(TypedDict):
    """A training as the page's table has it."""

    name: str
    chosen: bool
    cells: list[Cell]
    settings: str
    state: str


class CandidateLine(TypedDict):
    """A candidate as the page's table has it."""

    name: str
    cells: list[str]
    dropped: str


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
    return fill(
        "shrink.html",
        title=f"A student for {make(asked['recipe']).data.name} within a budget",
        words=state["verdict"]["words"],
        limits=_limits(asked, score_in(state)),
        figures=[c for c in charts if c["svg"]],
        trials=[_trial(t, state, chosen) for t in sorted(trials, key=lambda t: -(t["validation"] or 0.0))],
        candidates=[_candidate(row) for row in state.get("candidates", [])],
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
    y = chart.y_axis(*span([reached(t) for t in trials], **limits_of(score), margin=0.1))
    chart.frame(x, y, title + (" (logarithmic)" if log else ""), f"validation {score.title}", words, score.tick)
    if limit:
        _limit_line(chart, x(limit), f"limit {words(limit)}")
    chart.line([(x(t[cost]), y(reached(t))) for t in best], "by student")
    for t in trials:
        _mark(chart, y, t, score, at=x(t[cost]), best=t in best, chosen=t["number"] == chosen)
    return chart.svg()


def _limit_line(chart: Chart, at: float, words: str) -> None:
    floor = chart.height - chart.bottom
    chart.parts.append(f'<path class="line by teacher" stroke-dasharray="4 3" d="M{at:.1f} {chart.top}V{floor}"/>')
    chart.text(at - 5, chart.top + 10, words, "tick end")


def _mark(chart: Chart, y: Axis, t: TrialRow, score: FigureInfo, *, at: float, best: bool, chosen: bool) -> None:
    cost_words = f"{number(t['latency_ms'])} ms, {bytes_words(t['bytes'])}"
    words = f"{t['candidate']}\n{score.text(t['validation'], 2)} on validation\n{cost_words}"
    up = y(reached(t))
    chart.mark("student", at, up, words, 6 if chosen else 4, hollow=not best)
    if chosen:
        left = at < (chart.left + chart.width) / 2
        chart.text(at + (10 if left else -10), up + 18, f"chosen: {t['candidate']}"[:44], f"tick{'' if left else ' end'}")


def _trial(t: TrialRow, state: Shrunk, chosen: int | None) -> TrialLine:
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
    ]
    said = t["error"] or outcome.get(t["state"], t["state"])
    return {"name": t["candidate"], "chosen": t["number"] == chosen, "cells": cells, "settings": settings, "state": said}


def _candidate(row: CandidateRow) -> CandidateLine:
    cost = [f"{number(row['latency_ms'])} ms", bytes_words(row["bytes"])] if "latency_ms" in row else ["–", "–"]
    return {"name": row["name"], "cells": [count(row["parameters"]), *cost], "dropped": row["dropped"] or "fits"}
