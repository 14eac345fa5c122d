"""A teacher that sees all 60 columns of the sonar table, and a student that sees and will see 8 of them.

    python -m bench.privileged --data FOLDER [--seeds 10] [--out runs/privileged]

FOLDER holds `tabular/sonar.csv` (208 echoes of rocks and metal cylinders). A comparison like any other: the baseline has the
same 8 columns without a teacher. `lupi` trains a teacher of its own within the run; `compose` is a combination that no
method of the catalogue has: soft labels only of the samples that the teacher answers rightly.
"""

import argparse
from pathlib import Path

from bench.lines import show, write
from limbeck.compare.comparison import Comparison, parse_entries
from limbeck.runs.recipe import make

METHODS = 'generalised_distillation,lupi:privileged="columns:0-59",compose:mask="right"'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("runs/privileged"))
    chosen = parser.parse_args()
    settings = {
        "data": {"name": str((chosen.data / "tabular" / "sonar.csv").resolve())},
        "train": {"epochs": 60, "batch": 16, "lr": 0.05},
        "teacher": {"model": "mlp", "arguments": {"width": 32}},
        "student": {"model": "mlp", "arguments": {"width": 16}, "sees": "bands:0:8"},
        "onnx": False,
        "device": "cpu",
    }
    board = Comparison(make(settings), parse_entries(METHODS), range(chosen.seeds), chosen.out).go()
    write("privileged", board, settings["train"]["epochs"])  # type: ignore[index]
    show(board)


if __name__ == "__main__":
    main()
