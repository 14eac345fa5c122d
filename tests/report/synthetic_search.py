"""A synthetic search: candidates that fit and not, trainings of every outcome, a teacher, chance, limits, a chosen file."""

from pathlib import Path

from limbeck.runs.recipes import make
from limbeck.shrinking.page import page
from limbeck.tasks.classify import CLASSIFY


def make_search(folder: Path) -> Path:
    """The page of the search, saved."""
    costs = {f"cnn:depth={d}:width={w}": (0.01 * d * w, 4000 * d * w) for d in (1, 2) for w in (2, 4, 8)}
    trials = [
        {"number": k, "state": state, "folder": f"trials/{k}", "candidate": name, "settings": {"lr": 0.05, "temperature": 3.2},
         "latency_ms": costs[name][0], "bytes": costs[name][1], "parameters": costs[name][1] // 4,
         "validation": None if state == "fail" else 0.95 - 0.08 * k, "error": "it failed" if state == "fail" else None}
        for k, (name, state) in enumerate(zip(list(costs)[1:], ("complete", "complete", "pruned", "running", "fail"), strict=True))
    ]  # fmt: skip
    candidates = [
        {"name": name, "dropped": "", "parameters": size // 4, "latency_ms": ms, "bytes": size}
        for name, (ms, size) in costs.items()
    ]
    candidates.append(
        {"name": "resnet14:width=16", "dropped": "not measured: its weights alone are 689 kB", "parameters": 172_000}
    )
    asked = {"recipe": make({}).model_dump(mode="json"), "limits": {"latency": 0.001, "size": 70_000, "score": 0.9}, "format": "onnx",
             "int8": False, "on": "this machine", "threads": 1, "guided": True}  # fmt: skip
    file = {"folder": "trials/0", "file": "student.onnx", "score": 0.94, "latency_ms": 0.04, "bytes": 17_000, "distillation_score": 0.03,
            "words": ["Its file student.onnx: test accuracy 94.00 %."]}  # fmt: skip
    state = {
        "version": 1, "asked": asked, "trials": trials, "spent": 60.0, "task": CLASSIFY.facts(), "candidates": candidates,
        "teacher": {"parameters": 300_000, "validation": 0.99}, "guess": 0.11, "chosen": file,
        "verdict": {"chosen": trials[0], "nearest": trials[0]["candidate"], "words": ["Time ran out after 2 trained students.", "Best."]},
    }  # fmt: skip
    folder.mkdir(parents=True)
    (folder / "shrink.html").write_text(page(state), encoding="utf-8")
    return folder / "shrink.html"
