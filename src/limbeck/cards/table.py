"""The result table, for the terminal and for the page."""

import re
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from limbeck.report.read import WHO
from limbeck.report.words import bytes_words, count, known, metric_of, number, percent, seconds_words

COLUMNS = (
    ("accuracy", "test {metric} [95\u00a0%]"),
    ("worst_class", "worst class"),
    ("agreement_with_teacher", "agrees with teacher"),
    ("calibration_error", "calibration error"),
    ("parameters", "parameters"),
    ("bytes", "size"),
    ("latency_ms", "latency (quartiles)"),
    ("train_seconds", "training"),
)


def columns(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """`COLUMNS` with the name of the card's score."""
    return [(key, title.format(metric=metric_of(card))) for key, title in COLUMNS]


def cells(model: Mapping[str, Any]) -> list[tuple[str, float | None]]:
    """A model's cells in the order of `COLUMNS`: the words, and the value to sort by."""
    worst, latency, bounds = model.get("worst_class") or {}, model.get("latency_ms") or {}, list(model.get("interval") or ())
    within = f" [{100 * bounds[0]:.1f}, {100 * bounds[1]:.1f}]" if len(bounds) == 2 and all(map(known, bounds)) else ""
    about = f" ({number(latency.get('low'))} to {number(latency.get('high'))})" if known(latency.get("low")) else ""
    median = latency.get("median")
    return [
        (percent(model.get("accuracy")) + within, model.get("accuracy")),
        (percent(worst.get("accuracy")) + (f" ({worst['class']})" if worst.get("class") else ""), worst.get("accuracy")),
        (percent(model.get("agreement_with_teacher")), model.get("agreement_with_teacher")),
        (percent(model.get("calibration_error")), model.get("calibration_error")),
        (count(model.get("parameters")), model.get("parameters")),
        (bytes_words(model.get("bytes")), model.get("bytes")),
        (f"{number(median)} ms{about}" if known(median) else "–", median),
        (seconds_words(model.get("train_seconds")), model.get("train_seconds")),
    ]


def relations(card: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Survey A's figures as (name, value, what it means); those that are unknown are left out."""
    alpha = card.get("alpha", 0.5)
    found = (
        ("drop", "drop_percent", "{:.2f} %", f"of the teacher's {metric_of(card)} lost (negative: gained)"),
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


def card_table(card: Mapping[str, Any]) -> Table:
    """The card's result table for the terminal: a column each for teacher, baseline, student, and
    below it the figures that relate them."""
    below = [f"{name} {value} ({why})" for name, value, why in relations(card)]
    onnx = (card.get("export") or {}).get("onnx") or {}
    if onnx:
        below.append(
            f"ONNX {onnx.get('file')}: {bytes_words(onnx.get('bytes'))}, same answers {percent(onnx.get('same_answers'))}, "
            f"largest difference {number(onnx.get('largest_difference'), 2)}, "
            f"{number((onnx.get('latency_ms') or {}).get('median'))} ms"
        )
    if latency_note(card):
        below.append(latency_note(card))
    method, data = card.get("method") or {}, card.get("data") or {}
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
    values = [cells(given[who]) for who in order]
    for place, (_, title) in enumerate(columns(card)):
        table.add_row(title, *(Text(re.sub(r" (?=[\[(])", "\n", column[place][0])) for column in values))
    return table


def board_table(board: Mapping[str, Any]) -> Table:
    """A comparison's leaderboard for the terminal: a line per method, best first."""
    data = board.get("data") or {}
    title = f"{data.get('name', 'data')}, {len(board['seeds'])} seeds; {metric_of(board)} in %, 95\u00a0% intervals"
    caption = Text(f"hyper-parameters: {board['hyperparameters']}")
    table = Table(title=Text(title), caption=caption, caption_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("method", metric_of(board), "to baseline", "p", "worst", "score", "s"):
        table.add_column(name, justify="left" if name == "method" else "right", no_wrap=True)
    for row in board["rows"]:
        table.add_row(*map(Text, _board_cells(row)))
    return table


def _board_cells(row: Mapping[str, Any]) -> list[str]:
    if not row["seeds"]:
        return [row["name"], "failed", *[""] * 5]
    mean, low, high = (row["accuracy"][k] for k in ("mean", "low", "high"))
    half = f" \u00b1 {(high - low) / 2:.2f}" if known(high) else ""
    gap = row.get("to_baseline")
    wide = "" if gap is None or not known(gap["high"]) else f" \u00b1 {(gap['high'] - gap['low']) / 2:.2f}"
    p = "" if gap is None or not known(gap["p_corrected"]) else f"{gap['p_corrected']:.3f}"
    shown = [None if row[k] is None else f"{row[k]:.1f}" for k in ("worst_class", "train_seconds")]
    score = "" if row["distillation_score"] is None else f"{row['distillation_score']:.4f}"
    beside = "" if gap is None else f"{gap['difference']:+.2f}{wide}"
    return [row["name"], f"{mean:.2f}{half}", beside, p, shown[0] or "", score, shown[1] or ""]
