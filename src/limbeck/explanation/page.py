"""The page of an explanation: one self-contained HTML file, made from `explain.json` alone."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from limbeck.cards.words import number, percent
from limbeck.explanation.charts import heat_map, keeps_chart, of_same_layers, parts_chart, rows_chart
from limbeck.explanation.schema import Agreement, Arm, Corrupted, Explanation, TakenApart, read_explanation
from limbeck.files import atomic_write
from limbeck.metrics.significance import FEWEST, Paired
from limbeck.report.frame import Cell, ChartFigure, PageSection, PageTable, figure, fill
from limbeck.report.headline import Tile
from limbeck.report.page import shows
from limbeck.tasks.figure import known, marked

MOST_CLASSES = 30
PART_WORDS = {
    "label smoothing": "labels that are less than certain",
    "re-weighting of examples": "weight by the teacher's confidence",
    "relations between classes": "which wrong classes are likely",
}
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
        first=numbers(found),
        picture={} if "skipped" in gain else figure(parts_chart(gain), "Parts of the gain, with 95 % intervals over seeds"),
        sections=[s for s in sections if shows(s) or s.get("note")],
        commands=[f"limbeck explain {name} --seeds {seeds}"],
    )


def numbers(found: Explanation) -> list[Tile]:
    """Three numbers: what soft labels changed, the part that did most, and how sure that is; without students that were trained
    for it, how often the models agree."""
    gain = found["gain"]
    if "skipped" in gain:
        overall = found["agreement"]["overall"]["agreement"]
        return [(f"{who} agrees with the teacher", percent(share), ()) for who, share in overall.items() if who != "teacher"]
    whole = gain["gain"]
    name, part = max(gain["parts"].items(), key=lambda item: abs(item[1]["difference"]))
    arms = gain["arms"]
    beside = (f"labels alone {percent(arms['labels']['mean'], 2)}, with the teacher's {percent(arms['full']['mean'], 2)}",)
    p = part["p_corrected"]
    seeds = f"{len(gain['seeds'])} seeds"
    told = (
        f"too few seeds to tell ({seeds})"
        if p is None or len(gain["seeds"]) < FEWEST
        else f"p = {number(p, 2)}, {seeds}, corrected"
    )
    sure = "beyond chance" if Paired.of(part).differs else "not beyond chance"
    return [
        ("soft labels changed accuracy by", f"{whole['difference']:+.2f} points", beside),
        ("the largest part", name, (f"{part['difference']:+.2f} points", PART_WORDS.get(name, ""))),
        ("how sure", sure, (told,)),
    ]


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
    return about | {"note": note, "values": values, "wide": True}


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
        f"Linear CKA compares what two layers hold of the same {inside['samples']} test samples: 1 where they hold the same up "
        f"to rotation and scale, 0 where they share nothing. With the samples mixed up, {floor:.2f} is reached at most: what is "
        "not clearly above that means nothing. Layers that are alike need not answer alike."
    )
    return about | {"figures": figures, "note": note}


def keeps_section(found: Explanation) -> PageSection:
    """What is read back from the layers."""
    inside = found["inside"]
    keeps, itself = inside.get("keeps"), inside.get("input_itself")
    about: PageSection = {"id": "keeps", "title": "What each layer represents of the input"}
    if not keeps or not itself:
        return about | {"figures": [], "note": "Inputs of this kind are not read back."}
    figures = []
    for same in of_same_layers(keeps):
        who = " and ".join(same)
        figures += [
            _dots(keeps_chart(same, "input", "input read back (R²)"), f"The input, {who}", list(same)),
            _dots(keeps_chart(same, "label", "label read back (accuracy)"), f"The label, {who}", list(same)),
        ]
    small = " (at most 8 x 8 pixels)" if found["data"]["kind"] == "image" else ""
    note = (
        f"How well a linear map (ridge regression) rebuilds the input{small} and the label from a layer, on "
        f"{round(0.2 * inside['samples'])} samples that it was not fitted to. R² is 1 where the input comes back exactly, "
        "0 where its mean would do as well. What a layer keeps in a form that no linear map can read is missed: this is not "
        f"information in bits. The input itself reaches {number(itself['input'])} and {number(itself['label'])}."
    )
    rows: list[list[Cell]] = [
        [f"{who}: {row['layer']}", (number(row["input"]), row["input"]), (number(row["label"]), row["label"])]
        for who, each in keeps.items()
        for row in each
    ]
    values: PageTable = {"head": ["layer", "input, R²", "label, accuracy"], "rows": rows}
    return about | {"figures": figures, "note": note, "values": values}
