"""A detector teaches a smaller one on blood cells (BCCD: 205 / 87 / 72 pictures, three kinds of cells), by three methods.

    python -m bench.detection --data FOLDER [--seeds 3] [--out runs/detection]

FOLDER holds `bccd/BCCD.zip`. A comparison like any other (`limbeck compare`): one teacher, and for every seed a baseline
and each method with the same student, order, views and budget. The settings were fixed beforehand: 160 x 120 pixels,
30 epochs, batch 8, SGD with momentum and one-cycle rate to 0.05. The test part is read once, after the last epoch.
"""

import argparse
from pathlib import Path

from bench.lines import show, write
from limbeck.compare.comparison import Comparison, parse_entries
from limbeck.runs.recipe import make

METHODS = "detection,fine_grained,detection_gan"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/detection"))
    chosen = parser.parse_args()
    settings = {
        "data": {"name": str((chosen.data / "bccd" / "BCCD.zip").resolve()), "size": (120, 160), "augment": "flip,crop:8"},
        "train": {"epochs": 30, "batch": 8, "lr": 0.05},
        "teacher": {"model": "detector", "arguments": {"width": 24, "blocks": 2, "stride": 4}},
        "student": {"model": "detector_mobile", "arguments": {"width": 0.5, "blocks": 1, "stride": 4}},
        "onnx": False,
        "device": "cpu",
    }
    board = Comparison(make(settings), parse_entries(METHODS), range(chosen.seeds), chosen.out).go()
    write("detection", board, settings["train"]["epochs"])  # type: ignore[index]
    print(f"teacher: {100 * board['teacher']['accuracy']:.2f} mAP@0.5, {board['teacher']['parameters']:,} parameters")
    show(board)


if __name__ == "__main__":
    main()
