"""The three numbers with which a comparison's page opens: what its best method reaches, how much smaller and faster it is."""

from limbeck.cards.schema import median_of
from limbeck.cards.words import count, number
from limbeck.comparison.board_columns import shown
from limbeck.comparison.schema import Board, BoardRow, mean_of
from limbeck.comparison.verdict import BASELINE
from limbeck.metrics.significance import FEWEST
from limbeck.report.headline import Tile
from limbeck.tasks.figure import known, score_in


def numbers(board: Board) -> list[Tile]:
    """Of the method that comes first; none before a method has a score."""
    done = [row for row in board["rows"] if row["seeds"]]
    best = next((row for row in done if row["name"] != BASELINE), None)
    if best is None:
        return []
    score, teacher = score_in(board), board["teacher"] or {}
    base = next((row for row in done if row["name"] == BASELINE), None)
    theirs = teacher.get("score")
    lines = [f"teacher {shown(score.scale * theirs, score)[0]}"] if known(theirs) else []
    lines += [f"baseline {shown(mean_of(base), score)[0]}{_told(best)}"] if base is not None else []
    found: list[Tile] = [(f"{score.title} of {best['name']}", shown(mean_of(best), score)[0], tuple(lines))]
    small, large = best["parameters"], teacher.get("parameters")
    if known(small) and known(large) and small and large:
        found.append(("smaller", f"{number(large / small)} times", (f"{count(small)} parameters, teacher {count(large)}",)))
    quick, slow = best["latency_ms"], median_of(teacher)
    if known(quick) and known(slow) and quick and slow:
        found.append(("faster", f"{number(slow / quick)} times", (f"{number(quick)} ms per sample, teacher {number(slow)} ms",)))
    return found


def _told(best: BoardRow) -> str:
    """Whether the seeds can tell the method from the baseline."""
    gap = best.get("to_baseline")
    if gap is None or gap["seeds"] < FEWEST:
        return ": too few seeds to tell"
    return ": can be told apart" if gap["differs"] else ": cannot be told apart"
