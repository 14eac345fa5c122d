"""The result table, for the terminal and for the page."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from limbeck.cards.schema import Card, MethodFacts, ModelEntry, latency_of, median_of, onnx_of
from limbeck.cards.words import bytes_words, count, item_of, number, percent, seconds_words
from limbeck.tasks.figure import FigureInfo, figures_in, known, score_in
from limbeck.tasks.keeping import WHO

Cell = tuple[str, float | None]  # the words, and the value to sort by


@dataclass(frozen=True)
class Column:
    """One column of a result table: its key and title, and how a model's cell is made."""

    key: str
    title: str
    cell: Callable[[ModelEntry], Cell]


def columns(card: Mapping[str, Any]) -> list[Column]:
    """The score and what is worst, the task's other figures in order, and what a model costs."""
    score, *others = figures_in(card)
    return [
        Column(score.key, f"test {score.title} [95\u00a0%]", partial(_score, score)),
        *([Column("worst", f"worst {item_of(card)}", partial(_worst, score))] if _has_worst(card) else []),
        *(Column(figure.key, figure.title, partial(_figure, figure)) for figure in others),
        Column("parameters", "parameters", partial(_plain, count, "parameters")),
        Column("bytes", "size", partial(_plain, bytes_words, "bytes")),
        Column("latency_ms", "latency (quartiles)", _latency),
        Column("train_seconds", "training", partial(_plain, seconds_words, "train_seconds")),
    ]


def _has_worst(card: Mapping[str, Any]) -> bool:
    models = (card.get("models") or {}).values()
    return not models or any(model.get("worst") for model in models)


def _score(score: FigureInfo, model: ModelEntry) -> Cell:
    return score.text(model.get("score")) + score.bounds(model.get("interval")), model.get("score")


def _worst(score: FigureInfo, model: ModelEntry) -> Cell:
    worst = model.get("worst")
    return (f"{score.text(worst['value'])} ({worst['name']})", worst["value"]) if worst else ("–", None)


def _figure(figure: FigureInfo, model: ModelEntry) -> Cell:
    value = (model.get("figures") or {}).get(figure.key)
    return figure.text(value) + figure.bounds((model.get("intervals") or {}).get(figure.key)), value


def _plain(words: Callable[[float | None], str], key: str, model: ModelEntry) -> Cell:
    value = model.get(key)
    number = value if known(value) else None
    return words(number), number


def _latency(model: ModelEntry) -> Cell:
    latency = latency_of(model)
    if not latency:
        return "–", None
    return f"{number(latency['median'])} ms ({number(latency['low'])} to {number(latency['high'])})", latency["median"]


def relations(card: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Survey A's figures as (name, value, what it means); those that are unknown are left out."""
    alpha = card.get("alpha", 0.5)
    found = (
        ("drop", "drop_percent", "{:.2f} %", f"of the teacher's {score_in(card).title} lost (negative: gained)"),
        ("gain", "gain_percent", "{:.2f} %", "over the same student without a teacher"),
        ("size cut", "size_cut_percent", "{:.2f} %", "of the teacher's parameters gone"),
        ("distillation score", "distillation_score", "{:.4f}", f"at alpha {alpha:g}; lower is better, 0 is ideal"),
    )
    return [(name, form.format(card[key]), why) for name, key, form, why in found if known(card.get(key))]


def latency_note(card: Mapping[str, Any]) -> str:
    """How latency was measured, if it was."""
    for model in (card.get("models") or {}).values():
        latency = model.get("latency_ms") or {}
        if known(latency.get("median")):
            return f"Latency: median of one answer, batch {latency.get('batch', 1)}, {latency.get('threads', 1)} thread."
    return ""


def card_table(card: Card) -> Table:
    """The card's result table for the terminal: a column each for teacher, baseline, student, and
    below it the figures that relate them."""
    below = [f"{name} {value} ({why})" for name, value, why in relations(card)]
    onnx = onnx_of(card)
    if onnx:
        below.append(
            f"ONNX {onnx.get('file')}: {bytes_words(onnx.get('bytes'))}, same answers {percent(onnx.get('same_answers'))}, "
            f"largest difference {number(onnx.get('largest_difference'), 2)}, "
            f"{number(median_of(onnx))} ms"
        )
    if latency_note(card):
        below.append(latency_note(card))
    method = card.get("method", MethodFacts())
    data: Mapping[str, object] = card.get("data", {})
    table = Table(
        title=Text(f"{method.get('name', 'method')} on {data.get('name', 'data')}, seed {card.get('seed', '?')}"),
        caption=Text("\n".join(below)),
        caption_justify="left",
    )
    given = card.get("models") or {}
    order = [*(who for who in WHO if who in given), *(who for who in given if who not in WHO)]
    table.add_column("")
    for who in order:
        table.add_column(Text(f"{who}\n{given[who].get('model', '')}".strip()), justify="right")
    for column in columns(card):
        cells = (column.cell(given[who])[0] for who in order)
        table.add_row(column.title, *(Text(re.sub(r" (?=[\[(])", "\n", cell)) for cell in cells))
    return table


def board_table(board: Mapping[str, Any]) -> Group:
    """A comparison's leaderboard for the terminal: a line per method, best first; below it the task's other figures."""
    data, (score, *others) = board.get("data") or {}, figures_in(board)
    unit = f" in{score.unit}" if score.unit else ""
    title = f"{data.get('name', 'data')}, {len(board['seeds'])} seeds; {score.title}{unit}, 95\u00a0% intervals"
    caption = Text(f"hyper-parameters: {board['hyperparameters']}")
    table = Table(title=Text(title), caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("method", score.title, "to baseline", "p", "worst", "score", "s"):
        table.add_column(name, justify="left" if name == "method" else "right", no_wrap=True)
    for row in board["rows"]:
        table.add_row(*map(Text, _board_cells(row, score)))
    return Group(table, *([_other_figures(board["rows"], others)] if others else []))


def _other_figures(rows: Sequence[Mapping[str, Any]], figures: Sequence[FigureInfo]) -> Table:
    """The means of what else is said of a method's answers."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("method", no_wrap=True)
    for figure in figures:
        table.add_column(figure.title, justify="right")
    for row in (row for row in rows if row["seeds"]):
        table.add_row(*map(Text, (row["name"], *(figure.text(row["figures"].get(figure.key)) for figure in figures))))
    return table


def _board_cells(row: Mapping[str, Any], score: FigureInfo) -> list[str]:
    if not row["seeds"]:
        return [row["name"], "failed", *[""] * 5]
    mean, low, high = (row["score"][k] for k in ("mean", "low", "high"))
    places, worst = score.places, row["worst"]
    half = f" \u00b1 {(high - low) / 2:.{places}f}" if known(high) else ""
    gap = row.get("to_baseline")
    wide = "" if gap is None or not known(gap["high"]) else f" \u00b1 {(gap['high'] - gap['low']) / 2:.{places}f}"
    p = "" if gap is None or not known(gap["p_corrected"]) else f"{gap['p_corrected']:.3f}"
    seconds = "" if row["train_seconds"] is None else f"{row['train_seconds']:.1f}"
    distilled = "" if row["distillation_score"] is None else f"{row['distillation_score']:.4f}"
    beside = "" if gap is None else f"{gap['difference']:+.{places}f}{wide}"
    least = "" if worst is None else f"{worst:.{places - 1}f}"
    return [row["name"], f"{mean:.{places}f}{half}", beside, p, least, distilled, seconds]
