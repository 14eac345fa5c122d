"""Figures against numbers worked out by hand."""

import math

import pytest
import torch

from limbeck.errors import UserError
from limbeck.metrics.classification import (
    accuracy,
    agreement,
    calibration_error,
    confusion,
    interval,
    is_chance,
    mean_kl,
    paired,
    per_class,
    reliability,
    worst_class,
)
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.predictions import Predictions, predict

# four samples of three classes; answers 0, 1, 1, 0
LOGITS = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 0.5]])
LABELS = torch.tensor([0, 1, 0, 1])


def logits_of(*probabilities: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(probabilities, dtype=torch.float64).log()


def test_accuracy_per_class_and_confusion_by_hand():
    assert accuracy(LOGITS, LABELS) == 0.5
    assert confusion(LOGITS, LABELS).tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    each = per_class(LOGITS, LABELS)
    assert each[:2].tolist() == [0.5, 0.5]
    assert math.isnan(each[2]), "a class without samples has no accuracy"
    assert worst_class(LOGITS, torch.tensor([0, 1, 1, 1])) == (1, pytest.approx(2 / 3))


def test_calibration_error_by_hand():
    # confidences 0.9 (right), 0.9 (wrong), 0.6 (right), 0.6 (right) in 10 bins:
    # bin (0.8, 0.9]: |0.5 - 0.9| * 2/4, bin (0.5, 0.6]: |1 - 0.6| * 2/4, in all 0.2 + 0.2
    logits = logits_of((0.9, 0.1), (0.9, 0.1), (0.6, 0.4), (0.6, 0.4))
    labels = torch.tensor([0, 1, 0, 0])
    assert calibration_error(logits, labels, bins=10) == pytest.approx(0.4, abs=1e-12)
    # one bin only: |0.75 - 0.75| = 0
    assert calibration_error(logits, labels, bins=1) == pytest.approx(0.0, abs=1e-12)


def test_reliability_puts_a_confidence_at_an_edge_into_the_lower_bin():
    curve = reliability(logits_of((0.5, 0.5), (1.0, 1e-30)), torch.tensor([0, 0]), bins=2)
    assert curve.counts.tolist() == [1, 1]
    assert curve.confidence.tolist() == pytest.approx([0.5, 1.0])
    assert curve.edges.tolist() == [0.0, 0.5, 1.0]


def test_calibration_error_equals_a_naive_loop():
    generator = torch.Generator().manual_seed(3)
    logits, labels = torch.randn(200, 5, generator=generator) * 2, torch.randint(0, 5, (200,), generator=generator)
    confidence, answer = logits.double().softmax(1).max(1)
    total = 0.0
    for m in range(15):
        rows = [i for i in range(200) if m / 15 < confidence[i] <= (m + 1) / 15]
        if rows:
            gap = sum(float(answer[i] == labels[i]) for i in rows) / len(rows) - sum(float(confidence[i]) for i in rows) / len(
                rows
            )
            total += abs(gap) * len(rows) / 200
    assert calibration_error(logits, labels) == pytest.approx(total, abs=1e-12)


def test_agreement_and_fidelity_by_hand():
    a, b = logits_of((0.5, 0.5), (0.9, 0.1)), logits_of((0.25, 0.75), (0.9, 0.1))
    assert agreement(a, b) == 0.5
    # KL(teacher || student) of the first row: .25 ln(.25/.5) + .75 ln(.75/.5), the second is 0
    by_hand = (0.25 * math.log(0.5) + 0.75 * math.log(1.5)) / 2
    assert mean_kl(a, b) == pytest.approx(by_hand, abs=1e-12)
    assert mean_kl(a, a) == 0.0
    with pytest.raises(UserError, match="differ"):
        agreement(a, a[:1])


def test_wilson_interval_by_its_formula():
    n, share, z = 50, 0.9, 1.959963984540054
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    assert interval(45, 50) == pytest.approx((centre - half, centre + half), abs=1e-12)
    with pytest.raises(UserError, match="counts, not shares"):
        interval(0.9, 50)


def test_interval_and_chance_are_those_of_a_statistics_library():
    from scipy.stats import binomtest

    for correct, n in ((0, 7), (7, 7), (3, 11), (180, 500), (12, 1000)):
        bounds = binomtest(correct, n).proportion_ci(0.95, method="wilson")
        assert interval(correct, n) == pytest.approx((bounds.low, bounds.high), abs=1e-12)
        for classes in (2, 10, 100):
            p = binomtest(correct, n, 1 / classes, alternative="greater").pvalue
            assert is_chance(correct, n, classes) == (p > 0.01), (correct, n, classes)


def test_chance_is_told_from_skill_by_an_exact_test():
    # P(X >= 4 of 4 coins) = 1/16 > 0.01: chance; P(X >= 7 of 7) = 1/128 < 0.01: skill
    assert is_chance(4, 4, 2)
    assert not is_chance(7, 7, 2)
    assert is_chance(0, 100, 10), "worse than chance is no skill"


def test_paired_counts_who_alone_is_right():
    labels = torch.zeros(10, dtype=torch.int64)
    right, wrong = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    a = torch.stack([right] * 8 + [wrong] * 2)
    b = torch.stack([right] * 2 + [wrong] * 7 + [right])
    found = paired(a, b, labels)
    assert (found["only_first"], found["only_second"]) == (6, 1)
    assert found["p"] == pytest.approx(2 * (1 + 7) / 128)  # 6 or more of 7 fair coins, both ways
    assert paired(a, a, labels)["p"] == 1.0


def test_predict_keeps_order_and_numbers():
    batches = [{"inputs": torch.eye(2), "labels": torch.tensor([0, 1]), "index": torch.tensor([7, 3])}]
    found = predict(lambda x: (x * 3).requires_grad_(), batches, CLASSIFY)
    assert found.logits.tolist() == [[3.0, 0.0], [0.0, 3.0]]
    assert not found.logits.requires_grad
    assert found.index.tolist() == [7, 3]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: x[0], "must return \\(2, classes\\) logits"),
        (lambda x: x * float("nan"), "not finite"),
        (lambda x: x[:, :1], "classes 0 to 0"),
    ],
)
def test_predict_refuses_answers_that_cannot_be_measured(answer, words):
    with pytest.raises(UserError, match=words):
        predict(answer, [{"inputs": torch.eye(2), "labels": torch.tensor([0, 1])}], CLASSIFY)


def test_predict_of_nothing_is_one_sentence():
    with pytest.raises(UserError, match="nothing to predict"):
        predict(lambda x: x, [], CLASSIFY)


def test_what_was_measured_is_json_with_every_key():
    import json

    seen = Predictions(LOGITS, LABELS, torch.arange(4))
    found = json.loads(json.dumps(CLASSIFY.measure(seen, ["a", "b", "c"], seen).entry(), allow_nan=False))
    assert found["score"] == found["figures"]["accuracy"] == 0.5
    assert found["interval"] == pytest.approx(list(interval(2, 4)))
    assert found["worst"] == {"name": "a", "value": 0.5}
    assert found["per_class"] == [0.5, 0.5, None]
    assert found["figures"]["agreement_with_teacher"] == 1.0
    assert CLASSIFY.measure(seen, ["a", "b", "c"]).figures["agreement_with_teacher"] is None
    with pytest.raises(UserError, match="different samples"):
        CLASSIFY.measure(seen, ["a", "b", "c"], Predictions(LOGITS, LABELS, torch.arange(4).flip(0)))
    with pytest.raises(UserError, match="has 3 outputs, but 2"):
        CLASSIFY.measure(seen, ["a", "b"])
