"""Every method of the catalogue that one picture classifier can teach another by, at one budget.

    python -m bench.catalogue [--seeds 3] [--epochs 20] [--out runs/catalogue]

A comparison like any other (`limbeck compare`), resumable, on the digits of scikit-learn: for every seed a baseline and
each method, with its defaults and the same student, initial weights, order and budget. The teacher has seen all training
pictures and the students see 300, so that it knows something they cannot learn from their own labels. Methods that need
unlabelled pictures run in a comparison of their own, where teacher-less training has 60 labels of the 300.
What the test part says is read once, after the last epoch, and nothing was chosen by it.
Results: bench/results/catalogue.jsonl and catalogue_few_labels.jsonl, which `make docs` shows with each method.
"""

import argparse
from pathlib import Path
from typing import Any

from bench.lines import show, write
from limbeck import methods
from limbeck.comparison.comparison import Comparison
from limbeck.comparison.entries import parse_entries
from limbeck.face.run import run
from limbeck.runs.recipes import make

FEW_LABELS = (
    "data_distillation",
    "logit_regression",
    "mean_teacher",
    "pate",
    "seed_similarity",
    "simclr_semi",
    "temporal_ensembling",
)
NOT_HERE = {
    **dict.fromkeys(("alone_tree", "soft_tree"), "a tree is fitted, not trained"),
    **dict.fromkeys(("few_shot", "zero_shot", "records_all", "records_spectral", "records_top"), "no data, or few"),
    **dict.fromkeys(("ctc_delayed", "sequence_level"), "strings"),
    **dict.fromkeys(("adaptive", "between", "skewed", "distilbert", "tinybert"), "text"),
    **dict.fromkeys(("detection", "detection_gan", "fine_grained"), "boxes"),
    **dict.fromkeys(("dense_hints", "knowledge_adaptation", "structured", "structured_code"), "masks"),
    **dict.fromkeys(("cross_modal", "generalised_distillation", "lupi", "streams"), "two views of a sample"),
    "fsp": "maps of equal width",
    **dict.fromkeys(("clean_labels", "cross_task", "specialists"), "other labels than the teacher's"),
}


def network(width: int, weights: Path | None = None) -> dict[str, Any]:
    return {"model": "cnn", "arguments": {"width": width}} | ({"weights": str(weights)} if weights else {})


def settings(student: dict[str, Any], epochs: float, **data: Any) -> dict[str, Any]:
    return {
        "data": {"name": "digits", "validation": 0.1, **data},
        "student": student,
        "train": {"epochs": epochs, "batch": 32, "lr": 0.05},
        "onnx": False,
        "device": "cpu",
    }


def taught(out: Path) -> dict[str, dict[str, Any]]:
    """The teachers, each trained once: a wide one, and more for methods with several."""
    found = {}
    for seed, (role, width) in enumerate({"teacher": 32, "teacher_1": 16, "teacher_2": 16, "teacher_3": 16}.items()):
        if not (out / role / "card.json").exists():
            alone = {"method": {"name": "alone"}, "baseline": False, "seed": seed}
            run(make(settings(network(width), 15) | alone), out / role)
        found[role] = network(width, out / role / "weights" / "student.safetensors")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=20)
    parser.add_argument("--out", type=Path, default=Path("runs/catalogue"))
    chosen = parser.parse_args()
    teachers = taught(chosen.out / "teachers")
    usual = [n for n in methods.CATALOGUE if n not in NOT_HERE and n not in FEW_LABELS and n != "alone"]
    for group, file, names, data in (
        ("all", "catalogue", usual, {"limit": 300}),
        ("few", "catalogue_few_labels", FEW_LABELS, {"limit": 300, "labelled": 60}),
    ):
        cast = {"teacher": teachers["teacher"], "roles": {k: v for k, v in teachers.items() if k != "teacher"}}
        cast["roles"]["assistant"] = network(8)
        recipe = make(settings(network(4), chosen.epochs, **data) | cast)
        board = Comparison(recipe, parse_entries(",".join(names)), range(chosen.seeds), chosen.out / group).go()
        show(board)
        write(file, board, chosen.epochs)


if __name__ == "__main__":
    main()
