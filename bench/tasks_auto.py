"""Does the default decide well? `auto` beside labels alone, from both starts, and beside other methods, on tasks of many kinds.

    python -m bench.tasks_auto --data FOLDER [NAME ...] [--seeds 5] [--out runs/tasks_auto]

FOLDER holds the data sets named below by name, and `pretrained_cifar10_resnet`. A task has one teacher, trained once on more samples
than its students see where there are more (on CIFAR-10 a published one), and for each seed the student by every contender: the same
network, samples, order and budget, each with its rate probed (`train.probe`) and lessons weighed (`train.balance`). `baseline` learns
from labels alone with random weights, `started` from labels alone with its teacher's layers, `auto` as `limbeck distill` does by
default. The test part is read once in each run, after the last step. The rule of `auto` was changed after the first three seeds of
digits, incomes, spoken digits and Fashion-MNIST had been seen (two classes, an eighth of the channels, equal weights up to 700
steps); their seeds 3 and 4 were not looked at before. Stopped at any point, the same command continues. A line for each run:
bench/results/tasks_auto.jsonl; the table with paired differences and 95 % intervals: tasks_auto.json.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.lines import RESULTS
from bench.survey_rows.common import resnet
from bench.survey_rows.segmentation import CAMVID, MEMBRANE
from limbeck.cards.schema import Card
from limbeck.errors import UserError
from limbeck.face.run import run
from limbeck.files import atomic_write
from limbeck.metrics.significance import paired
from limbeck.runs import auto
from limbeck.runs.recipes import make
from limbeck.tasks.figure import score_in

LINES, TABLE = RESULTS / "tasks_auto.jsonl", RESULTS / "tasks_auto.json"
FIRST = ("baseline", "started", "kd", "auto")
Settings = dict[str, Any]
ADAM = {"optimizer": "adamw", "lr": 1e-3, "weight_decay": 0.01, "clip": 1.0}


@dataclass(frozen=True)
class Task:
    """Settings of a student's run, given the folder of data; what the teacher is trained with instead; methods beside FIRST."""

    settings: Callable[[Path], Settings]
    teacher: Settings | None = None  # None: it comes trained
    others: tuple[str, ...] = ("kd_standardised",)


def _model(name: str, **arguments: Any) -> Settings:
    return {"model": name, "arguments": arguments}


def _digits(_: Path) -> Settings:
    train = {"epochs": 40, "batch": 32}
    return {
        "data": {"name": "digits", "limit": 300},
        "teacher": _model("cnn", width=32),
        "student": _model("cnn", width=4),
        "train": train,
    }


def _fashion(data: Path) -> Settings:
    own = {"name": "fashion_mnist", "path": str(data / "fashion_mnist"), "limit": 6000}
    return {
        "data": own,
        "teacher": _model("cnn", width=24),
        "student": _model("cnn", width=4),
        "train": {"epochs": 8, "batch": 64},
    }


def _cifar(data: Path) -> Settings:
    own = {"name": "cifar10", "path": str(data / "cifar10"), "limit": 6000, "augment": "crop,flip", "views": 3}
    train = {"epochs": 8, "batch": 64, "lr": 0.1}
    return {"data": own, "teacher": resnet(56, data), "student": _model("resnet8"), "train": train}


def _sentences(data: Path) -> Settings:
    bert = {"vocab_size": 8000, "num_attention_heads": 4, "max_position_embeddings": 32}
    return {
        "data": {"name": "sst2", "path": str(data / "sst2"), "limit": 3000},
        "teacher": _model("transformers:bert", hidden_size=64, num_hidden_layers=2, intermediate_size=256, **bert),
        "student": _model("transformers:bert", hidden_size=32, num_hidden_layers=1, intermediate_size=128, **bert),
        "train": {"epochs": 8, "batch": 64, **ADAM},
    }


