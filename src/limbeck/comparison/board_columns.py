"""The columns of a comparison's table: what a method's row and the teacher's show in each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from limbeck.cards.words import bytes_words, count, item_of, number, seconds_words
from limbeck.tasks.figure import FigureInfo, figures_in, known

Cell = tuple[str, float | None]  # the words, and the value to sort by
Row = Mapping[str, Any]
NOTHING: Cell = ("–", None)


def _nothing(teacher: Row) -> Cell:
    return NOTHING


@dataclass(frozen=True)
class Column:
    """A title, and how the cells of a method and of the teacher are made."""

    title: str
    method: Callable[[Row], Cell]
    teacher: Callable[[Row], Cell] = _nothing


def columns(board: Mapping[str, Any]) -> list[Column]:
    """The score, differences, the task's other figures, and what a method costs."""
    score, *others = figures_in(board)
    gaps = [(f"to {to}", partial(_gap, score, f"to_{to}"), partial(_p, f"to_{to}")) for to in ("baseline", "best")]
    return [
        Column(f"mean {score.title} [95\u00a0%]", partial(_score, score), partial(_of_teacher, score)),
        *(column for title, gap, p in gaps for column in (Column(title, gap), Column("p", p))),
        Column(f"worst {item_of(board)}", partial(_worst, score), partial(_worst_of_teacher, score)),
        *(Column(figure.title, partial(_figure, figure), partial(_figure, figure)) for figure in others),
        Column("training", partial(_plain, seconds_words, "train_seconds")),
        Column("asked of teacher", partial(_plain, count, "teacher_samples")),
        Column("parameters", partial(_plain, count, "parameters"), partial(_plain, count, "parameters")),
        Column("size", partial(_plain, bytes_words, "bytes"), partial(_plain, bytes_words, "bytes")),
        Column("latency", _latency, _latency_of_teacher),
        Column("score", partial(_plain, "{:.4f}".format, "distillation_score")),
    ]


def shown(value: float | None, score: FigureInfo, less: int = 0) -> Cell:
    """A score that was multiplied by its scale, with places for small differences; less: fewer of them."""
    return (f"{value:.{score.places - less}f}{score.unit}", value) if known(value) else NOTHING


def _score(score: FigureInfo, row: Row) -> Cell:
    mean, low, high = (row["score"][key] for key in ("mean", "low", "high"))
    if not known(mean):
        return ("failed" if row["errors"] else "not yet"), None
    within = f" [{low:.{score.places}f}, {high:.{score.places}f}]" if known(low) else ""
    return shown(mean, score)[0] + within, mean


def _of_teacher(score: FigureInfo, teacher: Row) -> Cell:
    value = teacher.get("score")
    return shown(score.scale * value if known(value) else None, score)


def _worst(score: FigureInfo, row: Row) -> Cell:
    return shown(row["worst"], score, 1)


def _worst_of_teacher(score: FigureInfo, teacher: Row) -> Cell:
    value = (teacher.get("worst") or {}).get("value")
    return shown(score.scale * value if known(value) else None, score, 1)


def _figure(figure: FigureInfo, row: Row) -> Cell:
    value = (row.get("figures") or {}).get(figure.key)
    return (figure.text(value), value) if known(value) else NOTHING


def _plain(words: Callable[[Any], str], key: str, row: Row) -> Cell:
    value = row.get(key)
    return (words(value), value) if known(value) else NOTHING


def _latency(row: Row) -> Cell:
    value = row.get("latency_ms")
    return (f"{number(value)} ms", value) if known(value) else NOTHING


def _latency_of_teacher(teacher: Row) -> Cell:
    return _latency({"latency_ms": (teacher.get("latency_ms") or {}).get("median")})


def _gap(score: FigureInfo, key: str, row: Row) -> Cell:
    """A paired difference with half its interval."""
    gap, places = row.get(key), score.places
    if gap is None:
        return NOTHING
    half = f" ± {(gap['high'] - gap['low']) / 2:.{places}f}" if known(gap["high"]) else ""
    return f"{gap['difference']:+.{places}f}{half}", gap["difference"]


def _p(key: str, row: Row) -> Cell:
    """The corrected p of a difference."""
    p = (row.get(key) or {}).get("p_corrected")
    return ("< 0.001" if p < 0.001 else f"{p:.3f}", p) if known(p) else NOTHING
