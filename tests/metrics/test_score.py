"""Survey A's figures: its worked example, and its table's rows at alpha 0.5."""

import pytest

from limbeck.errors import UserError
from limbeck.metrics.score import distillation_score, relative_drop, relative_gain, size_cut

# the four worked values as published; the last one's published inputs give 0.21832
WORKED = [(0.6284, 69.12, 0.3326), (0.3536, 67.04, 0.2097), (0.1525, 62.87, 0.1382), (0.0374, 43.11, 0.2183)]

# (accuracy drop, size cut) in percent, increases negative; and the score at alpha 0.5
ROWS = {
    "Min": (0.607, 99.44, 0.0058),
    "Walawalkar": (1.019, 96.36, 0.0233),
    "Gao": (2.889, 96.20, 0.0334),
    "Li": (7.431, 95.86, 0.0579),
    "He": (4.868, 92.13, 0.0637),
    "Mun'im": (8.264, 89.88, 0.0919),
    "Heo": (-6.191, 70.66, 0.1157),
    "Liu": (0.831, 73.59, 0.1362),
    "Zhou": (1.006, 66.0, 0.1750),
    "Jin": (9.644, 70.66, 0.1949),
    "Wu": (0.6193, 58.31, 0.2115),
    "Polino": (0.1813, 52.87, 0.2366),
    "Kurata": (2.655, 55.07, 0.2379),
    "Chung": (1.557, 53.333, 0.2411),
    "Lopes": (4.8, 50.0, 0.2740),
    "Nayak": (0.57, 40.0, 0.3029),
    "Guo": (1.59, 34.29, 0.3365),
}


@pytest.mark.parametrize(("size", "accuracy", "score"), WORKED)
def test_worked_example(size, accuracy, score):
    assert distillation_score(size, 1.0, accuracy, 71.76) == pytest.approx(score, abs=5.1e-5)  # four published digits


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_the_tables(name):
    drop, cut, score = ROWS[name]
    teacher = 80.0
    student = teacher * (1 - drop / 100)
    found = distillation_score(1 - cut / 100, 1.0, student, teacher)
    assert found == pytest.approx(score, abs=5.1e-5)
    assert relative_drop(student, teacher) == pytest.approx(drop, abs=1e-9)
    assert size_cut(1 - cut / 100, 1.0) == pytest.approx(cut, abs=1e-9)


def test_best_of_the_worked_example_is_inside():
    scores = [distillation_score(size, 1.0, accuracy, 71.76) for size, accuracy, _ in WORKED]
    assert scores.index(min(scores)) == 2


def test_alpha_moves_from_accuracy_to_size():
    assert distillation_score(25, 100, 0.9, 1.0, alpha=1.0) == 0.25
    assert distillation_score(25, 100, 0.9, 1.0, alpha=0.0) == pytest.approx(0.1)
    assert distillation_score(10, 100, 1.2, 1.0, alpha=0.1) < 0, "a large gain outweighs the size"
    with pytest.raises(UserError, match="alpha must be between"):
        distillation_score(1, 2, 1, 2, alpha=1.5)


def test_relative_percentages():
    assert relative_drop(72.0, 80.0) == pytest.approx(10.0)
    assert relative_drop(84.0, 80.0) == pytest.approx(-5.0)
    assert relative_gain(66.0, 60.0) == pytest.approx(10.0)
    assert size_cut(20, 20) == 0.0
    for call in (relative_drop, relative_gain, size_cut):
        with pytest.raises(UserError, match="more than 0"):
            call(1.0, 0.0)
