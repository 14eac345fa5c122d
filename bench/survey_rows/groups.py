"""Rows 10, 13, 14 and 23 to 27: networks that train together. The papers have ResNets on CIFAR-10 and CIFAR-100; here
ResNet-8 of 4 and of 8 channels on Fashion-MNIST, where small networks have learned enough within the budget to teach."""

from collections.abc import Callable
from typing import Any

from bench.survey_rows.common import FASHION, LARGE, SMALL, also, line, run
from limbeck.plan.taps import Tap


def one(seed: int) -> dict[str, Any]:
    """Lan, Zhu & Gong 2018: three branches, one is kept; no teacher."""
    made, card = run(10, seed, method="one", data=FASHION, student=SMALL)
    return line(made, card)


def peers(seed: int) -> dict[str, Any]:
    """Chen et al. 2020: three peers and a leader; no teacher."""
    made, card = run(13, seed, method="okddip", data=FASHION, student=SMALL)
    return line(made, card)


def collaborative(seed: int) -> dict[str, Any]:
    """Guo et al. 2020, KDCL-Naive: a small and a larger network; "teacher" is the larger one."""
    made, card = run(14, seed, method="kdcl_naive", data=FASHION, student=SMALL, roles={"peer": LARGE})
    larger, size = also(made, "peer")
    return line(made, card, teacher=larger, teacher_size=size, note="teacher: the larger peer")


def rocket(seed: int) -> dict[str, Any]:
    """Zhou et al. 2018: the booster is a copy of the upper layers, twice as wide."""
    made, card = run(23, seed, method="rocket", data=FASHION, student=SMALL)
    booster, size = also(made, Tap("student", "layer1").via("booster")[-1])
    return line(made, card, teacher=booster, teacher_size=size, note="teacher: the booster")


def own_teacher(seed: int) -> dict[str, Any]:
    """Zhang et al. 2019: the exit after layer1 is the student, the deepest exit the teacher; baseline: the same exit,
    trained along on labels alone."""
    made, card = run(24, seed, method="own_teacher", data=FASHION, student=SMALL)
    quiet = {"alpha": 0.0, "hint": 0.0}
    other, _ = run(24, seed, method="own_teacher", arguments=quiet, data=FASHION, student=SMALL, baseline=False, tag="-alone")
    exit_1 = Tap("student", "layer1").via("exit_1")[1]
    (first, size), (plain, _) = also(made, exit_1), also(other, exit_1)
    deepest = card["models"]["student"]
    return line(
        made, card, teacher=100 * deepest["score"], teacher_size=deepest["parameters"], student=first, student_size=size,
        baseline=plain, deepest_gain=card["gain_percent"], exits=card["exits"]["thresholds"],
        note="teacher: the deepest exit; student: the first exit; baseline: the first exit without lessons",
    )  # fmt: skip


def fusion(seed: int) -> dict[str, Any]:
    """Kim et al. 2019: two networks and the classifier on their fused maps, which is the teacher."""
    made, card = run(25, seed, method="ffl", data=FASHION, student=SMALL, roles={"peer": SMALL})
    maps = (Tap("student", "layer3"), Tap("peer", "layer3"))
    fused, size = also(made, maps[0].via("fusion", maps[1]))
    return line(made, card, teacher=fused, teacher_size=size, note="teacher: the fused classifier")


def ladder(seed: int) -> dict[str, Any]:
    """Walawalkar et al. 2020: copies of 3/4, 1/2 and 1/4 of the channels; the smallest is kept, the full one the teacher."""
    made, card = run(26, seed, method="ladder", data=FASHION, student=LARGE, baseline=False)
    full, size = also(made, "student")
    student = card["models"]["student"]
    # the kept copy is a shared block, a 1x1 convolution and narrow layers: its like is trained alone as a method of its own
    _, other = run(
        26, seed, method="ladder", data=FASHION, student=LARGE, baseline=False, tag="-alone",
        arguments={"weights": [1.0, 0.0, 0.0], "ratios": [0.25]},
    )  # fmt: skip
    return line(
        made, card, teacher=full, teacher_size=size, student=100 * student["score"],
        baseline=100 * other["models"]["student"]["score"],
        note="teacher: the full network; baseline: the same copy beside a full one, without maps or soft labels",
    )  # fmt: skip


def adversarial(seed: int) -> dict[str, Any]:
    """Chung et al. 2020: a small and a larger network; "teacher" is the larger one."""
    made, card = run(27, seed, method="afd", data=FASHION, student=SMALL, roles={"peer": LARGE})
    larger, size = also(made, "peer")
    return line(made, card, teacher=larger, teacher_size=size, note="teacher: the larger peer")


ROWS: dict[int, Callable[[int], dict[str, Any]]] = {
    10: one, 13: peers, 14: collaborative, 23: rocket, 24: own_teacher, 25: fusion, 26: ladder, 27: adversarial,
}  # fmt: skip
