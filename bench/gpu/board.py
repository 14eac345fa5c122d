"""Eight methods and the baseline, five seeds at once: what they give where there is time to train."""

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
    """A process for each seed, all at once; a seed's methods share batches and the teacher's answers."""
    folder = chosen.out.parent / f"gpu_board_{chosen.student}"
    seeds = range(2 if chosen.small else chosen.seeds)
    words = {seed: command(chosen, seed, folder / f"seed{seed}") for seed in seeds}
    start = time.monotonic()
    running = {
        seed: subprocess.Popen(words[seed], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for seed in seeds
    }
    late = []
    for seed, process in running.items():
        try:
            said = process.communicate(timeout=max(1.0, chosen.limit - (time.monotonic() - start)))[1]
            print(f"seed {seed}: exit {process.returncode} after {time.monotonic() - start:.0f} s", flush=True)
            print(said[-2000:] if process.returncode else "", end="", flush=True)
        except subprocess.TimeoutExpired:
            process.kill()
            late.append(seed)
    for failed in sorted(folder.glob("seed*/runs/*/failed.json"))[:9]:
        print(failed.read_text()[-600:], flush=True)
    facts = {"epochs": chosen.epochs, "batch": 32 if chosen.small else 512, "lr": 0.4, "seeds": len(seeds)}
    return {
        "wall_seconds": round(time.monotonic() - start),
        "words": clean(words[0]),
        **facts,
        "rows": rows_of(folder),
        "cut_off": late,
    }


def command(chosen: argparse.Namespace, seed: int, folder: Path) -> list[str]:
    few = ["--set", "data.limit=256", "--batch", "32"] if chosen.small else ["--batch", "512"]
    words = ["compare", "--methods", METHODS if not chosen.small else "kd,attention", "--data", "cifar10", "--data-path"]
    words += [str(chosen.data), "--augment", "crop,flip", "--teacher", "resnet56", "--teacher-weights", str(chosen.weights)]
    words += ["--set", "teacher.mean=[0.485,0.456,0.406]", "--set", "teacher.std=[0.229,0.224,0.225]"]
    words += ["--student", chosen.student, "--epochs", str(chosen.epochs), "--lr", "0.4", "--set", "data.validation=0.02"]
    words += ["--set", "train.precision=bf16", "--set", "onnx=false", "--on", "together", "--quiet", "--out", str(folder)]
    return [sys.executable, "-m", "limbeck", *words, "--seed", str(seed), "--seeds", "1", *few]


def clean(words: list[str]) -> list[str]:
    """The command without the folders of this machine."""
    return [Path(word).name if word.startswith("/") else word for word in words]


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Each method's scores by seed, of the runs that ended, and the paired difference to the baseline over common seeds."""
    scores: dict[str, dict[int, float]] = {}
    for card in sorted(folder.glob("seed*/runs/*/card.json")):
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
