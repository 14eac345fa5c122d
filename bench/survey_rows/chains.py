"""Rows 3, 4 and 12: a chain of equals and a route of anchors on Fashion-MNIST, few bits on CIFAR-10."""

from collections.abc import Callable
from typing import Any

from bench.survey_rows.common import CIFAR, FASHION, LARGE, SMALL, also, line, model, resnet, run


def born_again(seed: int) -> dict[str, Any]:
    """Furlanello et al. 2018: three generations of one network; teacher and baseline are generation 0."""
    made, card = run(3, seed, method="born_again", arguments={"ensemble": True}, data=FASHION, student=SMALL)
    third, size = also(made, "student")
    first, _ = also(made, "generation_0")
    words = "each of three generations"
    return line(
        made, card, words=words, teacher=first, teacher_size=size, student=third, student_size=size,
        ensemble=100 * card["models"]["student"]["score"],
    )  # fmt: skip


def few_bits(seed: int) -> dict[str, Any]:
    """Polino et al. 2018, quantised distillation in 4 bits; the baseline has 4 bits and no teacher (alpha = 0)."""
    pair = {"data": CIFAR, "teacher": resnet(20), "student": model("resnet8", width=8), "train": {"epochs": 8}}
    made, card = run(4, seed, method="quantised_distillation", baseline=False, **pair)
    _, other = run(4, seed, method="quantised_distillation", arguments={"alpha": 0.0}, baseline=False, tag="-alone", **pair)
    return line(made, card, baseline=100 * other["models"]["student"]["score"])


def route(seed: int) -> dict[str, Any]:
    """Jin et al. 2019: a MobileNetV2 follows a ResNet-8 through four anchors; greedy anchors beside equal intervals."""
    pair = {"data": FASHION, "teacher": LARGE, "student": model("mobilenetv2", width=0.1, expand=3)}
    made, card = run(12, seed, method="rco", **pair)
    _, greedy = run(12, seed, method="rco_greedy", baseline=False, tag="-greedy", **pair)
    return line(made, card, greedy=100 * greedy["models"]["student"]["score"])


ROWS: dict[int, Callable[[int], dict[str, Any]]] = {3: born_again, 4: few_bits, 12: route}
