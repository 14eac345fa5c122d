"""The page of a run: one self-contained HTML file, made from the run folder alone."""

import shlex
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from markupsafe import Markup

from limbeck.cards.schema import Card, MethodFacts, ModelEntry, median_of, onnx_of
from limbeck.cards.table import Column, columns, cost_columns, latency_note, relations
from limbeck.cards.words import bytes_words, capital, item_of, number, percent
from limbeck.files import atomic_write
from limbeck.report.costs import Cost, chance_words, cost_chart, cost_keys
from limbeck.report.curves import TERMS, legend, score_curves, score_points, term_curves, term_points
from limbeck.report.figures import class_bars, shown_classes
from limbeck.report.frame import Cell, ChartFigure, PageRow, PageSection, PageTable, figure, fill
from limbeck.report.headline import headline, numbers
from limbeck.report.read import RunView, read_run
from limbeck.report.sections import drawn
from limbeck.report.status import status
from limbeck.report.writing import written
from limbeck.tasks.figure import score_in

PAGE = "report.html"
MOST = 8  # columns of a table beside the models' names


def write_report(folder: Path) -> Path:
    """Write `report.html` into the folder of a run from what it holds, and return its path.

    The page needs nothing else: no network, no other file. Pieces that the folder lacks are left out with a
    sentence. Everything that came from a user is escaped; a content security policy lets only our own script run.

    Raises:
        UserError: it is no such folder, or cannot be written to.
    """
    folder = Path(folder)
    target = folder / PAGE
    html = render(read_run(folder))
    with atomic_write(target, text=True) as file:
        file.write(html)
    return target


def render(view: RunView, live: str = "") -> str:
    """The page's HTML for what was read."""
    card = view.card
    method = card.get("method", MethodFacts())
    data: Mapping[str, object] = card.get("data", {})
    read = card["data"]["notes"] if "data" in card else []
    return fill(
        "page.html",
        live,
        title=f"{method.get('name') or 'run'} on {data.get('name') or 'its data'}" if method else view.folder.name,
        card=card,
        method=method,
        data=data,
        status=status(view),
        words=headline(view),
        first=numbers(view),
        picture=_picture(view),
        tables=_tables(view),
        latency_note=latency_note(card),
        onnx=_onnx_words(card),
        sections=_sections(view),
        svg=Markup(view.svg),
        recipe=view.recipe,
        environment=view.environment,
        commands=_commands(view),
        missing=view.missing,
        notes=_each_once([str(note) for note in (*card.get("notes", ()), *read)]),
    )


def _picture(view: RunView) -> ChartFigure:
    """The one picture of the result: the score against size, or against latency where no size is known."""
    title = f"{capital(score_in(view.card).title)} against"
    what: Cost = "size" if cost_chart(view, "size") else "latency"
    return figure(cost_chart(view, what), f"{title} {what}", cost_keys(view, what)) | {"dots": True}


def _tables(view: RunView) -> list[PageTable]:
    """The result: how well the models answer, in tables of at most `MOST` columns, then what they cost, with the survey's figures
    in the student's row."""
    if not view.models:
        return []
    every, costs = columns(view.card), cost_columns()
    answers = [column for column in every if column.key not in {cost.key for cost in costs}]
    tables = [_table(view, "How well the models answer on the test part", answers[:MOST])]
    for start in range(MOST, len(answers), MOST):
        tables.append(_table(view, "Further figures on the test part", answers[start : start + MOST]))
    survey = relations(view.card)
    if len(costs) + len(survey) <= MOST:
        return [*tables, _table(view, "What the models cost", costs, survey)]
    figures = [Column(name, name, partial(_told, value), why) for name, value, why in survey]
    student = {who: model for who, model in view.models.items() if who == "student"}
    return [*tables, _table(view, "What the models cost", costs), _table(view, "The survey's figures", figures, models=student)]


def _told(value: str, model: ModelEntry) -> tuple[str, float | None]:
    return value, None


def _table(
    view: RunView,
    caption: str,
    cols: Sequence[Column],
    beside: Sequence[tuple[str, str, str]] = (),
    models: Mapping[str, ModelEntry] | None = None,
) -> PageTable:
    """A row for each model, or for some. beside: figures of the student alone, as (title, value, meaning)."""
    shown = view.models if models is None else models
    rows: list[PageRow] = []
    cols = [column for column in cols if any(column.cell(model) != ("–", None) for model in shown.values())]
    for who, model in shown.items():
        own: list[Cell] = [(value if who == "student" else "–", None) for _, value, _ in beside]
        cells: list[Cell] = [*(column.cell(model) for column in cols), *own]
        name, small = who.replace("-", ", "), model.get("model", "")
        rows.append({"name": name, "css": who, "small": small, "strong": who == "student", "cells": cells})
    head = ["model", *(column.title for column in cols), *(name for name, _, _ in beside)]
    words = ["", *(column.words for column in cols), *(why for _, _, why in beside)]
    return {"head": head, "rows": rows, "caption": caption, "words": words}


def _each_once(notes: list[str]) -> list[str]:
    """Notes without those that another one holds: the line on the data repeats what its reader said."""
    known = list(dict.fromkeys(notes))
    return [note for note in known if not any(note != other and note in other for other in known)]


