"""The table of a comparison: rows per method, paired differences, and the order as alpha moves.

Letters: s seeds, m methods (the baseline is one of them).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations
from math import isfinite
from pathlib import Path
from statistics import fmean

from limbeck.cards.schema import Card, ModelEntry, median_of
from limbeck.comparison.schema import VERSION, Board, BoardRow, Gap, Ranking, RunResult, mean_of
from limbeck.comparison.verdict import BASELINE, verdict
from limbeck.metrics.score import distillation_score
from limbeck.metrics.significance import Paired, corrected, mean_interval, paired, seeds_needed
from limbeck.runs.settings import Recipe
from limbeck.tasks.figure import FigureInfo, figures_in, score_in

Cards = Mapping[str, Mapping[int, Card]]  # method -> seed -> card


def leaderboard(results: Sequence[RunResult], recipe: Recipe, names: Sequence[str], seeds: Sequence[int]) -> Board:
    """Rows per method, best mean first, with paired differences to the baseline and to the best, and a verdict.

    results: runs that are still missing are simply not among them.
    p is corrected after Holm: to the baseline over m - 1 comparisons; to the best over all m (m - 1) / 2 pairs,
    because which method is the best is read off the same results.
    """
    by, failed = _sorted_out(results, names)
    rows = [_row(name, by[name], failed[name], seeds) for name in names]
    ranked = sorted((r for r in rows if r["seeds"]), key=lambda r: -mean_of(r))
    best = next((r["name"] for r in ranked if r["name"] != BASELINE), None)
    _to_baseline(rows, by)
    _to_best(rows, by, best)
    ordered = [*ranked, *(r for r in rows if not r["seeds"])]
    cards = [card for found in by.values() for card in found.values()]
    return {
        "version": VERSION,
        "rows": ordered,
        "verdict": verdict(ordered, score_in(cards[0]) if cards else FigureInfo()),
        "ranking_by_alpha": ranking_by_alpha(ordered),
        "alpha": recipe.alpha,
        "seeds": list(seeds),
        "budget": recipe.train.model_dump(),
        "task": next((card.get("task") for card in cards), None),
        "data": next((card.get("data") for card in cards), None),
        "teacher": next((card["models"]["teacher"] for card in cards if "teacher" in card["models"]), None),
        "hyperparameters": "as given or the method's defaults; none was chosen by its result here",
        "correction": "Holm; to the baseline over the methods, to the best over all pairs",
    }


def _sorted_out(results: Sequence[RunResult], names: Sequence[str]) -> tuple[Cards, dict[str, list[str]]]:
    """Cards and reasons of failures by method; a card whose score is no number is a failure."""
    by: dict[str, dict[int, Card]] = {name: {} for name in names}
    failed: dict[str, list[str]] = {name: [] for name in names}
    for result in sorted((r for r in results if r["entry"] in by), key=lambda r: r["seed"]):
        name, seed = result["entry"], result["seed"]
        if "error" in result:
            failed[name].append(f"seed {seed}: {result['error']}")
        elif not isfinite(score := _score(result["card"])):
            failed[name].append(f"seed {seed}: the {score_in(result['card']).title} is {score}")
        else:
            by[name][seed] = result["card"]
    return by, failed


def _score(card: Card) -> float:
    """A student's score, in percent where it is a share; NaN where it is unknown."""
    value = card["models"]["student"]["score"]
    return float("nan") if value is None else score_in(card).scale * float(value)


def _row(name: str, cards: Mapping[int, Card], errors: Sequence[str], seeds: Sequence[int]) -> BoardRow:
    students = [card["models"]["student"] for card in cards.values()]
    first = next(iter(cards.values()), Card())
    score = score_in(first)
    mean, low, high = mean_interval([_score(card) for card in cards.values()])
    low, high = (score.scale * bound for bound in score.inside(low / score.scale, high / score.scale))

    def average(key: Callable[[ModelEntry], float | None]) -> float | None:
        found = [float(v) for v in map(key, students) if v is not None]
        return fmean(found) if found else None

    scores = [value for c in cards.values() if (value := c.get("distillation_score")) is not None]
    cuts = [value for c in cards.values() if (value := c.get("size_cut_percent")) is not None]
    scale, keys = score.scale, [figure.key for figure in figures_in(first)] if first else []
    taught = (c["models"]["teacher"]["score"] for c in cards.values() if "teacher" in c["models"])
    teachers = [scale * value for value in taught if value is not None]
    return {
        "name": name,
        "seeds": sorted(cards),
        "missing": len(seeds) - len(cards) - len(errors),
        "scores": {str(seed): _score(cards[seed]) for seed in sorted(cards)},
        "score": {"mean": _finite(mean), "low": _finite(low), "high": _finite(high)},
        "worst": average(partial(_worst, scale)),
        "figures": {key: average(partial(_figure, key)) for key in keys},
        "parameters": average(lambda s: s.get("parameters")),
        "bytes": average(lambda s: s.get("bytes")),
        "latency_ms": average(median_of),
        "train_seconds": average(lambda s: s.get("train_seconds")),
        "steps": average(lambda s: s.get("steps")),
        "teacher_samples": average(lambda s: s.get("teacher_samples")),
        "distillation_score": fmean(scores) if scores else None,
        "size_ratio": fmean(1 - cut / 100 for cut in cuts) if cuts else None,
        "teacher_score": fmean(teachers) if teachers else None,
        "errors": list(errors),
        "pull": fmean(pulls) if (pulls := [card["pull"][-1]["trained"] for card in cards.values() if card.get("pull")]) else None,
    }


