"""Rows 2, 8, 11 and 15: MNIST as in the papers; Fashion-MNIST in place of radar images."""

from collections.abc import Callable
from typing import Any

from bench.survey_rows.common import FASHION, MNIST, line, model, run

LENET, HALF = (model("bench.survey_rows.nets:lenet", width=width) for width in (6, 3))
GENTLE = {
    "optimizer": "adam",
    "lr": 0.002,
    "weight_decay": 0.0,
}  # T = 20 makes gradients 20 times as large: SGD ends with dead units


def tree(seed: int) -> dict[str, Any]:
    """Liu, Wang & Matwin 2018: a tree of depth 8 on a CNN's probabilities; baseline: the same depth on labels."""
    made, card = run(
        2,
        seed,
        method="soft_tree",
        data=MNIST,
        teacher=model("cnn", width=16),
        student=model("tree", depth=8, min_leaf=5),
    )
    return line(made, card, words="the tree is fitted once", student_size=None, note="a tree's nodes are no parameters")


def zero_shot(seed: int) -> dict[str, Any]:
    """Nayak et al. 2019: 2,000 data impressions of LeNet-5 teach one of half its width; the baseline has the labels of all data."""
    made, card = run(
        8,
        seed,
        method="zero_shot",
        arguments={"size": 2000, "share": 2.0},
        data=MNIST,
        teacher=LENET,
        student=HALF,
        train=GENTLE,
    )
    return line(made, card, words="twice that for the impressions", note="the student sees no data, the baseline 3,600 labels")


def ternary(seed: int) -> dict[str, Any]:
    """Min et al. 2019: both have ternary weights; the baseline follows nobody (alpha = 0)."""
    pair = {"data": FASHION, "teacher": model("cnn", width=16), "student": model("cnn", width=8)}
    made, card = run(11, seed, method="gradual", arguments={"scale": True}, baseline=False, **pair)
    alone = {"scale": True, "alpha": 0.0}
    _, other = run(11, seed, method="gradual", arguments=alone, baseline=False, tag="-alone", **pair)
    sizes = {f"{who}_size": card["models"][who]["bytes"] for who in ("teacher", "student")}
    note = "sizes in bytes, of the packed file for the student"
    return line(made, card, baseline=100 * other["models"]["student"]["score"], **sizes, note=note)


def records(seed: int) -> dict[str, Any]:
    """Lopes, Fenu & Starner 2017: inputs made from records of all layers; the three kinds of record are all measured."""
    pair = {"data": MNIST, "teacher": LENET, "student": HALF, "train": GENTLE}
    size = {"size": 2000, "share": 2.0}
    made, card = run(15, seed, method="records_all", arguments=size, **pair)
    others = {}
    for name in ("records_top", "records_spectral"):
        _, other = run(15, seed, method=name, arguments=size, baseline=False, tag=f"-{name}", **pair)
        others[name] = 100 * other["models"]["student"]["score"]
    note = "the student sees inputs made from records, the baseline 3,600 labels"
    return line(made, card, words="twice that for the inputs", others=others, note=note)


ROWS: dict[int, Callable[[int], dict[str, Any]]] = {2: tree, 8: zero_shot, 11: ternary, 15: records}
