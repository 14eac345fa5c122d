"""The page of a run: one self-contained HTML file, made from the run folder alone."""

import shlex
from pathlib import Path
from typing import Any

from markupsafe import Markup

from limbeck.cards.table import cells, columns, latency_note, relations
from limbeck.files import atomic_write
from limbeck.metrics.classification import accuracy, calibration_error
from limbeck.report.curves import TERMS, accuracy_curves, accuracy_points, legend, term_curves, term_points
from limbeck.report.differ import differing
from limbeck.report.figures import CELLS, FEW, class_bars, confusion_chart, cost_chart, reliability_chart
from limbeck.report.frame import figure, fill
from limbeck.report.headline import headline
from limbeck.report.read import RunView, read_run
from limbeck.report.words import bytes_words, capital, metric_of, number, percent

RELIABILITY = (
    "On the dotted diagonal a model is right as often as it says; below it, it is too sure of itself. "
    f"Lines join the bins of at least {FEW} samples."
)


def write_report(folder: Path) -> Path:
    """Write `report.html` into the folder of a run or comparison from what it holds, and return its path.

    The page needs nothing else: no network, no other file. Pieces that the folder lacks are left out with a
    sentence. Everything that came from a user is escaped; a content security policy lets only our own script run.

    Raises:
        UserError: it is no such folder, or cannot be written to.
    """
    folder = Path(folder)
    target = folder / "report.html"
    html = page_of(folder)
    with atomic_write(target, text=True) as file:
        file.write(html)
    return target


def page_of(folder: Path, live: str = "") -> str:
    """The HTML of a run's page, or of a comparison's; live: see `frame.fill`."""
    if (folder / "comparison.json").exists():
        from limbeck.compare.board import render_board
        from limbeck.compare.board_read import read_board

        return render_board(read_board(folder), live)
    return render(read_run(folder), live)


def render(view: RunView, live: str = "") -> str:
    """The page's HTML for what was read."""
    card = view.card
    method, data = card.get("method") or {}, card.get("data") or {}
    return fill(
        "page.html",
        live,
        title=f"{method.get('name') or 'run'} on {data.get('name') or 'its data'}",
        card=card,
        method=method,
        data=data,
        words=headline(view),
        tiles=relations(card),
        columns=columns(card),
        rows=[(who, model.get("model", ""), cells(model)) for who, model in view.models.items()],
        latency_note=latency_note(card),
        onnx=_onnx_words(card),
        sections=_sections(view),
        svg=Markup(view.svg),
        recipe=view.recipe,
        environment=view.environment,
        commands=_commands(view),
        missing=view.missing,
        notes=list(dict.fromkeys(str(note) for note in (*(card.get("notes") or ()), *(data.get("notes") or ())))),
    )


def _sections(view: RunView) -> list[dict[str, Any]]:
    """The sections with charts, each with an id, a title, figures, a note, and values as a table where there are some."""
    costs = [figure(cost_chart(view, what), f"{capital(metric_of(view.card))} against {what}") for what in ("size", "latency")]
    said = "Bars are 95 % intervals over the test samples." if any(f["svg"] for f in costs) else "No card, so no cost is known."
    return [
        _curves_section(view),
        {"id": "cost", "title": f"{capital(metric_of(view.card))} against cost", "figures": costs, "note": said},
        *_exits_section(view.card),
        _class_section(view),
        *([] if view.strings or view.boxes else _class_answers(view)),
        {"id": "differ", "title": "Where teacher and student differ most", "figures": [], **differing(view)},
    ]


def _class_answers(view: RunView) -> list[dict[str, Any]]:
    """What is taken for what, and how sure the models are; not where answers are strings or boxes."""
    pairs = [figure(confusion_chart(view, who), who.capitalize()) for who in ("teacher", "student")]
    none = "" if view.logits or view.confusions else "No predictions were kept."
    many, unsure = len(view.class_names()), "" if view.logits else "Confidences were not kept."
    return [
        {
            "id": "confusion",
            "title": "What is taken for what",
            "figures": pairs,
            "note": none or (f"{many} classes are too many to draw." if many > CELLS else ""),
        },
        {
            "id": "reliability",
            "title": "Does it know when it is wrong?",
            "figures": [figure(reliability_chart(view), "Confidence against correctness", legend(list(view.logits)))],
            "note": unsure or RELIABILITY,
            "values": _confidence_values(view),
        },
    ]


