"""Tasks: mean IoU against a naive loop, its bootstrap, chance, where logits are; classification as it always was."""

import pytest
import torch

from limbeck.errors import UserError
from limbeck.metrics import iou as figures
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.predictions import Predictions, predict
from limbeck.tasks.registry import task_of
from limbeck.tasks.segment import Pixels, Segment

SEEDED = torch.Generator().manual_seed(0)
LABELS = torch.randint(0, 4, (6, 5, 7), generator=SEEDED)
LABELS[torch.rand(LABELS.shape, generator=SEEDED) < 0.2] = -100
LABELS[LABELS == 3] = 2  # class 3 occurs nowhere
LOGITS = torch.randn(6, 5, 7, 4, generator=SEEDED)
LOGITS[..., 3] = -9.0


def seen(logits=LOGITS, labels=LABELS):
    return Predictions(*Segment().keep(logits, labels), torch.arange(len(labels)))


def naive_iou(answers, labels):
    """Per class, pixel by pixel over all images; None where a class is in neither."""
    both, either = [0] * 4, [0] * 4
    for said, label in zip(answers.flatten().tolist(), labels.flatten().tolist(), strict=True):
        if label != -100:
            for c in range(4):
                both[c] += said == c and label == c
                either[c] += said == c or label == c
    return [b / e if e else None for b, e in zip(both, either, strict=True)]


def test_mean_iou_is_that_of_a_naive_loop():
    each = naive_iou(LOGITS.argmax(-1), LABELS)
    found = Segment().measure(seen(), ["a", "b", "c", "d"])
    known = [v for v in each if v is not None]
    assert each[3] is None and found.per_class[3] is None
    assert found.per_class[:3] == pytest.approx(known, abs=1e-12)  # the same integers, divided
    assert found.score == pytest.approx(sum(known) / 3, abs=1e-12) and Segment.figures[0].title == "mean IoU"
    assert found.worst.value == pytest.approx(min(known), abs=1e-12)
    assert found.interval[0] < found.score < found.interval[1]


def test_a_perfect_answer_scores_1_and_pixels_without_label_do_not_count():
    perfect = 9.0 * torch.nn.functional.one_hot(LABELS.clamp_min(0), 4).float()
    assert Segment().score(seen(perfect)) == 1.0
    changed = perfect.clone()
    changed[LABELS == -100] = torch.tensor([0.0, 0.0, 0.0, 99.0])
    assert Segment().score(seen(changed)) == 1.0
    assert Segment().agreement(seen(perfect), seen(changed)) == 1.0


def test_the_interval_draws_images_and_keeps_tiles_together():
    counts = torch.stack([torch.tensor([[k, 9], [10, 10 + k], [10, 10]]) for k in range(10)])
    low, high = figures.interval(counts)
    assert (low, high) == figures.interval(counts) and 0 < low < figures.mean_iou(counts.sum(0)) < high < 1
    twice = counts.repeat_interleave(2, 0)  # the same images in two halves know no more than the images
    apart = figures.interval(twice)
    assert apart[1] - apart[0] < 0.85 * (high - low)
    task, index = Segment(pieces=2), torch.arange(20)
    joined = task._by_image(twice, index)
    assert torch.equal(joined, 2 * counts) and figures.interval(joined) == (low, high)
    assert figures.interval(counts[:1]) == (0.0, 1.0)


def test_answering_the_commonest_class_everywhere_is_chance():
    labels = torch.zeros(4, 8, 8, dtype=torch.int64)
    labels[:, :2] = 1
    constant = torch.zeros(4, 8, 8, 2)
    constant[..., 0] = 1.0
    assert Segment().near_chance(seen(constant, labels), 2)
    assert Segment().score(seen(constant, labels)) == pytest.approx(0.75 / 2)
    right = torch.nn.functional.one_hot(labels, 2).float()
    assert not Segment().near_chance(seen(right, labels), 2)


def test_predict_gathers_masks_over_batches():
    batches = [{"inputs": LOGITS[k : k + 2], "labels": LABELS[k : k + 2]} for k in (0, 2, 4)]
    found = predict(lambda x: x, batches, Segment())
    assert torch.equal(found.answers.long(), LOGITS.argmax(-1)) and torch.equal(found.labels.long(), LABELS)
    with pytest.raises(UserError, match="must return logits"):
        predict(lambda x: x[:, 1:], batches, Segment())


@pytest.mark.parametrize("shape", [(2, 3, 8, 6), (2, 3, 4, 3), (2, 8, 6, 3)])
def test_logits_of_pixels_are_found_and_enlarged(shape):
    finder = Segment().finder(3, (1, 8, 6))
    output = torch.randn(shape)
    found = finder(output)
    assert found.shape == (2, 8, 6, 3)
    if shape[1] == 3 and shape[2] == 8:
        assert torch.equal(found, output.permute(0, 2, 3, 1))
    assert torch.equal(finder({"out": output}), found)
    with pytest.raises(UserError, match="must return logits"):
        Pixels(3, (8, 6))(output[0])


def test_tasks_are_found_by_name():
    assert task_of("segment") == Segment() and task_of("classify") == CLASSIFY
    with pytest.raises(UserError, match="did you mean 'segment'"):
        task_of("segmet")
