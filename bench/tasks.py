"""Methods that the sweep over digits (`bench.catalogue`) cannot show, each on data of its own kind.

    python -m bench.tasks --data FOLDER [NAME ...] [--seeds N] [--out runs/tasks]

FOLDER holds the data sets named below by name, and `pretrained_cifar10_resnet`. Each is a comparison like any other
(`limbeck compare`), resumable: one teacher, and for every seed a baseline and each method with the same student, order, views
and budget. Settings were fixed beforehand; the test part is read once, after the last epoch.
Results: bench/results/tasks_NAME.jsonl, which `make docs` shows with each method.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.lines import show, write
from bench.survey_rows.common import resnet
from bench.survey_rows.segmentation import MEMBRANE
from limbeck.comparison.comparison import Comparison
from limbeck.comparison.entries import parse_entries
from limbeck.face.run import run
from limbeck.files import atomic_write
from limbeck.runs.recipes import make


@dataclass(frozen=True)
class Task:
    """A comparison: methods as `--methods` spells them, settings given the folder of data and one to work in, seeds."""

    methods: str
    settings: Callable[[Path, Path], dict[str, Any]]
    seeds: int = 3
    needs: tuple[str, ...] = field(default=())  # below the folder of data


def detection(data: Path, _: Path) -> dict[str, Any]:
    """Boxes around blood cells (BCCD: 205 / 87 / 72 pictures, three kinds of cells)."""
    return {
        "data": {"name": str(data / "bccd" / "BCCD.zip"), "size": (120, 160), "augment": "flip,crop:8"},
        "train": {"epochs": 30, "batch": 8, "lr": 0.05},
        "teacher": {"model": "detector", "arguments": {"width": 24, "blocks": 2, "stride": 4}},
        "student": {"model": "detector_mobile", "arguments": {"width": 0.5, "blocks": 1, "stride": 4}},
    }


def privileged(data: Path, _: Path) -> dict[str, Any]:
    """A teacher that sees all 60 columns of the sonar table (208 echoes), and a student that sees and will see 8 of them.

    `lupi` trains a teacher of its own within the run; `compose` is a combination that no method of the catalogue has: soft
    labels only of the samples that the teacher answers rightly.
    """
    return {
        "data": {"name": str(data / "tabular" / "sonar.csv")},
        "train": {"epochs": 60, "batch": 16, "lr": 0.05},
        "teacher": {"model": "mlp", "arguments": {"width": 32}},
        "student": {"model": "mlp", "arguments": {"width": 16}, "sees": "bands:0:8"},
    }


def membranes(data: Path, _: Path) -> dict[str, Any]:
    """A U-Net for cell membranes, as in row 18 of `bench.survey`."""
    return {
        "data": MEMBRANE | {"path": str(data / "membrane")},
        "train": {"epochs": 6, "batch": 8, "lr": 0.05},
        "teacher": {"model": "unet", "arguments": {"width": 12, "depth": 3}},
        "student": {"model": "unet", "arguments": {"width": 4, "depth": 3}},
    }


def human_noise(data: Path, work: Path) -> dict[str, Any]:
    """CIFAR-10N: 4,000 pictures with the labels of the worst of three people (40 % wrong), 1,000 of them also with right ones.

    The teacher of `clean_labels` learns from the 1,000 within the run; the baseline reads the noisy labels of all.
    """
    path = work / "cifar10n.npz"
    if not path.exists():
        from limbeck.data import load

        plain = load("cifar10", path=data / "cifar10", validation=0)
        people = np.load(data / "cifar_n" / "cifar10n.npz")
        x, y, test = plain["train"].inputs[:4000], plain["train"].labels[:4000], plain["test"]
        assert (people["clean_label"][:4000] == y.numpy()).all(), "the pictures are in another order than the labels"
        parts = {"x": x, "y": people["worse_label"][:4000], "x_clean": x[:1000], "y_clean": y[:1000]}
        parts |= {"x_test": test.inputs[:2000], "y_test": test.labels[:2000]}
        with atomic_write(path) as file:
            np.savez(file, **{key: np.asarray(value) for key, value in parts.items()})
    return {
        "data": {"name": str(path), "augment": "flip,crop"},
        "train": {"epochs": 12, "batch": 64, "lr": 0.05},
        "teacher": {"model": "cnn", "arguments": {"width": 12}},
        "student": {"model": "cnn", "arguments": {"width": 12}},
    }


def other_classes(data: Path, work: Path) -> dict[str, Any]:
    """A teacher of clothes (4,000 pictures of Fashion-MNIST) for a student of digits, with 200 of MNIST."""
    folder, teacher = work / "clothes", {"model": "cnn", "arguments": {"width": 16}}
    if not (folder / "card.json").exists():
        clothes = {"name": "fashion_mnist", "path": str(data / "fashion_mnist"), "limit": 4000}
        alone = {"method": {"name": "alone"}, "baseline": False, "student": teacher, "onnx": False, "device": "cpu"}
        run(make(alone | {"data": clothes, "train": {"epochs": 10, "batch": 32, "lr": 0.05}}), folder)
    return {
        "data": {"name": "mnist", "path": str(data / "mnist"), "limit": 200},
        "train": {"epochs": 40, "batch": 32, "lr": 0.05},
        "teacher": teacher | {"weights": str(folder / "weights" / "student.safetensors"), "classes": 10},
        "student": {"model": "cnn", "arguments": {"width": 8}},
    }


def experts(data: Path, _: Path) -> dict[str, Any]:
    """1,200 pictures of Fashion-MNIST, with experts for shirts, coats and shoes."""
    return {
        "data": {"name": "fashion_mnist", "path": str(data / "fashion_mnist"), "limit": 1200},
        "train": {"epochs": 30, "batch": 32, "lr": 0.05},
        "teacher": {"model": "cnn", "arguments": {"width": 16}},
        "student": {"model": "cnn", "arguments": {"width": 4}},
    }


def one_colour(data: Path, _: Path) -> dict[str, Any]:
    """A published CIFAR-10 ResNet-20 that sees colours; the student sees the red channel of 4,000 pictures."""
    return {
        "data": {"name": "cifar10", "path": str(data / "cifar10"), "limit": 4000},
        "train": {"epochs": 12, "batch": 64, "lr": 0.05},
        "teacher": resnet(20, data),
        "student": {"model": "resnet8", "sees": "bands:0:1"},
    }


TASKS = {
    "detection": Task("detection,fine_grained,detection_gan", detection, needs=("bccd",)),
    "privileged": Task(
        'generalised_distillation,lupi:privileged="columns:0-59",compose:mask="right"', privileged, 10, ("tabular",)
    ),
    "membranes": Task("structured,structured_code", membranes, needs=("membrane",)),
    "human_noise": Task('clean_labels:clean="clean"', human_noise, needs=("cifar10", "cifar_n")),
    "other_classes": Task("cross_task", other_classes, needs=("mnist", "fashion_mnist")),
    "experts": Task("kd,specialists:subsets=[[0,2,6],[3,4],[5,7,9]]", experts, needs=("fashion_mnist",)),
    "one_colour": Task('kd,cross_modal:paired=""', one_colour, needs=("cifar10", "pretrained_cifar10_resnet")),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(TASKS)}; all of them by default")
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--seeds", type=int, help="instead of each task's own number")
    parser.add_argument("--out", type=Path, default=Path("runs/tasks"))
    chosen = parser.parse_args()
    for name in chosen.names or TASKS:
        task, folder = TASKS[name], chosen.data.resolve()
        missing = [part for part in task.needs if not (folder / part).exists()]
        if missing:
            print(f"{name}: skipped, as {folder} has no {', '.join(missing)}")
            continue
        work = (chosen.out / name).resolve()
        work.mkdir(parents=True, exist_ok=True)
        settings = {"onnx": False, "device": "cpu"} | task.settings(folder, work)
        board = Comparison(make(settings), parse_entries(task.methods), range(chosen.seeds or task.seeds), work / "compared").go()
        write(f"tasks_{name}", board, settings["train"]["epochs"])
        teacher = board["teacher"]
        print(name, "" if teacher is None else f"teacher: {100 * teacher['score']:.2f}, {teacher['parameters']:,} parameters")
        show(board)


if __name__ == "__main__":
    main()