def _exits_section(card: dict[str, Any]) -> list[dict[str, Any]]:
    """What a threshold on confidence gains and costs, for networks with early exits."""
    measured = card.get("exits") or {}
    if not measured.get("thresholds"):
        return []
    names = [str(each["name"]) for each in measured["exits"]]
    rows = [
        [f"{row['threshold']:g}", (percent(row["accuracy"], 2), row["accuracy"]), (number(row["latency_ms"]), row["latency_ms"])]
        + [(percent(share), share) for share in row["shares"]]
        for row in measured["thresholds"]
    ]
    alone = "; ".join(f"{e['name']} {percent(e['accuracy'], 2)} in {number(e['latency_ms'])} ms" for e in measured["exits"])
    note = f"A sample leaves at the first exit that is as sure as the threshold. Alone: {alone}."
    head = ["threshold", "accuracy", "mean ms", *(f"leave at {name}" for name in names)]
    return [{"id": "exits", "title": "Leaving early", "figures": [], "note": note, "values": {"head": head, "rows": rows}}]


def _curves_section(view: RunView) -> dict[str, Any]:
    terms = list(term_points(view))[:TERMS]
    figures = [
        figure(accuracy_curves(view), f"{capital(metric_of(view.card))} on validation", legend(list(accuracy_points(view)))),
        figure(term_curves(view), "The student's loss terms", legend(terms, "term-")),
    ]
    note = "" if view.metrics else "No learning curves were recorded."
    return {"id": "curves", "title": "Learning curves", "figures": figures, "note": note}


def _class_section(view: RunView) -> dict[str, Any]:
    bars, shown = class_bars(view)
    many = len(view.class_names())
    few = f"The {shown} classes that the student answers worst, of {many}." if shown < many else ""
    return {
        "id": "classes",
        "title": "Class by class",
        "figures": [
            figure(bars, f"{capital(metric_of(view.card, 'share'))} within each class", legend(list(view.models or view.logits)))
            | {"boxes": True}
        ],
        "note": few if bars else f"{capital(metric_of(view.card, 'share'))} per class was not recorded.",
        "values": _class_values(view),
    }


def _class_values(view: RunView) -> dict[str, Any]:
    """The accuracy of every class as a table, which a screen reader or a printer can use."""
    names = view.class_names()
    models = {who: m["per_class"] for who, m in view.models.items() if len(m.get("per_class") or ()) == len(names)}
    rows = [[names[c], *((percent(values[c]), values[c]) for values in models.values())] for c in range(len(names))]
    return {"head": ["class", *models], "rows": rows} if models else {}


def _confidence_values(view: RunView) -> dict[str, Any]:
    """Mean confidence, share that is right and calibration error of every model."""
    if view.labels is None or not view.logits:
        return {}
    rows = []
    for who, logits in view.logits.items():
        sure = float(logits.double().softmax(1).max(1).values.mean())
        shares = (sure, accuracy(logits, view.labels), calibration_error(logits, view.labels))
        rows.append([who, *((percent(share), share) for share in shares)])
    return {"head": ["model", "mean confidence", "is right", "calibration error"], "rows": rows}


def _onnx_words(card: dict[str, Any]) -> str:
    onnx = (card.get("export") or {}).get("onnx") or {}
    if not onnx:
        return ""
    median = (onnx.get("latency_ms") or {}).get("median")
    return (
        f"{onnx.get('file')} ({bytes_words(onnx.get('bytes'))}) was reloaded in ONNX Runtime: same answers for "
        f"{percent(onnx.get('same_answers'))} of the samples asked, largest difference of a logit "
        f"{number(onnx.get('largest_difference'), 2)}" + (f", {number(median)} ms for one answer." if median else ".")
    )


def _commands(view: RunView) -> list[str]:
    folder = shlex.quote(view.folder.name or "run")
    again = f"limbeck distill --recipe {folder}/recipe.toml --out {folder}-again" if view.recipe else ""
    first = str(view.card.get("command") or again)
    return [*([first] if first else []), f"limbeck evaluate {folder}", f"limbeck report {folder}"]
