"""Row 7: 100 labels of MNIST, and a teacher that is no network."""

from collections.abc import Callable
from typing import Any

from bench.survey_rows.common import MNIST, line, model, run


def few_shot(seed: int) -> dict[str, Any]:
    """Kimura et al. 2018: a Gaussian process on 100 images teaches a CNN on pseudo inputs; the baseline has the images."""
    made, card = run(
        7,
        seed,
        method="few_shot",
        arguments={"size": 250},
        data=MNIST | {"limit": 111},
        teacher=model("gp", points=100),
        student=model("cnn", width=8, depth=2),
        train={"epochs": 400},
    )
    return line(made, card, student_size=None, note="a Gaussian process keeps its data: no sizes to compare")


ROWS: dict[int, Callable[[int], dict[str, Any]]] = {7: few_shot}
