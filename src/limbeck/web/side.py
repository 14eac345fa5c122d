"""Two runs side by side: their figures, what differs in their settings, and where their students answer differently."""

import tomllib
from collections.abc import Mapping
from pathlib import Path

from limbeck.cards.schema import ModelEntry
from limbeck.cards.table import columns
from limbeck.cards.words import count, number
from limbeck.report.charts import Chart, score_span
from limbeck.report.curves import score_points, thinned
from limbeck.report.frame import Cell, PageSection, PageTable, figure, fill
from limbeck.report.read import RunView, read_run
from limbeck.tasks.figure import figures_in, known, score_in
from limbeck.tasks.predictions import Predictions

SHOWN, MARKS = 12, ("m-0", "m-8")
ABSENT = "–"


def side_page(first: Path, second: Path, live: str = "") -> str:
    """The HTML for two folders of runs. Raises `UserError` if one is none."""
    a, b = read_run(first), read_run(second)
    names = (first.name, second.name)
    sections = [_settings(a, b, names), _curves(a, b, names), *_answers(a, b, names)]
    shown = [section for section in sections if section is not None]
    return fill(
        "side.html", live, title=" and ".join(names), words=_words(a, b, names), figures=_figures(a, b, names), sections=shown
    )


def _student(view: RunView) -> ModelEntry:
    return view.models.get("student", {})


def _pair(a: RunView, b: RunView) -> tuple[Predictions, Predictions] | None:
    """Both students' answers, where they answered the same samples of the same data."""
    kept = [view.kept.predictions.get("student") if view.kept is not None else None for view in (a, b)]
    mine, theirs = kept
    if mine is None or theirs is None or a.task is None or b.task is None or a.task.name != b.task.name:
        return None
    same = mine.index.shape == theirs.index.shape and bool((mine.index == theirs.index).all())
    return (mine, theirs) if same and mine.answers.shape == theirs.answers.shape else None


def _words(a: RunView, b: RunView, names: tuple[str, str]) -> list[str]:
    """Which student is ahead, by how much, and whether their answers can tell."""
    score, mine, theirs = score_in(a.card), _student(a).get("score"), _student(b).get("score")
    if not known(mine) or not known(theirs):
        return ["At least one of the two has no result yet."]
    if figures_in(a.card)[0].key != figures_in(b.card)[0].key:
        return ["The two are of different tasks: their scores cannot be compared."]
    ahead = 0 if (mine >= theirs) == (score.better == "higher") else 1
    gap = score.gap(mine - theirs)
    words = [f"The student of {names[ahead]} is {gap} ahead: {score.text(mine)} and {score.text(theirs)} {score.title}."]
    pair = _pair(a, b)
    if pair is None or a.task is None:
        return [*words, "They did not answer the same samples, or these were not kept: chance cannot be ruled out."]
    p, agree = a.task.paired(*pair), a.task.agreement(*pair)
    many = count(len(pair[0]))
    if p is not None:
        told = "can be told apart" if p < 0.05 else "cannot be told apart"
        words.append(f"On {many} test samples the two {told} (p = {number(p, 2)}); one seed each.")
    return [*words, f"They give the same answer to {100 * agree:.1f} % of {many} test samples."]


def _figures(a: RunView, b: RunView, names: tuple[str, str]) -> PageTable:
    """A row for each column of the runs' cards, of the students."""
    others = {column.key: column for column in columns(b.card)}
    rows: list[list[Cell]] = []
    for column in columns(a.card):
        twin = others.get(column.key)
        mine, theirs = column.cell(_student(a)), twin.cell(_student(b)) if twin else (ABSENT, None)
        rows.append([column.title, mine, theirs])
    return {"head": ["student", *names], "rows": rows, "caption": "The figures of both students"}


def _flat(table: Mapping[str, object], before: str = "") -> dict[str, str]:
    """Settings by their whole names."""
    found: dict[str, str] = {}
    for key, value in table.items():
        name = f"{before}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: str(value)}
    return found


def _recipe(view: RunView) -> dict[str, str]:
    try:
        return _flat(tomllib.loads(view.recipe))
    except tomllib.TOMLDecodeError:
        return {}


def _settings(a: RunView, b: RunView, names: tuple[str, str]) -> PageSection:
    """The settings in which they differ."""
    mine, theirs = _recipe(a), _recipe(b)
    keys = [key for key in dict.fromkeys((*mine, *theirs)) if mine.get(key) != theirs.get(key)]
    rows: list[list[Cell]] = [[key, mine.get(key, ABSENT), theirs.get(key, ABSENT)] for key in keys]
    note = "" if rows else "Both have the same settings."
    values: PageTable = {"head": ["setting", *names], "rows": rows, "caption": "Settings that differ"} if rows else {}
    return {
        "id": "settings",
        "title": "What differs in their settings",
        "figures": [],
        "note": note,
        "values": values,
        "wide": True,
    }


def _curves(a: RunView, b: RunView, names: tuple[str, str]) -> PageSection | None:
    """Both students' scores on validation."""
    lines = [score_points(view).get("student", []) for view in (a, b)]
    if not all(lines):
        return None
    score = score_in(a.card)
    chart = Chart(f"Line chart: {score.title} on validation of {names[0]} and {names[1]} against training steps.")
    x = chart.x_axis(0, max(line[-1][0] for line in lines) or 1)
    y = chart.y_axis(*score_span(score, [v for line in lines for _, v in line], margin=0.06))
    chart.frame(x, y, "training step", f"validation {score.title}", count, score.tick)
    for line, css, dash in zip(lines, MARKS, ("", "7 4"), strict=True):
        chart.line([(x(step), y(value)) for step, value in thinned(line)], f"by {css}", dash)
    keys = [{"name": name, "css": f"by {css}", "dash": dash} for name, css, dash in zip(names, MARKS, ("", "7 4"), strict=True)]
    return {"id": "curves", "title": "Learning curves", "figures": [figure(chart.svg(), "The students on validation", keys)]}


def _answers(a: RunView, b: RunView, names: tuple[str, str]) -> list[PageSection]:
    """Where one class is answered: how often each alone is right, and samples on which they differ."""
    pair = _pair(a, b)
    if pair is None or pair[0].answers.dim() != 2 or not pair[0].answers.is_floating_point() or pair[0].labels.dim() != 1:
        return []
    mine, theirs = (each.answers.argmax(1) for each in pair)
    labels, index, classes = pair[0].labels, pair[0].index, a.class_names()
    one, two = mine == labels, theirs == labels
    shares = (
        ("both right", one & two),
        (f"only {names[0]}", one & ~two),
        (f"only {names[1]}", ~one & two),
        ("both wrong", ~one & ~two),
    )
    words = "; ".join(f"{name} {count(int(found.sum()))}" for name, found in shares)
    apart = (mine != theirs).nonzero().flatten()[:SHOWN].tolist()
    rows: list[list[Cell]] = [
        [f"{int(index[k])}", classes[int(labels[k])], classes[int(mine[k])], classes[int(theirs[k])]] for k in apart
    ]
    values: PageTable = {"head": ["sample", "label", *names], "rows": rows, "caption": "Samples that they answer differently"}
    return [
        {
            "id": "differ",
            "title": "Where they answer differently",
            "figures": [],
            "note": f"Right: {words}.",
            "values": values if rows else {},
        }
    ]
