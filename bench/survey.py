"""Survey A's 27 systems, each measured on data at hand: teacher, baseline and student at one stated budget.

    python -m bench.survey --data FOLDER [--row N ...] [--seeds 3] [--work FOLDER]
    python -m bench.survey --aggregate

FOLDER holds data sets by name (mnist, fashion_mnist, cifar10 as its binary batches, ...), as `$LIMBECK_DATA` does, and
`pretrained_cifar10_resnet`. Each (row, seed) is one line of bench/results/survey.jsonl, which appears by being moved into
place; what is there is not run again. Networks, data and budgets are small and were fixed beforehand: nothing is chosen
on the test part, which is read once, after the last epoch. `--aggregate` writes means and intervals over the seeds to
src/limbeck/survey/measured.json, which `limbeck survey` prints.
"""

import argparse
import importlib
import json
import os
import pkgutil
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results" / "survey.jsonl"
KEYS = {"data", "budget", "metric", "teacher", "baseline", "student", "teacher_size", "student_size", "seconds"}
Row = Callable[[int], dict[str, Any]]


def rows() -> dict[int, Row]:
    """Row of the survey -> function of a seed, from every module of `bench.survey_rows` that has `ROWS`."""
    import bench.survey_rows as package

    found: dict[int, Row] = {}
    for module in pkgutil.iter_modules(package.__path__):
        found |= getattr(importlib.import_module(f"bench.survey_rows.{module.name}"), "ROWS", {})
    return dict(sorted(found.items()))


def done() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()] if RESULTS.exists() else []


def keep(record: dict[str, Any]) -> None:
    """Add a line, sorted by row and seed; the file is replaced whole."""
    from limbeck.files import atomic_write

    RESULTS.parent.mkdir(exist_ok=True)
    lines = [r for r in done() if (r["row"], r["seed"]) != (record["row"], record["seed"])] + [record]
    lines.sort(key=lambda r: (r["row"], r["seed"]))
    with atomic_write(RESULTS, text=True) as file:
        file.write("".join(json.dumps(line) + "\n" for line in lines))


def measure(row: int, seed: int, run: Row) -> None:
    start = time.monotonic()
    record = {"row": row, "seed": seed, **run(seed)}
    missing = KEYS - set(record)
    assert not missing, f"row {row} left out {missing}"
    record["wall_seconds"] = round(time.monotonic() - start, 1)
    keep(record)
    print(json.dumps(record), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder with the data sets")
    parser.add_argument("--row", type=int, nargs="*", help="only these rows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", type=int, help="only this seed")
    parser.add_argument("--work", default="runs/survey", help="folder for run folders and what rows share")
    parser.add_argument("--aggregate", action="store_true", help="write the package's table from what is measured")
    chosen = parser.parse_args()
    if chosen.data:
        os.environ["LIMBECK_DATA"] = str(Path(chosen.data).resolve())
        os.environ["LIMBECK_SURVEY_WORK"] = str(Path(chosen.work).resolve())
        import torch

        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        every = rows()
        for seed in range(chosen.seeds) if chosen.only is None else [chosen.only]:  # all rows once before any row twice
            for row in chosen.row or every:
                if (row, seed) in {(r["row"], r["seed"]) for r in done()}:
                    continue
                try:
                    measure(row, seed, every[row])
                except Exception:  # one row's failure is not the others'
                    print(f"row {row} seed {seed} failed:\n{traceback.format_exc()}", file=sys.stderr, flush=True)
    if chosen.aggregate:
        from bench.survey_rows.aggregate import write

        print(write(done()))


if __name__ == "__main__":
    main()