def _sections(view: RunView) -> list[PageSection]:
    """The sections with charts, each with an id, a title, figures, a note, and values as a table where there are some."""
    names = view.class_names()
    own = view.task.sections(view.kept, names) if view.task is not None and view.kept is not None else ()
    found = [
        _curves_section(view),
        *_cost_section(view),
        *_exits_section(view.card),
        *([_class_section(view)] if names else []),
        *(drawn(section, names) for section in own),
        *(drawn(section, names) for section in written(view.card)),
    ]
    return [section for section in found if shows(section)]


def shows(section: PageSection) -> bool:
    """Whether there is more in a section than its title and a note."""
    tables = (section.get("values", {}), section.get("texts", {}))
    filled = any(table.get("rows") for table in tables) or bool(section.get("samples") or section.get("masks"))
    return filled or any(each["svg"] for each in section.get("figures", ()))


def _cost_section(view: RunView) -> list[PageSection]:
    """Latency where the picture of the result is of size."""
    svg = cost_chart(view, "latency") if cost_chart(view, "size") else ""
    title = f"{capital(score_in(view.card).title)} against latency"
    drawn_cost = figure(svg, "One answer at a time", cost_keys(view, "latency")) | {"dots": True}
    note = f"Upright lines are 95 % intervals over the test samples.{chance_words(view)}"
    return [{"id": "cost", "title": title, "figures": [drawn_cost], "note": note}] if svg else []


def _exits_section(card: Card) -> list[PageSection]:
    """What a threshold on confidence gains and costs, for networks with early exits."""
    measured = card.get("exits")
    if not measured or not measured["thresholds"]:
        return []
    names = [str(each["name"]) for each in measured["exits"]]
    rows: list[list[Cell]] = [
        [
            f"{row['threshold']:g}",
            (percent(row["accuracy"], 2), row["accuracy"]),
            (number(row["latency_ms"]), row["latency_ms"]),
            *((percent(share), share) for share in row["shares"]),
        ]
        for row in measured["thresholds"]
    ]
    alone = "; ".join(f"{e['name']} {percent(e['accuracy'], 2)} in {number(e['latency_ms'])} ms" for e in measured["exits"])
    note = f"A sample takes the first exit whose confidence reaches the threshold. Each exit alone: {alone}."
    head = ["threshold", "accuracy", "mean ms", *(f"leave at {name}" for name in names)]
    return [{"id": "exits", "title": "Leaving early", "figures": [], "note": note, "values": {"head": head, "rows": rows}}]


def _curves_section(view: RunView) -> PageSection:
    terms = list(term_points(view))[:TERMS]
    title = f"{capital(score_in(view.card).title)} on validation"
    figures = [
        figure(score_curves(view), title, legend(list(score_points(view)))),
        figure(term_curves(view), "The student's loss terms", legend(terms, "term-")),
    ]
    note = "" if view.metrics else "No learning curves were recorded."
    return {"id": "curves", "title": "Learning curves", "figures": figures, "note": note}


def _class_section(view: RunView) -> PageSection:
    bars, shown = class_bars(view)
    score, item, many = score_in(view.card), item_of(view.card), len(view.class_names())
    way = "lowest" if score.better == "higher" else "highest"
    few = (
        f"The {shown} of {many} {_many(item)} with the student's {way} score; those with too few samples to tell come last."
        if shown < many
        else ""
    )
    within = capital(score.within or score.title)
    return {
        "id": "classes",
        "title": f"{capital(item)} by {item}",
        "figures": [figure(bars, f"{within} within each {item}", legend(list(view.models))) | {"boxes": True}],
        "note": few if bars else f"{within} per {item} was not recorded.",
        "values": _class_values(view),
    }


def _many(item: str) -> str:
    return f"{item}es" if item.endswith("s") else f"{item}s"


def _class_values(view: RunView) -> PageTable:
    """The score of every class as a table, which a screen reader or a printer can use."""
    names, score = view.marked_names(), score_in(view.card)
    found = {who: model.get("per_class") or [] for who, model in view.models.items()}
    models = {who: each for who, each in found.items() if len(each) == len(names)}
    rows: list[list[Cell]] = [
        [names[c], *((score.text(values[c]), values[c]) for values in models.values())] for c in shown_classes(view)
    ]
    return {"head": [item_of(view.card), *models], "rows": rows} if models else {}


def _onnx_words(card: Card) -> str:
    onnx = onnx_of(card)
    if not onnx:
        return ""
    median = median_of(onnx)
    return (
        f"{onnx.get('file')} ({bytes_words(onnx.get('bytes'))}) was reloaded in ONNX Runtime: equal predictions for "
        f"{percent(onnx.get('same_predictions'))} of the samples compared, largest difference of an output "
        f"{number(onnx.get('largest_difference'), 2)}" + (f", {number(median)} ms per sample." if median else ".")
    )


def _commands(view: RunView) -> list[str]:
    """What can be run where this page was written; models that were given from Python can be neither made nor loaded by name."""
    recipe, folder = (shlex.quote(str(path)) for path in (view.folder / "recipe.toml", view.folder))
    again = shlex.quote(f"{view.folder}-again")
    trust = " --trust" if str(view.card.get("command")).endswith(" --trust") else ""
    by_name = bool(view.recipe) and "python object of class" not in view.recipe
    named = [f"limbeck distill --recipe {recipe} --out {again}{trust}", f"limbeck evaluate {folder}{trust}"] if by_name else []
    return [*named, f"limbeck report {folder}"]