def _worst(scale: float, student: ModelEntry) -> float | None:
    worst = student.get("worst")
    return scale * worst["value"] if worst else None


def _figure(key: str, student: ModelEntry) -> float | None:
    value = student["figures"].get(key)
    return None if value is None else float(value)


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None


# ------------------------------------------------------------------------------------- comparisons


def _pair(by: Cards, first: str, second: str) -> Paired | None:
    """Two methods on the seeds that both finished."""
    common = sorted(set(by[first]) & set(by[second]))
    if not common:
        return None
    found = paired([_score(by[first][s]) for s in common], [_score(by[second][s]) for s in common])
    if not score_in(by[first][common[0]]).share:
        return found
    return replace(found, low=max(found.low, -100.0), high=min(found.high, 100.0))  # two shares differ by no more


def _to_baseline(rows: Sequence[BoardRow], by: Cards) -> None:
    found = {row["name"]: _pair(by, row["name"], BASELINE) for row in rows if row["name"] != BASELINE and BASELINE in by}
    known = {name: pair for name, pair in found.items() if pair is not None}
    tested = dict(zip(known, corrected(list(known.values()))))
    for row in rows:
        if row["name"] in tested:
            row["to_baseline"] = _facts(tested[row["name"]], BASELINE)


def _to_best(rows: Sequence[BoardRow], by: Cards, best: str | None) -> None:
    """All pairs are corrected together: the best was found by looking at all of them."""
    if best is None:
        return
    names = [best, *(row["name"] for row in rows if row["name"] != best)]
    found = {(second, first): _pair(by, second, first) for first, second in combinations(names, 2)}
    known = {pair: value for pair, value in found.items() if value is not None}
    tested = dict(zip(known, corrected(list(known.values()))))
    for row in rows:
        if (row["name"], best) in tested:
            row["to_best"] = _facts(tested[row["name"], best], best)


def _facts(pair: Paired, other: str) -> Gap:
    """A comparison as JSON. `seeds_needed` counts at the level that the correction leaves to this comparison."""
    needed = _finite(seeds_needed(pair, level=pair.level))
    return {**pair.plain(), "to": other, "differs": pair.differs, "seeds_needed": needed}


# ------------------------------------------------------------------------------------------- alpha


def ranking_by_alpha(rows: Sequence[BoardRow]) -> list[Ranking]:
    """The order by distillation score, and the alpha from which on it holds: every change between 0 and 1.

    A score is a straight line in alpha, so the order can change only where two lines cross.

    >>> rows = [{"name": n, "seeds": [0], "size_ratio": s, "teacher_score": 100.0, "score": {"mean": a}}
    ...         for n, s, a in (("small", 0.1, 80.0), ("large", 0.3, 90.0))]
    >>> [(round(r["alpha"], 4), r["order"]) for r in ranking_by_alpha(rows)]
    [(0.0, ['large', 'small']), (0.3333, ['small', 'large'])]
    """
    usable = scored(rows)
    crossings = {c for a, b in combinations(usable, 2) if (c := _crossing(a, b)) is not None}
    edges = [0.0, *sorted(crossings), 1.0]
    changes: list[Ranking] = []
    for start, end in zip(edges, edges[1:]):
        middle = (start + end) / 2
        order = [r["name"] for r in sorted(usable, key=lambda r: (round(score_at(r, middle), 12), r["name"]))]
        if order and (not changes or changes[-1]["order"] != order):
            changes.append({"alpha": start, "order": order})
    return changes


def scored(rows: Sequence[BoardRow]) -> list[BoardRow]:
    """Rows that have a distillation score: sizes are known, and scores are not below 0."""
    usable = (r for r in rows if r["seeds"] and r["size_ratio"] is not None and (r["teacher_score"] or 0) > 0)
    return [r for r in usable if mean_of(r) >= 0]


def score_at(row: BoardRow, alpha: float) -> float:
    """A row's distillation score at another alpha; the row is one of `scored`."""
    size, teacher = row["size_ratio"], row["teacher_score"]
    assert size is not None and teacher is not None, row["name"]
    return distillation_score(size, 1, mean_of(row), teacher, alpha)


def _crossing(a: BoardRow, b: BoardRow) -> float | None:
    """Where two rows' scores are equal, strictly between 0 and 1."""
    at_0, at_1 = (score_at(a, alpha) - score_at(b, alpha) for alpha in (0.0, 1.0))
    if at_0 * at_1 >= 0:
        return None
    return at_0 / (at_0 - at_1)


def run_folder(folder: Path, entry: str, seed: int) -> Path:
    """Where a run of a comparison lies."""
    return folder / "runs" / f"{safe_name(entry)}-seed{seed}"


def safe_name(name: str) -> str:
    """An entry as part of a file name."""
    return "".join(c if c.isalnum() or c in "=_.-" else "_" for c in name)
