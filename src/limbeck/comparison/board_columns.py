"""The columns of a comparison's table: what a method's row and the teacher's show in each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from limbeck.cards.schema import ModelEntry, median_of
from limbeck.cards.words import bytes_words, count, item_of, number, seconds_words
from limbeck.comparison.schema import Board, BoardRow, Opponent, half_of
from limbeck.tasks.figure import FigureInfo, figures_in, known

Cell = tuple[str, float | None]  # the words, and the value to sort by
Cost = Literal["parameters", "bytes", "train_seconds", "teacher_samples", "distillation_score"]
NOTHING: Cell = ("–", None)
COST_COLUMNS = 6  # the last ones: what a method costs


def _nothing(teacher: ModelEntry) -> Cell:
    return NOTHING


@dataclass(frozen=True)
class BoardColumn:
    """A title, and how the cells of a method and of the teacher are made."""

    title: str
    method: Callable[[BoardRow], Cell]
    teacher: Callable[[ModelEntry], Cell] = _nothing


def columns(board: Board) -> list[BoardColumn]:
    """The score, differences, the task's other figures, and what a method costs."""
    score, *others = figures_in(board)
    opponents: tuple[Opponent, ...] = ("to_baseline", "to_best")
    gaps = [(to.replace("to_", "vs "), partial(_gap, score, to), partial(_p, to)) for to in opponents]
    return [
        BoardColumn(f"mean {score.title} [95\u00a0%]", partial(_score, score), partial(_of_teacher, score)),
        *(column for title, gap, p in gaps for column in (BoardColumn(title, gap), BoardColumn("p", p))),
        BoardColumn(f"worst {item_of(board)}", partial(_worst, score), partial(_worst_of_teacher, score)),
        *(BoardColumn(figure.title, partial(_figure, figure), partial(_figure_of_teacher, figure)) for figure in others),
        *([BoardColumn("pull", _pull)] if any(known(row.get("pull")) for row in board["rows"]) else []),
        BoardColumn("training", partial(_plain, seconds_words, "train_seconds")),
        BoardColumn("teacher passes", partial(_plain, count, "teacher_samples")),
        BoardColumn("parameters", partial(_plain, count, "parameters"), partial(_plain_of_teacher, count, "parameters")),
        BoardColumn("size", partial(_plain, bytes_words, "bytes"), partial(_plain_of_teacher, bytes_words, "bytes")),
        BoardColumn("latency", _latency, _latency_of_teacher),
        BoardColumn("score", partial(_plain, "{:.4f}".format, "distillation_score")),
    ]


def shown(value: float | None, score: FigureInfo, less: int = 0) -> Cell:
    """A score that was multiplied by its scale, with places for small differences; less: fewer of them."""
    return (f"{value:.{score.places - less}f}{score.unit}", value) if known(value) else NOTHING


def _score(score: FigureInfo, row: BoardRow) -> Cell:
    mean, low, high = (row["score"][key] for key in ("mean", "low", "high"))
    if not known(mean):
        return ("failed" if row["errors"] else "not yet"), None
    within = f" [{low:.{score.places}f}, {high:.{score.places}f}]" if known(low) else ""
    return shown(mean, score)[0] + within, mean


def _of_teacher(score: FigureInfo, teacher: ModelEntry) -> Cell:
    value = teacher.get("score")
    return shown(score.scale * value if known(value) else None, score)


def _worst(score: FigureInfo, row: BoardRow) -> Cell:
    return shown(row["worst"], score, 1)


def _worst_of_teacher(score: FigureInfo, teacher: ModelEntry) -> Cell:
    worst = teacher.get("worst")
    return shown(score.scale * worst["value"] if worst else None, score, 1)


def _figure(figure: FigureInfo, row: BoardRow) -> Cell:
    return _told(figure.text, row["figures"].get(figure.key))


def _figure_of_teacher(figure: FigureInfo, teacher: ModelEntry) -> Cell:
    return _told(figure.text, teacher.get("figures", {}).get(figure.key))


def _told(words: Callable[[float], str], value: float | None) -> Cell:
    return (words(value), value) if known(value) else NOTHING


def _plain(words: Callable[[float], str], key: Cost, row: BoardRow) -> Cell:
    return _told(words, row[key])


def _plain_of_teacher(words: Callable[[float], str], key: Literal["parameters", "bytes"], teacher: ModelEntry) -> Cell:
    return _told(words, teacher.get(key))


def _pull(row: BoardRow) -> Cell:
    """The gradient of the lessons over that of the labels at the start."""
    return _told(lambda value: f"\u00d7 {number(value)}", row.get("pull"))


def _latency(row: BoardRow) -> Cell:
    return _told(_milliseconds, row["latency_ms"])


def _latency_of_teacher(teacher: ModelEntry) -> Cell:
    return _told(_milliseconds, median_of(teacher))


def _milliseconds(value: float) -> str:
    return f"{number(value)} ms"


def _gap(score: FigureInfo, key: Opponent, row: BoardRow) -> Cell:
    """A paired difference with half its interval."""
    gap, places = row.get(key), score.places
    if gap is None:
        return NOTHING
    half = half_of(gap)
    within = "" if half is None else f" ± {half:.{places}f}"
    return f"{gap['difference']:+.{places}f}{within}", gap["difference"]


def _p(key: Opponent, row: BoardRow) -> Cell:
    """The corrected p of a difference."""
    gap = row.get(key)
    p = gap["p_corrected"] if gap else None
    return ("< 0.001" if p < 0.001 else f"{p:.3f}", p) if known(p) else NOTHING
