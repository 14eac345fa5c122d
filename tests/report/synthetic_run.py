"""A synthetic run folder: every piece that a run leaves, with made-up but consistent figures."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from limbeck.metrics.score import distillation_score, relative_drop, relative_gain, size_cut
from limbeck.plan import Method, Stage, Term, Update
from limbeck.plan.schedules import linear
from limbeck.plan.taps import Field, Tap
from limbeck.report import svg
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.predictions import Predictions

SIZES = {"teacher": 300_000, "baseline": 12_000, "student": 12_000}


def cross_entropy(student: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.zeros(1)


def soft_target(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    return torch.zeros(1)


def small_method() -> Method:
    task = Term("task", cross_entropy, weight=0.1, student=Tap("student"), labels=Field("labels"))
    soft = Term("soft", soft_target, weight=linear(4, 1), student=Tap("student"), teacher=Tap("teacher").detach())
    stages = (
        Stage("hint", (Update(("student",), (task,)),), share=0.3),
        Stage("distil", (Update(("student",), (task, soft)),), share=0.7),
    )
    return Method(stages, name="two_stages", paper="Nobody 2020, A Paper & More", year=2020)


def answers(labels: torch.Tensor, classes: int, strength: float, seed: int) -> torch.Tensor:
    noise = torch.randn(len(labels), classes, generator=torch.Generator().manual_seed(seed))
    return noise + strength * torch.nn.functional.one_hot(labels, classes)


def make_run(folder: Path, classes: tuple[str, ...] = tuple("0123456789"), n: int = 360, pictures: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    labels = torch.arange(n) % len(classes)
    logits = {
        who: answers(labels, len(classes), strength, seed)
        for seed, (who, strength) in enumerate({"teacher": 6.0, "baseline": 3.4, "student": 4.2}.items())
    }
    seen = {who: Predictions(z, labels, torch.arange(n) + 1000) for who, z in logits.items()}
    tensors = {"labels": labels, "index": torch.arange(n) + 1000, **logits}
    if pictures:
        at = torch.arange(0, n, 15)
        values = torch.randint(0, 256, (len(at), 1, 8, 8), generator=torch.Generator().manual_seed(5))
        tensors |= {"samples": values.to(torch.uint8), "samples_index": at}
    save_file(tensors, folder / "predictions.safetensors", metadata={"task": "classify", "settings": "{}"})
    (folder / "method.svg").write_text(svg(small_method()), encoding="utf-8")
    (folder / "card.json").write_text(json.dumps(make_card(seen, classes)), encoding="utf-8")
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, records())) + "\n", encoding="utf-8")
    (folder / "recipe.toml").write_text('[student]\nmodel = "cnn" # <b>\n', encoding="utf-8")
    (folder / "environment.json").write_text(json.dumps({"python": "3.11", "torch": "2.13.0"}), encoding="utf-8")
    return folder


def make_card(seen: dict[str, Predictions], classes: tuple[str, ...]) -> dict[str, Any]:
    latency = {"teacher": 0.9, "baseline": 0.11, "student": 0.11}
    models = {
        who: {
            "model": "resnet20" if who == "teacher" else "cnn",
            **CLASSIFY.measure(p, classes, seen["teacher"]).entry(),
            "parameters": SIZES[who],
            "bytes": 4 * SIZES[who],
            "latency_ms": {
                "median": latency[who],
                "low": latency[who] * 0.9,
                "high": latency[who] * 1.2,
                "p95": latency[who] * 1.3,
                "repeats": 200,
                "threads": 1,
                "batch": 1,
            },
            "train_seconds": 12.5,
            "steps": 400,
        }
        for who, p in seen.items()
    }
    s, t, b = (models[w]["score"] for w in ("student", "teacher", "baseline"))
    onnx = {"file": "student.onnx", "bytes": 50_000, "largest_difference": 2e-6, "same_predictions": 1.0, "score": s}
    fast = {"median": 0.03, "low": 0.028, "high": 0.033, "p95": 0.04, "repeats": 200, "threads": 1, "batch": 1}
    return {
        "version": 1,
        "limbeck": "0.1.0",
        "method": {
            "name": "two_stages",
            "arguments": {},
            "paper": "Nobody 2020",
            "year": 2020,
            "taxonomy": "x",
            "text": "two_stages()",
        },
        "svg": "method.svg",
        "task": CLASSIFY.facts(),
        "data": {
            "name": "digits",
            "kind": "image",
            "task": "classify",
            "classes": list(classes),
            "shape": [1, 8, 8],
            "mean": [0.3],
            "std": [0.4],
            "partitions": {"test": {"samples": 360, "per_class": None}},
            "split_seed": 0,
            "fingerprint": "f" * 64,
            "notes": [],
        },
        "seed": 0,
        "alpha": 0.5,
        "budget": {"epochs": 10, "batch": 64},
        "models": models,
        "drop_percent": relative_drop(s, t),
        "gain_percent": relative_gain(s, b),
        "size_cut_percent": size_cut(SIZES["student"], SIZES["teacher"]),
        "distillation_score": distillation_score(SIZES["student"], SIZES["teacher"], s, t),
        "export": {"onnx": {**onnx, "latency_ms": fast}},
        "notes": ["fewer training batches than published"],
        "command": "limbeck distill --data digits",
    }


def records() -> list[dict[str, Any]]:
    found = []
    for who, ceiling in {"teacher": 0.98, "baseline": 0.9, "student": 0.94}.items():
        for step in range(0, 401, 10):
            stage = "hint" if who == "student" and step < 120 else "distil"
            terms = {"task": 2.3 * 0.99**step + 0.05} | ({"soft": 9 * 0.985**step + 0.01} if who == "student" else {})
            record = {"who": who, "stage": stage, "epoch": step / 40, "step": step, "terms": terms, "lr": {"0": 0.1}}
            if step % 40 == 0:
                record["validation"] = {"score": ceiling * (1 - 0.9 * 0.985**step)}
            found.append(record)
    return found
