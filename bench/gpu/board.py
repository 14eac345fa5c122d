"""Eight methods and the baseline, five seeds together in one pass: what they give where there is time to train."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

METHODS = "kd,kd_standardised,dkd,dist,attention,rkd,similarity,pkt"


def go(chosen: argparse.Namespace) -> dict[str, Any]:
    folder = chosen.out.parent / f"gpu_board_{chosen.student}"
    few = ["--set", "data.limit=256", "--seeds", "2", "--batch", "32"] if chosen.small else ["--seeds", "5", "--batch", "512"]
    words = ["compare", "--methods", METHODS if not chosen.small else "kd,attention", "--data", "cifar10", "--data-path"]
    words += [str(chosen.data), "--augment", "crop,flip", "--teacher", "resnet56", "--teacher-weights", str(chosen.weights)]
    words += ["--set", "teacher.mean=[0.485,0.456,0.406]", "--set", "teacher.std=[0.229,0.224,0.225]"]
    words += ["--student", chosen.student, "--epochs", str(chosen.epochs), "--lr", "0.4", "--set", "data.validation=0.02"]
    words += ["--set", "train.precision=bf16", "--set", "onnx=false", "--on", "together", "--quiet", "--out", str(folder), *few]
    start = time.monotonic()
    try:
        made = subprocess.run(
            [sys.executable, "-m", "limbeck", *words], capture_output=True, text=True, check=False, timeout=chosen.limit
        )
    except subprocess.TimeoutExpired:
        return {"wall_seconds": chosen.limit, "words": clean(words), "rows": rows_of(folder), "cut_off": True}
    seconds = time.monotonic() - start
    print(f"exit {made.returncode} in {seconds:.0f} s", made.stderr[-2000:] if made.returncode else "", flush=True)
    for failed in sorted(folder.glob("runs/*/failed.json"))[:9]:
        print(failed.read_text()[-600:], flush=True)
    return {"wall_seconds": round(seconds), "words": clean(words), "rows": rows_of(folder), "cut_off": False}


def clean(words: list[str]) -> list[str]:
    """The command without the folders of this machine."""
    return [Path(word).name if word.startswith("/") else word for word in words]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Each method's scores by seed, of the runs that ended, and the paired difference to the baseline over common seeds."""
    scores: dict[str, dict[int, float]] = {}
    for card in sorted(folder.glob("runs/*/card.json")):
        name, _, seed = card.parent.name.rpartition("-seed")
        scores.setdefault(name, {})[int(seed)] = 100 * json.loads(card.read_text())["models"]["student"]["score"]
    rows = []
    for name, found in sorted(scores.items()):
        row: dict[str, Any] = {"name": name, "scores": found, "score": interval(list(found.values()))}
        gaps = [found[seed] - base for seed, base in scores.get("baseline", {}).items() if seed in found]
        row["to_baseline"] = interval(gaps) if name != "baseline" else None
        rows.append(row)
        print(name, row["score"], row["to_baseline"], flush=True)
    return rows


def interval(values: list[float]) -> dict[str, Any]:
    """Mean and 95 % interval by Student's t; no interval for a single value."""
    if not values:
        return {"mean": None, "half": None, "seeds": 0}
    half = None
    if len(values) > 1:
        half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5)
    return {"mean": float(np.mean(values)), "half": half, "seeds": len(values)}