def _incomes(data: Path) -> Settings:
    return {
        "data": {"name": str(data / "tabular" / "adult-train.csv"), "limit": 1500},
        "teacher": _model("mlp", width=64),
        "student": _model("mlp", width=4),
        "train": {"epochs": 15, "batch": 64},
    }


def _spoken(data: Path) -> Settings:
    return {
        "data": {"name": "fsdd", "path": str(data / "fsdd"), "limit": 900},
        "teacher": _model("tdnn", width=48),
        "student": _model("tdnn", width=8),
        "train": {"epochs": 15, "batch": 32},
    }


def _shells(data: Path) -> Settings:
    own = {"name": str(data / "tabular" / "abalone.csv"), "task": "numbers", "limit": 600}
    return {
        "data": own,
        "teacher": _model("mlp", width=64),
        "student": _model("mlp", width=4),
        "train": {"epochs": 40, "batch": 64},
    }


def _membranes(data: Path) -> Settings:
    return {
        "data": MEMBRANE | {"path": str(data / "membrane")},
        "teacher": _model("unet", width=12, depth=3),
        "student": _model("unet", width=4, depth=3),
        "train": {"epochs": 10, "batch": 8},
    }


def _streets(data: Path) -> Settings:
    return {
        "data": CAMVID | {"path": str(data / "camvid_240x180" / "camvid_240x180.zip")},
        "teacher": _model("fcn", width=24, blocks=2, stride=4),
        "student": _model("fcn", width=6, blocks=2, stride=4),
        "train": {"epochs": 12, "batch": 8},
    }


def _cells(data: Path) -> Settings:
    return {
        "data": {"name": str(data / "bccd" / "BCCD.zip"), "size": (120, 160), "augment": "flip,crop:8"},
        "teacher": _model("detector", width=24, blocks=2, stride=4),
        "student": _model("detector", width=6, blocks=2, stride=4),
        "train": {"epochs": 30, "batch": 8},
    }


TASKS = {
    "digits": Task(_digits, {"data.limit": None, "train.epochs": 15}, ("kd_standardised", "rkd", "attention_angle")),
    "fashion_mnist": Task(_fashion, {"data.limit": 20000, "train.epochs": 4, "train.lr": 0.1}),
    "incomes": Task(_incomes, {"data.limit": None, "train.epochs": 4}),
    "spoken_digits": Task(_spoken, {"data.limit": None, "train.epochs": 10}),
    "shells": Task(_shells, {"data.limit": None, "train.epochs": 40}, ()),
    "sentences": Task(_sentences, {"data.limit": 12000, "train.epochs": 4}),
    "cifar10": Task(_cifar),
    "membranes": Task(_membranes, {}, ()),
    "streets": Task(_streets, {"train.epochs": 20}, ()),
    "cells": Task(_cells, {}, ()),
}


def taught(name: str, data: Path, out: Path) -> Settings:
    """The settings of a task's runs, with a teacher that has its weights."""
    task = TASKS[name]
    made = task.settings(data) | {"onnx": False, "device": "cpu", "baseline": False}
    if task.teacher is not None:
        folder = out / name / "teacher"
        own = {**made, "data": dict(made["data"]), "train": dict(made["train"]), "student": made["teacher"]}
        own["method"] = {"name": "alone"}
        for path, value in task.teacher.items():
            group, _, key = path.partition(".")
            own[group] = {**own[group], key: value} if value is not None else {k: v for k, v in own[group].items() if k != key}
        run(make(own), folder)
        made["teacher"] = made["teacher"] | {"weights": str((folder / "weights" / "student.safetensors").resolve())}
    return made | {"train": {**made["train"], "probe": True}}


def one(contender: str, settings: Settings, seed: int, folder: Path) -> Card:
    """The card of one run, made or read."""
    own: Settings = {**settings, "seed": seed, "student": dict(settings["student"])}
    if contender in ("baseline", "started"):
        own["method"] = {"name": "alone"}
        own["student"]["start"] = "teacher" if contender == "started" else "random"
        return run(make(own), folder)
    recipe = make({**own, "method": {"name": contender}})
    recipe, data = auto.settled(recipe, begun=folder) if contender == "auto" else (recipe, None)
    return run(recipe, folder, data=data)


