"""Rows 16, 17 and 20 to 22: a teacher's layers. A published ResNet-20 on CIFAR-10, as in the papers, for rows 16 and 22;
ResNet-8 of 8 channels, trained on ten times the student's images of Fashion-MNIST, for the others."""

from collections.abc import Callable
from typing import Any

from bench.survey_rows.common import CIFAR, FASHION, SMALL, TAUGHT, line, model, resnet, run, well_trained

SHORT = {"epochs": 8}  # CIFAR-10 takes longer per image


def flow(seed: int) -> dict[str, Any]:
    """Yim et al. 2017: flow matrices first; channels of teacher and student must agree."""
    # the paper's rate on the flow is 0.001, 1/50 of the one here
    made, card = run(
        16, seed, method="fsp", arguments={"weight": 0.02}, data=CIFAR, teacher=resnet(20), student=model("resnet8"), train=SHORT
    )  # fmt: skip
    return line(made, card, words="30 % of it on the flow")


def stages(seed: int) -> dict[str, Any]:
    """Gao et al. 2018: stage by stage, then the head."""
    made, card = run(17, seed, method="stage_by_stage", data=FASHION, teacher=well_trained(seed), student=SMALL)
    return line(made, card, words=f"75 % of it on the stages; {TAUGHT}")


def boundaries(seed: int) -> dict[str, Any]:
    """Heo et al. 2019: activation boundaries first, then labels."""
    made, card = run(20, seed, method="activation_boundary", data=FASHION, teacher=well_trained(seed), student=SMALL)
    return line(made, card, words=f"30 % of it on the boundaries; {TAUGHT}")


def chosen_layers(seed: int) -> dict[str, Any]:
    """Li et al. 2019: two pairs of layers in spaces of their own."""
    made, card = run(21, seed, method="lsl", data=FASHION, teacher=well_trained(seed), student=SMALL)
    return line(made, card, words=TAUGHT)


def graph(seed: int) -> dict[str, Any]:
    """Liu et al. 2019: instance relationship graphs."""
    # the method's default weights let its terms begin ten times the task's size here; these begin below it
    weights = {"vertices": 0.02, "edges": 1e-4, "transformations": 0.01}
    student = model("resnet8", width=8)
    made, card = run(22, seed, method="irg", arguments=weights, data=CIFAR, teacher=resnet(20), student=student, train=SHORT)
    return line(made, card)


ROWS: dict[int, Callable[[int], dict[str, Any]]] = {16: flow, 17: stages, 20: boundaries, 21: chosen_layers, 22: graph}
