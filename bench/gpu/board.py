"""Eight methods and the baseline, five seeds together in one pass: what they give where there is time to train."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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
    made = subprocess.run([sys.executable, "-m", "limbeck", *words], capture_output=True, text=True, check=False)
    seconds = time.monotonic() - start
    print(f"exit {made.returncode} in {seconds:.0f} s", made.stderr[-2000:] if made.returncode else "", flush=True)
    for failed in sorted(folder.glob("runs/*/failed.json"))[:9]:
        print(failed.read_text()[-600:], flush=True)
    board = json.loads((Path(folder) / "leaderboard.json").read_text())
    for row in board["rows"]:
        gap = row.get("to_baseline") or {}
        print(
            row["name"], row["score"], gap.get("difference"), gap.get("low"), gap.get("high"), gap.get("p_corrected"), flush=True
        )
    kept = {key: board[key] for key in ("rows", "verdict", "seeds", "budget", "teacher", "correction", "hyperparameters")}
    return {"wall_seconds": round(seconds), "words": [w for w in words if not w.startswith("/")], "board": kept}
