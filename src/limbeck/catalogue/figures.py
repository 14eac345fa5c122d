"""What a method was measured to do, in lines, from the files that the measurements wrote; nothing is typed in here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from limbeck.catalogue.survey.measured import Spread, SurveyResult, measured
from limbeck.metrics.significance import mean_interval

RESULTS = Path(__file__).parents[3] / "bench" / "results"  # there in a checkout
SETTINGS = {  # what a file's own lines do not say
    "cifar10": "20,000 CIFAR-10 images, ResNet-56 -> ResNet-8",
    "catalogue": "300 digits, cnn(width=32), trained on 1,258, -> cnn(width=4)",
    "catalogue_few_labels": "60 labels of 300 digits, cnn(width=32), trained on 1,258, -> cnn(width=4)",
    "tasks_detection": "blood cells (BCCD) at 160 x 120, detector(width=24, blocks=2) -> detector_mobile(width=0.5), mAP@0.5",
    "tasks_privileged": "sonar, mlp(width=32) with 60 columns -> mlp(width=16) with 8",
    "tasks_membranes": "cell membranes in tiles of 128 x 128, unet(width=12) -> unet(width=4), mean IoU",
    "tasks_human_noise": "4,000 CIFAR-10N pictures, 40 % of their labels wrong, 1,000 also with right ones, cnn(width=12)",
    "tasks_other_classes": "200 MNIST digits, cnn(width=16), which knows clothes, -> cnn(width=8)",
    "tasks_experts": "1,200 Fashion-MNIST pictures, cnn(width=16) -> cnn(width=4)",
    "tasks_one_colour": "4,000 CIFAR-10 pictures, ResNet-20 of colours -> ResNet-8 of the red channel",
    "text_distilbert": "SST-2, 7,200 sentences, BERT of 4 layers of 64 features -> 2 layers",
    "text_tinybert": "SST-2, 7,200 sentences, BERT of 4 layers of 64 features -> 2 layers of 32",
    "text_translation": "multi30k de-en, 5,000 training pairs of at most 10 words, seq2seq 96 -> seq2seq 24, BLEU",
    "unexplored": "300 digits, cnn(width=32), trained on 1,258, -> cnn(width=4)",
    "demo": "digits, cnn(width=64) -> cnn(width=4)",
}
BASELINES = {2: "alone_tree", 5: "alone", 6: "alone"}  # of rows of the survey
NONE = "not measured yet"


class Sweep(TypedDict):
    """A line of a file with one for each method and seed."""

    method: str
    seed: int
    score: float
    epochs: float
    arguments: dict[str, object]


def lines(method: str, results: Path = RESULTS) -> list[str]:
    """A line for every measurement of a method, none if there is none."""
    found = [line for path in sorted(results.glob("*.jsonl")) for line in _of_table(method, path)]
    if method == "kd" and (results / "demo.json").exists():
        found.append(_of_demo(json.loads((results / "demo.json").read_text(encoding="utf-8"))))
    for number, row in measured().items():
        taught = {row["method"]: row["student"]} | row.get("others", {})
        if method in taught:
            found.append(_of_survey(number, row, taught[method], taught=True))
        elif method == BASELINES.get(number) and row["baseline"]:
            found.append(_of_survey(number, row, row["baseline"], taught=False))
    return found


def gain(method: str, results: Path = RESULTS) -> str:
    """Points that a method gained over no teacher in the sweep over the catalogue, with the 95 % interval over its seeds;
    "" if it was not in it."""
    for name in ("catalogue", "catalogue_few_labels"):
        path = results / f"{name}.jsonl"
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        by = {(row["method"], row["seed"]): 100 * row["score"] for row in rows}
        gaps = [value - by["alone", seed] for (who, seed), value in by.items() if who == method != "alone"]
        if gaps:
            mean, low, high = mean_interval(gaps)
            return f"{mean:+.1f} +- {(high - low) / 2:.1f}" if len(gaps) > 1 else f"{mean:+.1f}"
    return ""


def _of_table(method: str, path: Path) -> list[str]:
    """A file with one line for each method and seed, `alone` among them."""
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    rows: list[Sweep] = [row for row in found if {"method", "seed", "score", "epochs"} <= set(row)]
    alone = {(row["seed"], row["epochs"]): 100 * row["score"] for row in rows if row["method"] == "alone"}
    groups: dict[str, list[Sweep]] = {}
    for row in rows:
        if method == row["method"]:
            groups.setdefault(json.dumps([row["arguments"], row["epochs"]], sort_keys=True), []).append(row)
    lines = []
    for group in groups.values():
        epochs, chosen = group[0]["epochs"], _arguments(group[0]["arguments"])
        same = [alone[key] for row in group if (key := (row["seed"], epochs)) in alone]
        against = f" against {_mean(same)} alone" if len(same) == len(group) and group[0]["method"] != "alone" else ""
        what = ", ".join(filter(None, (SETTINGS.get(path.stem, path.stem), chosen, f"{epochs:g} epochs", _seeds(len(group)))))
        lines.append(f"{what}: {_mean([100 * row['score'] for row in group])}{against} ({_script(path)})")
    return lines


def _script(path: Path) -> str:
    return f"bench/{path.stem.partition('_')[0]}.py"


def _of_demo(rows: list[dict[str, float]]) -> str:
    student, alone = (_mean([row[who] for row in rows]) for who in ("student", "baseline"))
    return f"{SETTINGS['demo']}, {_seeds(len(rows))}: {student} against {alone} alone (bench/demo.py)"


def _of_survey(number: int, row: SurveyResult, own: Spread, *, taught: bool) -> str:
    against = f" against {_spread(row['baseline'])} without it" if taught and row["baseline"] else ""
    chosen = _arguments(row["arguments"] or {}) if taught else ""
    parts = (row["data"], row["networks"], chosen, row["budget"], _seeds(row["seeds"]))
    result = f"{row['metric']} {_spread(own)}{against}"
    return f"{', '.join(filter(None, parts))}: {result} (row {number} of `limbeck survey`)"


def _arguments(arguments: Mapping[str, object]) -> str:
    return ", ".join(f"{key}={value}" for key, value in arguments.items())


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _mean(values: list[float]) -> str:
    """Mean and 95 % interval, where there are several values."""
    mean, low, high = mean_interval(values) if len(values) > 1 else (values[0], None, None)
    return _spread({"mean": mean, "low": low, "high": high})


def _spread(found: Spread) -> str:
    if found["low"] is None or found["high"] is None:
        return f"{found['mean']:.2f}"
    return f"{found['mean']:.2f} +- {(found['high'] - found['low']) / 2:.2f}"
