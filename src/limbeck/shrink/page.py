"""The page of a search: the answer, accuracy against latency and size, every training, every candidate."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from limbeck.files import atomic_write
from limbeck.report.charts import Axis, Chart, log_span, span
from limbeck.report.frame import figure, fill
from limbeck.report.words import bytes_words, count, number, percent
from limbeck.shrink.study import score_of
from limbeck.shrink.verdict import front

COSTS = {"latency_ms": ("latency in ms", number, "latency", 1e3), "bytes": ("size of the file", bytes_words, "size", 1.0)}


def write_page(folder: Path) -> Path:
    """Write `shrink.html` from `shrink.json` and return its path."""
    state = json.loads((folder / "shrink.json").read_text(encoding="utf-8"))
    with atomic_write(folder / "shrink.html", text=True) as file:
        file.write(page(state))
    return folder / "shrink.html"


def page(state: Mapping[str, Any]) -> str:
    """The page's HTML."""
    trials, chosen = state.get("trials") or [], (state["verdict"].get("chosen") or {}).get("number")
    kept = [t for t in trials if t["state"] == "complete" and t["validation"] is not None]
    charts = [figure(pareto_chart(state, kept, cost, chosen), f"Validation accuracy against {COSTS[cost][0]}") for cost in COSTS]
    asked = state["asked"]
    return fill(
        "shrink.html",
        title=f"A student for {asked['recipe']['data']['name']} within a budget",
        words=state["verdict"]["words"],
        limits=_limits(asked["limits"], asked),
        figures=[c for c in charts if c["svg"]],
        trials=[_trial(t, state, chosen) for t in sorted(trials, key=lambda t: -(t["validation"] or 0.0))],
        candidates=[_candidate(row) for row in state.get("candidates") or []],
        spent=state.get("spent"),
    )


def _limits(limits: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    said = [f"at most {number(1e3 * limits['latency'])} ms"] if limits["latency"] else []
    said += [f"at most {bytes_words(limits['size'])}"] if limits["size"] else []
    said += [f"at least {percent(limits['accuracy'])} accuracy"] if limits["accuracy"] else []
    how = f"{asked['format']}{' int8' if asked['int8'] else ''} on {asked['on']}, {asked['threads']} thread, batch 1"
    return f"Asked for: {', '.join(said) or 'no limit'}; measured as {how}."


def pareto_chart(state: Mapping[str, Any], trials: Sequence[Mapping[str, Any]], cost: str, chosen: int | None) -> str:
    """Every finished training; filled ones are beaten by none in both directions, and joined by a line."""
    if not trials:
        return ""
    title, words, limit_name, scale = COSTS[cost]
    best = front(trials, cost)
    said = "; ".join(f"{t['candidate']} {words(t[cost])}, {percent(t['validation'])}" for t in best)
    chart = Chart(f"Scatter chart: validation accuracy against {title}. Not beaten: {said}.", width=460)
    limit = (state["asked"]["limits"][limit_name] or 0.0) * scale
    values = [t[cost] for t in trials] + ([limit] if limit else [])
    log = max(values) > 8 * min(values)
    x = chart.x_axis(*(log_span(values) if log else span(values, margin=0.1, floor=0)), log=log)
    y = chart.y_axis(*span([t["validation"] for t in trials], floor=0, ceil=1, margin=0.1))
    chart.frame(x, y, title + (" (logarithmic)" if log else ""), "validation accuracy", words, lambda v: f"{100 * v:.3g}%")
    if limit:
        _limit_line(chart, x(limit), f"limit {words(limit)}")
    chart.line([(x(t[cost]), y(t["validation"])) for t in best], "by student")
    for t in trials:
        _mark(chart, x, y, t, cost, t in best, t["number"] == chosen)
    return chart.svg()


def _limit_line(chart: Chart, at: float, words: str) -> None:
    floor = chart.height - chart.bottom
    chart.parts.append(f'<path class="line by teacher" stroke-dasharray="4 3" d="M{at:.1f} {chart.top}V{floor}"/>')
    chart.text(at - 5, chart.top + 10, words, "tick end")


def _mark(chart: Chart, x: Axis, y: Axis, t: Mapping[str, Any], cost: str, best: bool, chosen: bool) -> None:
    cost_words = f"{number(t['latency_ms'])} ms, {bytes_words(t['bytes'])}"
    words = f"{t['candidate']}\n{percent(t['validation'], 2)} on validation\n{cost_words}"
    at = x(t[cost]), y(t["validation"])
    chart.mark("student", *at, words, 6 if chosen else 4, hollow=not best)
    if chosen:
        left = at[0] < (chart.left + chart.width) / 2
        chart.text(at[0] + (10 if left else -10), at[1] + 18, f"chosen: {t['candidate']}"[:44], f"tick{'' if left else ' end'}")


def _trial(t: Mapping[str, Any], state: Mapping[str, Any], chosen: int | None) -> dict[str, Any]:
    teacher = state.get("teacher") or {}
    alpha = state["asked"]["recipe"]["alpha"]
    score = score_of(t, teacher.get("parameters") or 0, teacher.get("validation") or 0.0, alpha)
    settings = ", ".join(f"{k} {v:.3g}" for k, v in t["settings"].items())
    outcome = {"complete": "trained to the end", "pruned": "ended early", "running": "cut off", "fail": "failed"}
    cells = [
        (percent(t["validation"], 2), t["validation"]),
        (f"{number(t['latency_ms'])} ms", t["latency_ms"]),
        (bytes_words(t["bytes"]), t["bytes"]),
        (count(t["parameters"]), t["parameters"]),
        ("–" if score is None else f"{score:.4f}", score),
    ]
    said = t["error"] or outcome.get(t["state"], t["state"])
    return {"name": t["candidate"], "chosen": t["number"] == chosen, "cells": cells, "settings": settings, "state": said}


def _candidate(row: Mapping[str, Any]) -> dict[str, Any]:
    cost = [f"{number(row['latency_ms'])} ms", bytes_words(row["bytes"])] if row.get("latency_ms") is not None else ["–", "–"]
    return {"name": row["name"], "cells": [count(row.get("parameters")), *cost], "dropped": row["dropped"] or "fits"}
