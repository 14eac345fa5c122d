"""The survey's two tables as data: who, on what, and the three relative percentages it takes from the papers.

drop = (A_T - A_S) / A_T, negative where the student is better; gain = (A_S - A_B) / A_B; cut = 1 - P_S / P_T. None: not reported.
A_T, A_S, A_B: accuracy of teacher, student and the student without a teacher; P: size.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from limbeck.metrics.score import distillation_score

SOFT, OTHER = "soft labels", "other parts"


@dataclass(frozen=True)
class System:
    """One row: knowledge and scheme are where the survey has it; method and arguments are ours."""

    row: int
    reference: str
    architecture: str
    data: str
    drop: float | None
    gain: float | None
    cut: float | None
    knowledge: str
    scheme: str
    method: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    gain_words: str = ""  # where the survey gives a range


def score_of_paper(system: System, alpha: float = 0.5) -> float | None:
    """The distillation score that the survey's percentages give; None where drop or cut was not reported.

    >>> round(score_of_paper(next(s for s in SYSTEMS if s.row == 11)), 4)
    0.0058
    """
    if system.drop is None or system.cut is None:
        return None
    return distillation_score(1 - system.cut / 100, 1.0, 1 - system.drop / 100, 1.0, alpha)


SystemPlace = tuple[str, str]
_A, _B, _C, _D = (SOFT, "offline"), (SOFT, "online"), (OTHER, "offline"), (OTHER, "online")


def _row(
    place: SystemPlace,
    row: int,
    reference: str,
    on: str,
    drop: float | None,
    gain: float | None,
    cut: float | None,
    method: str,
    arguments: Mapping[str, object] | None = None,
    gain_words: str = "",
) -> System:
    architecture, data = on.split(" on ")
    return System(row, reference, architecture, data, drop, gain, cut, *place, method, arguments or {}, gain_words)


SYSTEMS: tuple[System, ...] = (
    _row(_A, 1, "Fukuda et al. 2017", "CNN on Aurora-4", 0.782, 2.238, None, "teachers_switch"),
    _row(_A, 2, "Liu, Wang & Matwin 2018", "decision tree on MNIST", 12.796, None, None, "soft_tree", gain_words="1 to 5"),
    _row(_A, 3, "Furlanello et al. 2018", "DenseNet on CIFAR-100", -2.369, None, None, "born_again"),
    _row(_A, 4, "Polino et al. 2018", "Wide ResNet on CIFAR-100", 0.1813, None, 52.87, "quantised_distillation"),
    _row(_A, 5, "Kurata & Audhkhasi 2018", "LSTM (CTC) on Switchboard", 2.655, None, 55.07, "ctc_delayed"),
    _row(_A, 6, "Mun'im et al. 2019", "seq2seq on WSJ", 8.264, 8.97, 89.88, "sequence_level"),
    _row(_A, 7, "Kimura et al. 2018", "CNN on MNIST, few", -10.526, 16.359, None, "few_shot"),
    _row(_A, 8, "Nayak et al. 2019", "CNN on MNIST, none", 0.57, None, 40.0, "zero_shot"),
    _row(_A, 9, "Wu, Chiu & Wu 2019", "ResNet on HMDB51", 0.6193, None, 58.31, "streams"),
    _row(_B, 10, "Lan, Zhu & Gong 2018", "ResNet on CIFAR-100", None, 6.64, None, "one"),
    _row(_B, 11, "Min et al. 2019", "micro CNN on MSTAR", 0.607, None, 99.44, "gradual"),
    _row(_B, 12, "Jin et al. 2019", "MobileNetV2 on ImageNet", 9.644, 6.246, 70.66, "rco"),
    _row(_B, 13, "Chen et al. 2020", "ResNet on CIFAR-100", None, 5.39, None, "okddip"),
    _row(_B, 14, "Guo et al. 2020", "ResNet on CIFAR-100", 1.59, 6.29, 34.29, "kdcl_naive"),
    _row(_C, 15, "Lopes et al. 2017", "CNN on MNIST, records", 4.8, -5.699, 50.0, "records_all"),
    _row(_C, 16, "Yim et al. 2017", "ResNet on CIFAR-10", -0.3043, None, None, "fsp"),
    _row(_C, 17, "Gao et al. 2018", "ResNet on CIFAR-100", 2.889, 7.813, 96.20, "stage_by_stage"),
    _row(_C, 18, "Wang et al. 2019", "3D U-Net on Janelia", None, None, 78.99, "dense_hints"),
    _row(_C, 19, "He et al. 2019", "MobileNetV2 on PASCAL VOC", 4.868, None, 92.13, "knowledge_adaptation"),
    _row(_C, 20, "Heo et al. 2019", "WRN on MIT scenes", -6.191, 14.123, 70.66, "activation_boundary"),
    _row(_C, 21, "Li et al. 2019", "CNN on UIUC-Sports", 7.431, 16.89, 95.86, "lsl"),
    _row(_C, 22, "Liu et al. 2019", "ResNet on CIFAR-10", 0.831, 2.637, 73.59, "irg"),
    _row(_D, 23, "Zhou et al. 2018", "WRN on CIFAR-10", 1.006, 1.37, 66.0, "rocket"),
    _row(_D, 24, "Zhang et al. 2019", "ResNet18 on CIFAR-100", 13.72, None, None, "own_teacher", arguments={"deploy": 0}),
    _row(_D, 25, "Kim et al. 2019", "CNN on CIFAR-100", 5.869, None, None, "ffl"),
    _row(_D, 26, "Walawalkar et al. 2020", "ResNet on CIFAR-10", 1.019, 1.095, 96.36, "ladder"),
    _row(_D, 27, "Chung et al. 2020", "WRN on CIFAR-100", 1.557, 6.768, 53.333, "afd"),
)

# The survey's own example of the score: students of ResNet-44 on CIFAR-100, (size ratio, accuracy); the teacher has 71.76.
EXAMPLE: tuple[tuple[float, float], ...] = ((0.6284, 69.12), (0.3536, 67.04), (0.1525, 62.87), (0.0374, 43.11))
EXAMPLE_TEACHER = 71.76
