"""The result table, for the terminal and for the page."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

from rich.table import Table
from rich.text import Text

from limbeck.cards.schema import Card, MethodFacts, ModelEntry, latency_of, marked_classes, median_of, onnx_of
from limbeck.cards.words import bytes_words, count, item_of, number, percent, seconds_words
from limbeck.tasks.figure import FigureInfo, figures_in, known, score_in
from limbeck.tasks.keeping import STARTED, WHO

Cell = tuple[str, float | None]  # the words, and the value to sort by
Relation = Literal["drop_percent", "gain_percent", "lesson_percent", "size_cut_percent", "distillation_score"]
Plain = Literal["parameters", "bytes", "train_seconds"]


@dataclass(frozen=True)
class Column:
    """One column of a result table: its key and title, how a model's cell is made, and what it means."""

    key: str
    title: str
    cell: Callable[[ModelEntry], Cell]
    words: str = ""


def columns(card: Card) -> list[Column]:
    """The score and what is worst, the task's other figures in order, and what a model costs."""
    score, *others = figures_in(card)
    item = item_of(card)
    lowest = f"The {item} with the lowest {score.within or score.title}, in brackets."
    return [
        Column(
            score.key, f"test {score.title} [95\u00a0%]", partial(_score, score), f"{score.words} In brackets its 95 % interval."
        ),
        *([Column("worst", f"worst {item}", partial(_worst, score, _marked(card)), lowest)] if _has_worst(card) else []),
        *(Column(figure.key, figure.title, partial(_figure, figure), figure.words) for figure in others),
        *cost_columns(),
    ]


def cost_columns() -> list[Column]:
    """What a model costs."""
    used = "Parameters that are used in inference."
    return [
        Column("parameters", "parameters", partial(_plain, count, "parameters"), used),
        Column("bytes", "size", partial(_plain, bytes_words, "bytes"), "Bytes of these parameters and of the buffers."),
        Column("latency_ms", "latency (quartiles)", _latency, "Median time of one answer, batch 1, on this machine."),
        Column("train_seconds", "training", partial(_plain, seconds_words, "train_seconds"), "Time of the training."),
    ]


def _has_worst(card: Card) -> bool:
    models = card.get("models", {}).values()
    return not models or any(model.get("worst") for model in models)


def _score(score: FigureInfo, model: ModelEntry) -> Cell:
    return score.text(model.get("score")) + score.bounds(model.get("interval")), model.get("score")


def _marked(card: Card) -> dict[str, str]:
    """How classes are written, by their names."""
    return dict(zip(card["data"]["classes"], marked_classes(card), strict=True)) if "data" in card else {}


def _worst(score: FigureInfo, names: Mapping[str, str], model: ModelEntry) -> Cell:
    worst = model.get("worst")
    if not worst:
        return "–", None
    return f"{score.text(worst['value'])} ({names.get(worst['name'], worst['name'])})", worst["value"]


def _figure(figure: FigureInfo, model: ModelEntry) -> Cell:
    value = model.get("figures", {}).get(figure.key)
    return figure.text(value) + figure.bounds(model.get("intervals", {}).get(figure.key)), value


def _plain(words: Callable[[float | None], str], key: Plain, model: ModelEntry) -> Cell:
    value = model.get(key)
    number = value if known(value) else None
    return words(number), number


def _latency(model: ModelEntry) -> Cell:
    latency = latency_of(model)
    if not latency:
        return "–", None
    return f"{number(latency['median'])} ms ({number(latency['low'])} to {number(latency['high'])})", latency["median"]


def relations(card: Card) -> list[tuple[str, str, str]]:
    """Survey A's figures as (name, value, what it means), differences in points first; those that are unknown are left out."""
    alpha, title = card.get("alpha", 0.5), score_in(card).title
    found: tuple[tuple[str, Relation, str, str], ...] = (
        ("drop", "drop_percent", _points(card, "teacher", -1) + "{:.2f} %", f"of the teacher's {title} lost (negative: gained)"),
        ("gain", "gain_percent", _points(card, "baseline") + "{:.2f} %", "over the supervised baseline"),
        ("lesson", "lesson_percent", _points(card, STARTED) + "{:.2f} %", "over the baseline that starts from the teacher, too"),
        ("size cut", "size_cut_percent", "{:.2f} %", "of the teacher's parameters gone"),
        ("distillation score", "distillation_score", "{:.4f}", f"at alpha {alpha:g}; lower is better, 0 is ideal"),
    )
    return [(name, form.format(value), why) for name, key, form, why in found if known(value := card.get(key))]


def _points(card: Card, who: str, way: int = 1) -> str:
    """The student's score minus another model's, in points or in the score's own unit; "" where one is unknown."""
    score, models = score_in(card), card.get("models", {})
    mine, theirs = (models.get(name, {}).get("score") for name in ("student", who))
    if not known(mine) or not known(theirs):
        return ""
    return f"{way * score.scale * (mine - theirs):{'+.1f' if score.share else '+.3g'}}{score.points}, "


def latency_note(card: Card) -> str:
    """How latency was measured, if it was."""
    for latency in map(latency_of, card.get("models", {}).values()):
        if latency and known(latency["median"]):
            return f"Latency: median per forward pass, batch {latency['batch']}, {latency['threads']} thread."
    return ""


def card_table(card: Card) -> Table:
    """The card's result table for the terminal: a column each for teacher, baseline, student, and
    below it the figures that relate them."""
    below = [f"{name} {value} ({why})" for name, value, why in relations(card)]
    onnx = onnx_of(card)
    if onnx:
        below.append(
            f"ONNX {onnx.get('file')}: {bytes_words(onnx.get('bytes'))}, equal predictions "
            f"{percent(onnx.get('same_predictions'))}, "
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
        table.add_column(Text(f"{who.replace('-', ' ')}\n{given[who].get('model', '')}".strip()), justify="right")
    for column in columns(card):
        cells = (column.cell(given[who])[0] for who in order)
        table.add_row(column.title, *(Text(re.sub(r" (?=[\[(])", "\n", cell)) for cell in cells))
    return table
