"""Start-up: `limbeck methods`, and what a 1-epoch run on the digits costs beyond its training.

    python -m bench.start [--rounds 5]

Each figure is the median of fresh processes, in turn with `python -c "import torch"`, whose time is given beside
them. The run's overhead is its wall time less the training seconds of teacher, baseline and student that its card
states: imports, data, checks, measuring, export to ONNX and back, page. Written to bench/results/start.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RESULTS = Path(__file__).parent / "results" / "start.json"


def wall(*words: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - start


def overhead() -> float:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        store = f"store.path={folder}/store"
        spent = wall("-m", "limbeck", "distill", "--epochs", "1", "--set", store, "--quiet", "--out", str(out))
        card = json.loads((out / "card.json").read_text(encoding="utf-8"))
        return spent - sum(model["train_seconds"] for model in card["models"].values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found: dict[str, list[float]] = {"import torch": [], "limbeck methods": [], "1-epoch run beyond training": []}
    for _ in range(rounds):
        found["import torch"].append(wall("-c", "import torch"))
        found["limbeck methods"].append(wall("-m", "limbeck", "methods"))
        found["1-epoch run beyond training"].append(overhead())
    table = {k: {"seconds": statistics.median(v), "low": min(v), "high": max(v)} for k, v in found.items()}
    for name, row in table.items():
        print(f"{name:<30}{row['seconds']:>7.2f} s  ({row['low']:.2f} to {row['high']:.2f})")
    RESULTS.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
