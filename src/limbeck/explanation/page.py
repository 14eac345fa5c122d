"""The page of an explanation: one self-contained HTML file, made from `explain.json` alone."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from limbeck.cards.words import number, percent
from limbeck.explanation.charts import heat_map, keeps_chart, parts_chart, rows_chart
from limbeck.explanation.schema import Agreement, Arm, Corrupted, Explanation, TakenApart, read_explanation
from limbeck.files import atomic_write
from limbeck.report.charts import DASH
from limbeck.report.frame import Cell, ChartFigure, PageSection, PageTable, figure, fill
from limbeck.tasks.figure import known, marked

MOST_CLASSES = 30
ARM_WORDS = {
    "labels": "labels alone",
    "smoothing": "smoothed, the same for all",
    "confidence": "the teacher's confidence, the rest even",
    "shuffled": "the teacher's labels, the rest shuffled",
    "full": "the teacher's labels",
}


def write_page(folder: Path) -> Path:
    """Write `explain.html` from `explain.json` and return its path."""
    found = read_explanation(folder)
    with atomic_write(folder / "explain.html", text=True) as file:
        file.write(page(found, str(folder)))
    return folder / "explain.html"


def page(found: Explanation, run: str = "run") -> str:
    """The page's HTML."""
    name = shlex.quote(run or "run")
    gain = found["gain"]
    seeds = 0 if "skipped" in gain else len(gain["seeds"])
    sections = [gain_section(found), class_section(found["agreement"]), sure_section(found["agreement"])]
    sections += [corrupt_section(found["corruptions"]), like_section(found), keeps_section(found)]
    return fill(
        "explain.html",
        version=found["limbeck"],
        title=f"{found['method'].get('name') or 'run'} on {found['data']['name']}: why the student gained, or did not",
        words=found["verdict"],
        sections=[s for s in sections if s],
        commands=[f"limbeck explain {name} --seeds {seeds}"],
    )


def keys(models: Sequence[str]) -> list[dict[str, str]]:
    return [{"name": who, "css": f"by {who}", "dash": DASH.get(who, "")} for who in models]


def _dots(svg: str, title: str, models: Sequence[str]) -> ChartFigure:
    """A figure whose marks have the models' shapes."""
    return figure(svg, title, [{"name": who, "css": who, "dash": ""} for who in models]) | {"boxes": True}


def gain_section(found: Explanation) -> PageSection:
    """The parts of the gain, and what each kind of student reached."""
    gain = found["gain"]
    about: PageSection = {"id": "gain", "title": "Which part of the soft labels helped", "figures": []}
    if "skipped" in gain:
        return about | {"note": f"No students were trained for this: {gain['skipped']}."}
    rows: list[list[Cell]] = [
        [ARM_WORDS[name], _percent(arm["mean"]), (_range(arm), arm["low"]), _difference(gain, name)]
        for name, arm in gain["arms"].items()
    ]
    note = (
        f"Students with the recipe, budget and initial weights of the run's student, {len(gain['seeds'])} seeds each, tested "
        f"on {gain['samples']} samples. Soft labels at temperature {gain['temperature']:g}, share {gain['alpha']:g}; smoothing "
        f"of {gain['amount']:.3f}, the teacher's mean. Lines are 95 % intervals over seeds. What the temperature does to the "
        "loss itself counts as smoothing; re-weighting is what the teacher's confidence in each label adds to that; relations "
        "are the rest."
    )
    note += f" One test sample is {number(100 / gain['samples'])} points."
    method = found["method"].get("name")
    if method and method != "kd":
        note += f" The parts are those of soft labels; what else {method} does is not taken apart."
    values: PageTable = {"head": ["trained on", "accuracy", "95 % interval", "points to labels alone"], "rows": rows}
    drawn = [figure(parts_chart(gain), "Parts of the gain")]
    return about | {"figures": drawn, "note": note, "values": values, "wide": True}


def _percent(value: float | None) -> tuple[str, float | None]:
    return percent(value, 2), value


def _range(arm: Arm) -> str:
    return f"{percent(arm['low'], 2)} to {percent(arm['high'], 2)}" if known(arm["low"]) else "–"


def _difference(gain: TakenApart, name: str) -> tuple[str, float | None]:
    gap = 100 * (gain["arms"][name]["mean"] - gain["arms"]["labels"]["mean"])
    return ("–", None) if name == "labels" else (f"{gap:+.2f}", gap)


