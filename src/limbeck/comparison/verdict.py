"""What a leaderboard says, in sentences that a person may repeat."""

from collections.abc import Sequence

from limbeck.comparison.schema import BoardRow, Gap, half_of, mean_of
from limbeck.metrics.significance import FEWEST
from limbeck.runs.settings import Recipe
from limbeck.tasks.figure import FigureInfo
from limbeck.tasks.keeping import BASELINES

BASELINE, STARTED = BASELINES
MANY = 10  # methods that are spoken of one by one


def baselines(recipe: Recipe) -> tuple[str, ...]:
    """The baselines of a comparison: where students start from their teacher, one that does so, too."""
    return BASELINES if recipe.student.start == "teacher" else (BASELINE,)


def verdict(rows: Sequence[BoardRow], score: FigureInfo = FigureInfo()) -> list[str]:  # noqa: B008  frozen
    """The best method first, then each method against the baseline, unequal budgets, failures, what is missing."""
    known = [row for row in rows if row["seeds"]]
    best = next((row for row in known if row["name"] != BASELINE), None)
    said = _first(best, known, score) if best is not None else []
    tested = [row for row in known if "to_baseline" in row]
    unsettled = [row for row in tested if _unsettled(row["to_baseline"])]
    brief = unsettled if len(unsettled) > MANY else []
    said += [_against_baseline(row, score) for row in tested if row not in brief]
    said += [_together(brief, score)] if brief else []
    said += _budgets(known)
    said += [_failures(row) for row in rows if row["errors"]]
    missing = [f"{row['missing']} of {row['name']}" for row in rows if row["missing"] > 0]
    if missing:
        said.append(f"Missing runs: {listed(missing)}; the verdict may change with them.")
    return said


def _unsettled(gap: Gap) -> bool:
    return gap["seeds"] > 1 and not gap["differs"]


def _together(rows: Sequence[BoardRow], score: FigureInfo) -> str:
    """Many methods in one sentence, with the two that differ most."""
    ends = sorted(rows, key=lambda r: r["to_baseline"]["difference"])
    counts = sorted({row["to_baseline"]["seeds"] for row in rows})
    seeds = seeds_words(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    shown = listed([f"{row['name']} by {_points(row['to_baseline'], score)}" for row in (ends[-1], ends[0])])
    words = f"{len(rows)} methods cannot be told apart from the baseline with {seeds}"
    return f"{words}; those that differ most: {shown}. The table has all."


def _points(gap: Gap, score: FigureInfo) -> str:
    places = score.places
    half = half_of(gap)
    within = f" ± {half:.{places}f}" if half else ""
    return f"{gap['difference']:+.{places}f}{within}{score.points}"


def listed(names: Sequence[str], word: str = "and") -> str:
    """Names as a list in a sentence.

    >>> listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"], "or")
    ('a', 'a and b', 'a, b or c')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {word} {names[-1]}"


def seeds_words(count: int) -> str:
    return "one seed" if count == 1 else f"{count} seeds"


def _first(best: BoardRow, rows: Sequence[BoardRow], score: FigureInfo) -> list[str]:
    """Who comes first, and from whom that cannot be told apart."""
    others = [r for r in rows if r["name"] not in (best["name"], BASELINE)]
    mean = f"{mean_of(best):.{score.places}f}{score.unit}"
    if not others:
        return []
    if len(best["seeds"]) < 2:
        return [f"{best['name']} comes first with {mean}, but from one seed: no difference can be tested; use at least 3 seeds."]
    if len(best["seeds"]) < FEWEST:
        return [f"{best['name']} comes first with {mean}, but from two seeds, which settle nothing; use at least {FEWEST}."]
    near = [r for r in others if not ("to_best" in r and r["to_best"]["differs"])]
    if not near:
        return [f"{best['name']} comes first with {mean} and is better than every other method here."]
    names = [r["name"] for r in near]
    names = names if len(names) <= MANY else [*names[:3], f"{len(names) - 3} others"]
    words = f"{best['name']} comes first with {mean}, but cannot be told apart from {listed(names, 'or')}"
    return [f"{words} with these {seeds_words(len(best['seeds']))}{_more(near)}."]


def _more(near: Sequence[BoardRow]) -> str:
    """How many seeds more would tell the nearest ones apart, where that can be said."""
    pairs = [r["to_best"] for r in near if "to_best" in r]
    counts = sorted({more for p in pairs if (more := _missing_seeds(p)) is not None})
    if not counts or len(pairs) < len(near) or any(_missing_seeds(p) is None for p in pairs):
        return ""
    span = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    return f"; about {span} more would be needed if the differences are that large"


def _missing_seeds(pair: Gap) -> int | None:
    need = pair["seeds_needed"]
    return int(need - pair["seeds"]) if need and need > pair["seeds"] else None


def _against_baseline(row: BoardRow, score: FigureInfo) -> str:
    gap = row["to_baseline"]
    size, half = gap["difference"], half_of(gap)
    if gap["seeds"] < 2:
        return f"{row['name']} is {_way(size, score)} the baseline with one seed; one seed shows no spread, use at least 3."
    points = f" ± {half:.{score.places}f}{score.points}" if half else f"{score.points} at every seed"
    if gap["differs"]:
        word = "beats" if size > 0 else "is worse than"
        return f"{row['name']} {word} the baseline by {abs(size):.{score.places}f}{points} ({_p(gap)})."
    if size == 0 and not half:
        return f"{row['name']} is equal to the baseline at each of the {seeds_words(gap['seeds'])}."
    if gap["seeds"] < FEWEST:
        way = _way(size, score)
        return f"{row['name']} is {way} the baseline with two seeds; two seeds settle nothing, use at least {FEWEST}."
    need = _missing_seeds(gap)
    more = f"about {need} more would be needed if it is that large" if need else "more seeds would have to settle it"
    return (f"{row['name']} cannot be told apart from the baseline: {size:+.{score.places}f}{points} "
            f"with {seeds_words(gap['seeds'])} ({_p(gap)}); {more}.")  # fmt: skip


def _p(gap: Gap) -> str:
    p = gap["p_corrected"]
    assert p is not None, "two seeds have a p"
    return "corrected p < 0.001" if p < 0.001 else f"corrected p = {p:.3f}"


def _way(size: float, score: FigureInfo) -> str:
    return f"{abs(size):.{score.places}f}{score.points} {'above' if size >= 0 else 'below'}" if size else "level with"


def _budgets(rows: Sequence[BoardRow]) -> list[str]:
    """Methods whose declaration takes more steps than the baseline's: their gain is not from the method alone."""
    own = next((r.get("steps") for r in rows if r["name"] == BASELINE), None)
    if not own:
        return []
    longer = [f"{r['name']} {steps / own:.3g} times as many" for r in rows if (steps := r.get("steps")) and steps > 1.02 * own]
    return [f"Not the same budget: some methods declare more steps than the baseline: {listed(longer)}."] if longer else []


def _failures(row: BoardRow) -> str:
    count, every = len(row["errors"]), len(row["errors"]) + len(row["seeds"]) + max(0, row["missing"])
    last = row["errors"][0].strip().splitlines()[-1]
    where = row["errors"][0].split(":", 1)[0]
    reason = last.removeprefix(f"{where}: ")
    many = ("Both" if every == 2 else f"All {every}") if count == every else f"{count} of the {every}"
    who = f"The run of {row['name']}" if every == 1 else f"{many} runs of {row['name']}"
    return f"{who} failed; {where}: {reason.rstrip('.')}."
