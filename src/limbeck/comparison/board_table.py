"""A comparison's leaderboard for the terminal."""

from collections.abc import Sequence

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from limbeck.comparison.schema import Board, BoardRow, Gap, half_of, mean_of
from limbeck.tasks.figure import FigureInfo, figures_in


def board_table(board: Board) -> Group:
    """A line per method, best first; below it the task's other figures."""
    data, (score, *others) = board["data"], figures_in(board)
    unit, seeds = f" in{score.unit}" if score.unit else "", len(board["seeds"])
    title = f"{data['name'] if data else 'data'}, {seeds} seeds; {score.title}{unit}, 95\u00a0% intervals"
    caption = Text(f"hyper-parameters: {board['hyperparameters']}")
    table = Table(title=Text(title), caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("method", score.title, "vs baseline", "p", "worst", "score", "s"):
        table.add_column(name, justify="left" if name == "method" else "right", no_wrap=True)
    for row in board["rows"]:
        table.add_row(*map(Text, _cells(row, score)))
    return Group(table, *([_other_figures(board["rows"], others)] if others else []))


def _other_figures(rows: Sequence[BoardRow], figures: Sequence[FigureInfo]) -> Table:
    """The means of the task's other figures."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", no_wrap=True)
    for figure in figures:
        table.add_column(figure.title, justify="right")
    for row in (row for row in rows if row["seeds"]):
        table.add_row(*map(Text, (row["name"], *(figure.text(row["figures"].get(figure.key)) for figure in figures))))
    return table


def _cells(row: BoardRow, score: FigureInfo) -> list[str]:
    if not row["seeds"]:
        return [row["name"], "failed", *[""] * 5]
    places, worst = score.places, row["worst"]
    seconds = "" if row["train_seconds"] is None else f"{row['train_seconds']:.1f}"
    distilled = "" if row["distillation_score"] is None else f"{row['distillation_score']:.4f}"
    least = "" if worst is None else f"{worst:.{places - 1}f}"
    mean = f"{mean_of(row):.{places}f}{_within(half_of(row['score']), places)}"
    return [row["name"], mean, *_to_baseline(row.get("to_baseline"), places), least, distilled, seconds]


def _within(half: float | None, places: int) -> str:
    return "" if half is None else f" \u00b1 {half:.{places}f}"


def _to_baseline(gap: Gap | None, places: int) -> tuple[str, str]:
    """The difference with half its interval, and the corrected p."""
    if gap is None:
        return "", ""
    p = gap["p_corrected"]
    return f"{gap['difference']:+.{places}f}{_within(half_of(gap), places)}", "" if p is None else f"{p:.3f}"