def lines() -> list[dict[str, Any]]:
    return [json.loads(text) for text in LINES.read_text(encoding="utf-8").splitlines()] if LINES.exists() else []


def keep(line: dict[str, Any]) -> None:
    """Add a line in place of an older one of the same run."""
    kept = [old for old in lines() if any(old[key] != line[key] for key in ("task", "contender", "seed"))] + [line]
    kept.sort(key=lambda each: (list(TASKS).index(each["task"]), each["contender"], each["seed"]))
    with atomic_write(LINES, text=True) as file:
        file.write("".join(json.dumps(each) + "\n" for each in kept))


def table() -> list[dict[str, Any]]:
    """A row for each task and contender: mean, and the paired differences to both baselines, over the seeds that both have."""
    found, rows = lines(), []
    for task in TASKS:
        by: dict[str, dict[int, float]] = {}
        for line in (line for line in found if line["task"] == task):
            by.setdefault(line["contender"], {})[line["seed"]] = line["scale"] * line["score"]
        for name, scores in by.items():
            row: dict[str, Any] = {"task": task, "contender": name, "seeds": len(scores)}
            row["mean"] = round(sum(scores.values()) / len(scores), 3)
            for other in ("baseline", "started"):
                seeds = [seed for seed in scores if seed in by.get(other, {})]
                if name != other and len(seeds) > 1:
                    gap = paired([scores[s] for s in seeds], [by[other][s] for s in seeds])
                    row[f"minus {other}"] = [round(value, 3) for value in (gap.difference, gap.low, gap.high)]
            rows.append(row)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    print(f"{'task':<15}{'contender':<18}{'seeds':>6}{'mean':>9}   minus baseline [95 %]      minus started [95 %]")
    for row in rows:
        gaps = [row.get(f"minus {other}") for other in ("baseline", "started")]
        words = [f"{g[0]:+7.2f} [{g[1]:+.2f}, {g[2]:+.2f}]" if g else "" for g in gaps]
        print(f"{row['task']:<15}{row['contender']:<18}{row['seeds']:>6}{row['mean']:>9.2f}   {words[0]:<26} {words[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(TASKS)}; default: all")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--contenders", help=f"default: {', '.join(FIRST)} and each task's others")
    parser.add_argument("--out", type=Path, default=Path("runs/tasks_auto"))
    chosen = parser.parse_args()
    for name in chosen.names or TASKS:
        settings, task = taught(name, chosen.data, chosen.out), TASKS[name]
        names = chosen.contenders.split(",") if chosen.contenders else (*FIRST, *task.others)
        for seed in range(chosen.seeds):
            for contender in names:
                try:
                    card = one(contender, settings, seed, chosen.out / name / f"{contender}-{seed}")
                except UserError as error:
                    print(f"{name}, {contender}: {error}", flush=True)
                    continue
                student, figure = card["models"]["student"], score_in(card)
                method = card["method"]
                keep({"task": name, "contender": contender, "seed": seed, "score": student["score"], "scale": figure.scale,
                      "figure": figure.title, "method": method["name"], "arguments": method["arguments"],
                      "started": "start" in card, "rate": card.get("rates", {}).get("student"), "steps": student["steps"],
                      "pull": card.get("pull", []), "teacher": card["models"].get("teacher", {}).get("score"),
                      "seconds": student["train_seconds"]})  # fmt: skip
                print(name, contender, seed, student["score"], card.get("rates"), flush=True)
        rows = table()
        with atomic_write(TABLE, text=True) as file:
            file.write(json.dumps(rows, indent=1) + "\n")
    show(table())


if __name__ == "__main__":
    main()