def class_section(agreement: Agreement) -> PageSection:
    """Agreement and accuracy by class; the groups in which the student is right least often."""
    rows = agreement["per_class"]
    name = {r["class"]: marked(r["class"], r["samples"]) for r in rows}
    shown = sorted(rows, key=lambda r: r["agreement"]["student"])[:MOST_CLASSES] if len(rows) > MOST_CLASSES else rows
    learners, models = list(rows[0]["agreement"]), list(rows[0]["accuracy"])
    figures = [
        _dots(
            rows_chart([(name[r["class"]], r["agreement"]) for r in shown], "same prediction as the teacher"),
            "Agreement by class",
            learners,
        ),
        _dots(rows_chart([(g["group"], g["accuracy"]) for g in agreement["groups"]], "accuracy"), "Worst groups", models),
    ]
    note = "A group is a class, and whether the teacher is surer of a sample than of half of all samples; at least 10 samples."
    if len(shown) < len(rows):
        note += f" The {len(shown)} classes on which student and teacher agree least, of {len(rows)}."
    table: PageTable = {
        "head": ["class", "samples", *(f"{w} right" for w in models), *(f"{w} agrees" for w in learners)],
        "rows": [
            [
                name[r["class"]],
                (str(r["samples"]), r["samples"]),
                *(_share(r["accuracy"][w]) for w in models),
                *(_share(r["agreement"][w]) for w in learners),
            ]
            for r in rows
        ],
    }
    return {
        "id": "classes",
        "title": "Where they agree and differ",
        "figures": figures,
        "note": note,
        "values": table,
        "wide": True,
    }


def _share(value: float | None) -> tuple[str, float | None]:
    return percent(value), value if known(value) else None


def sure_section(agreement: Agreement) -> PageSection:
    """Agreement and accuracy by the teacher's confidence."""
    rows = [(f"{percents(r['low'])} to {percents(r['high'])} ({r['samples']})", r) for r in agreement["confidence"]]
    learners, models = list(rows[0][1]["agreement"]), list(rows[0][1]["accuracy"])
    figures = [
        _dots(rows_chart([(n, r["agreement"]) for n, r in rows], "same prediction as the teacher"), "Agreement", learners),
        _dots(rows_chart([(n, r["accuracy"]) for n, r in rows], "accuracy"), "Accuracy", models),
    ]
    return {"id": "sure", "title": "By the teacher's confidence", "figures": figures, "note": "In brackets: samples."}


def percents(value: float) -> str:
    return f"{100 * value:g}%"


def corrupt_section(rows: Sequence[Corrupted]) -> PageSection:
    """Accuracy and agreement with inputs made worse."""
    if not rows:
        note = "Inputs of this kind cannot be made worse in a way that is known to keep the label."
        return {"id": "worse", "title": "Under corruption", "figures": [], "note": note}
    named = [(f"{r['name']} {r['strength']}".strip(), r) for r in rows]
    models, learners = list(rows[0]["accuracy"]), list(rows[0]["agreement"])
    figures = [
        _dots(rows_chart([(n, r["accuracy"]) for n, r in named], "accuracy"), "Accuracy", models),
        _dots(rows_chart([(n, r["agreement"]) for n, r in named], "same prediction as the teacher"), "Agreement", learners),
    ]
    note = f"{rows[0]['samples']} test samples, each made worse in the same way for all models, the teacher included."
    return {"id": "worse", "title": "Under corruption", "figures": figures, "note": note}


def like_section(found: Explanation) -> PageSection:
    """CKA of the layers."""
    inside = found["inside"]
    pairs = inside.get("similarity", {})
    about: PageSection = {"id": "like", "title": "Similarity of the layers"}
    if not pairs:
        return about | {"figures": [], "note": "The models have no layers that could be compared."}
    figures = [figure(heat_map(pair, who), f"{who.capitalize()} and teacher") for who, pair in pairs.items()]
    floor = max(pair["floor"] or 0.0 for pair in pairs.values())
    note = (
        f"Linear CKA over {inside['samples']} test samples: 1 where two layers hold the same up to rotation and scale. Mixing "
        f"the samples up leaves at most {floor:.2f}: what is not clearly above that means nothing. Similarity is not accuracy."
    )
    return about | {"figures": figures, "note": note}


def keeps_section(found: Explanation) -> PageSection:
    """What is read back from the layers."""
    inside = found["inside"]
    keeps, itself = inside.get("keeps"), inside.get("input_itself")
    about: PageSection = {"id": "keeps", "title": "What each layer represents of the input"}
    if not keeps or not itself:
        return about | {"figures": [], "note": "Inputs of this kind are not read back."}
    figures = [
        figure(keeps_chart(keeps, "input", "input read back (R²)"), "The input", keys(list(keeps))),
        figure(keeps_chart(keeps, "label", "label read back (accuracy)"), "The label", keys(list(keeps))),
    ]
    small = " (at most 8 x 8 pixels)" if found["data"]["kind"] == "image" else ""
    note = (
        f"A proxy, not information in bits: how well ridge regression rebuilds the input{small} and the label from a layer, on "
        f"{round(0.2 * inside['samples'])} samples that it was not fitted to. What a layer keeps in a form that a linear map "
        f"cannot read is missed. The input itself reaches {number(itself['input'])} and {number(itself['label'])}."
    )
    rows: list[list[Cell]] = [
        [f"{who}: {row['layer']}", (number(row["input"]), row["input"]), (number(row["label"]), row["label"])]
        for who, each in keeps.items()
        for row in each
    ]
    values: PageTable = {"head": ["layer", "input, R²", "label, accuracy"], "rows": rows}
    return about | {"figures": figures, "note": note, "values": values}
