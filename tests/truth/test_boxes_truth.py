"""Boxes: overlap, what cells answer for, mean average precision and the detectors' terms, against plain loops."""

import pytest
import torch
from torch.nn import functional as F

from limbeck import losses, models
from limbeck.engine.check import build_parts
from limbeck.engine.step import evaluate_term
from limbeck.methods import find
from limbeck.metrics import precision
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast
from limbeck.tasks.bind import bind
from limbeck.tasks.detect import Detect
from limbeck.tasks.predictions import Predictions
from limbeck.transforms import boxes
from limbeck.transforms.masks import near_objects

SIZE, CLASSES = (24, 32), 3
LABELS = torch.tensor(
    [
        [[0, 2, 2, 12, 10], [2, 20, 12, 30, 22], [1, 4, 3, 8, 7]],
        [[1, 0, 0, 31, 23], [-100] * 5, [-100] * 5],
        [[-100] * 5] * 3,
    ],
    dtype=torch.float32,
)
INPUTS = torch.rand(3, 1, *SIZE, generator=torch.Generator().manual_seed(0))


def naive_iou(a, b):
    """By counting the points of a fine grid."""
    inside = total = 0
    for x in range(0, 320):
        for y in range(0, 240):
            px, py = x / 10 + 0.05, y / 10 + 0.05
            one, two = (r[0] <= px <= r[2] and r[1] <= py <= r[3] for r in (a, b))
            inside, total = inside + (one and two), total + (one or two)
    return inside / total if total else 0.0


def test_overlap_is_that_of_counted_points():
    own = LABELS[0, :, 1:]
    found = boxes.iou(own, own)
    for i in range(3):
        for j in range(3):
            assert found[i, j].item() == pytest.approx(naive_iou(own[i].tolist(), own[j].tolist()), abs=1e-6)


def test_every_cell_answers_for_the_smallest_box_whose_middle_is_near():
    owner = boxes.owners(LABELS, (6, 8), SIZE)
    for n in range(3):
        for h in range(6):
            for w in range(8):
                x, y, best, area = 4 * w + 2, 4 * h + 2, -1, float("inf")
                for m, (label, x0, y0, x1, y1) in enumerate(LABELS[n].tolist()):
                    near = abs((x0 + x1) / 2 - x) < 4 and abs((y0 + y1) / 2 - y) < 4
                    if label >= 0 and near and (x1 - x0) * (y1 - y0) < area:
                        best, area = m, (x1 - x0) * (y1 - y0)
                assert owner[n, h, w] == best
    assert set(owner[0].unique().tolist()) == {-1, 1, 2} | ({0} if (owner[0] == 0).any() else set())
    answers = torch.zeros(3, 6, 8, CLASSES + 5)
    kinds = boxes.class_targets(LABELS, answers, INPUTS)
    assert (kinds[2] == CLASSES).all() and set(kinds[1].unique().tolist()) == {1, CLASSES}
    assert torch.equal(boxes.objects(LABELS, answers, INPUTS), owner >= 0)


def test_perfect_answers_are_decoded_to_the_labels():
    answers = torch.zeros(3, 6, 8, CLASSES + 5)
    kinds = boxes.class_targets(LABELS, answers, INPUTS)
    answers[..., :-4] = 20.0 * F.one_hot(kinds, CLASSES + 1)
    answers[..., -4:] = boxes.box_targets(LABELS, answers, INPUTS)
    found = boxes.detections(answers, SIZE)
    assert (found[2, :, 0] == -100).all() and (found[1, :, 0] >= 0).sum() == 1
    torch.testing.assert_close(found[1, 0, 2:], LABELS[1, 0, 1:])
    ours = Detect(SIZE)
    kept, labels = ours.keep(answers, LABELS)
    whole = Predictions(kept, labels, torch.arange(3))
    seen = 0 in boxes.owners(LABELS, (6, 8), SIZE)[0]  # a box that no cell answers for cannot be found
    assert ours.score(whole) == pytest.approx(1.0 if seen else 2 / 3)
    assert ours.agreement(whole, whole) == 1.0 and not ours.near_chance(whole, CLASSES)


def naive_ap(found, labels, label):
    """PASCAL VOC, all points: one detection after the other, the area as a sum of rectangles."""
    every = sorted(((d[1].item(), n, d[2:]) for n in range(len(found)) for d in found[n] if d[0] == label), key=lambda d: -d[0])
    total = int((labels[..., 0] == label).sum())
    if not total:
        return None
    taken, right, points = set(), 0, []
    for rank, (_, n, box) in enumerate(every, start=1):
        own = [(m, boxes.iou(box[None], g[None, 1:])[0, 0].item()) for m, g in enumerate(labels[n]) if g[0] == label]
        m, cover = max(own, key=lambda pair: pair[1], default=(None, 0.0))
        if cover >= 0.5 and (n, m) not in taken:
            taken.add((n, m))
            right += 1
        points.append((right / total, right / rank))
    area = last = 0.0
    for k, (recall, _) in enumerate(points):
        area += (recall - last) * max(p for _, p in points[k:])
        last = recall
    return area


def random_detections(seed=0, images=12, found=15, objects=4):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.full((images, objects, 5), -100.0)
    for n in range(images):
        for m in range(int(torch.randint(0, objects + 1, (1,), generator=generator))):
            x, y, w, h = (torch.rand(4, generator=generator) * 12 + 2).tolist()
            labels[n, m] = torch.tensor([int(torch.randint(0, 2, (1,), generator=generator)), x, y, x + w, y + h])
    out = torch.full((images, found, 6), -100.0)
    for n in range(images):
        for k in range(found):
            near = labels[n, k % objects]
            if near[0] >= 0 and k < 10:
                out[n, k, 2:] = near[1:] + torch.randn(4, generator=generator)
                out[n, k, 0] = near[0] if k % 3 else 1 - near[0]
                out[n, k, 1] = torch.rand(1, generator=generator)
    return out, labels


def test_average_precision_is_that_of_a_plain_loop():
    for seed in range(3):
        found, labels = random_detections(seed)
        matched = precision.match(found, labels, CLASSES)
        each = precision.average_precision(matched)[0]
        expected = [naive_ap(found, labels, c) for c in range(CLASSES)]
        assert expected[2] is None and each[2].isnan()
        assert each[:2].tolist() == pytest.approx(expected[:2], abs=1e-6)
        low, high = precision.interval(matched, draws=200)
        assert low < float(each.nanmean()) < high


def test_counting_an_image_twice_is_putting_it_there_twice():
    found, labels = random_detections(1)
    times = torch.tensor([[1.0, 2, 0, 1, 1, 1, 3, 1, 1, 1, 0, 1]])
    rows = torch.repeat_interleave(torch.arange(12), times[0].long())
    weighted = precision.average_precision(precision.match(found, labels, 2), times)
    repeated = precision.average_precision(precision.match(found[rows], labels[rows], 2))
    torch.testing.assert_close(weighted, repeated, rtol=0, atol=0.02)  # equal scores come in another order


def detectors():
    cast = Cast({})
    for seed, (role, width) in enumerate({"teacher": 6, "student": 4}.items()):
        torch.manual_seed(seed)
        cast.add(role, models.build("detector", classes=CLASSES, shape=(1, *SIZE), arguments={"width": width, "stride": 4}))
    return cast


def means_of(name, **arguments):
    method, cast = bind(find(name)(**arguments), Detect()), detectors()
    batch = {"inputs": INPUTS, "labels": LABELS, "index": torch.arange(3)}
    torch.manual_seed(7)
    build_parts(method, cast, batch)
    cast.eval()
    terms = [term for _, _, term in method.terms()]
    scene = observe(cast, batch, [s for t in terms for s in t.sources], learns=tuple(cast.keys()))
    return cast, {t.name: (lambda s, c: s / c)(*evaluate_term(t, scene)) for t in terms}


def test_what_a_detector_learns_from_labels():
    cast, means = means_of("alone")
    said = cast["student"](INPUTS)
    kinds, goals = boxes.class_targets(LABELS, said, INPUTS), boxes.box_targets(LABELS, said, INPUTS)
    torch.testing.assert_close(means["classes"], F.cross_entropy(said[..., :-4].movedim(-1, 1), kinds))
    own = boxes.objects(LABELS, said, INPUTS)
    expected = F.smooth_l1_loss(said[..., -4:][own], goals[own], reduction="sum") / own.sum()
    torch.testing.assert_close(means["boxes"], expected)


def test_chen_term_by_term():
    cast, means = means_of("detection", margin=0.1)
    mine, theirs = cast["student"](INPUTS), cast["teacher"](INPUTS)
    p, q = theirs[..., :-4].softmax(-1), mine[..., :-4].softmax(-1)
    weights = torch.tensor([1.0, 1.0, 1.0, 1.5])
    torch.testing.assert_close(means["soft classes"], -(weights * p * q.log()).sum(-1).mean())
    goals, own, values = boxes.box_targets(LABELS, mine, INPUTS), boxes.objects(LABELS, mine, INPUTS), []
    for s, t, y in zip(mine[..., -4:][own], theirs[..., -4:][own], goals[own], strict=True):
        a, b = ((s - y) ** 2).sum(), ((t - y) ** 2).sum()
        values.append(a if a + 0.1 > b else 0 * a)
    torch.testing.assert_close(means["bounded boxes"], sum(values) / len(values))
    assert 0 < sum(v > 0 for v in values) < len(values)  # both cases occur


def test_imitation_is_near_objects_only():
    features = torch.zeros(3, 2, 6, 8)
    near = near_objects(LABELS, features, INPUTS, sides=(2.0, 4.0), shapes=(1.0,))
    for n in range(3):
        expected = torch.zeros(6, 8, dtype=torch.bool)
        for label, *box in LABELS[n].tolist():
            if label < 0:
                continue
            overlaps = {}
            for h in range(6):
                for w in range(8):
                    for side in (8, 16):
                        x, y = 4 * w + 2, 4 * h + 2
                        anchor = torch.tensor([[x - side / 2, y - side / 2, x + side / 2, y + side / 2]])
                        overlaps[h, w, side] = boxes.iou(anchor, torch.tensor([box])).item()
            for (h, w, _), value in overlaps.items():
                expected[h, w] |= value > 0.5 * max(overlaps.values())
        assert torch.equal(near[n], expected)
    assert not near[2].any()
    cast, means = means_of("fine_grained")
    mine, theirs = (maps_of(cast, role) for role in ("student", "teacher"))
    conv = cast["connector"].map[0]
    gap = F.conv2d(mine, conv.weight, conv.bias, padding=1).relu() - theirs
    kept = near_objects(LABELS, theirs, INPUTS, share=0.5)
    torch.testing.assert_close(means["imitate"], (gap.square().sum(1) / 2)[kept].mean())
    assert {t.name: t.weight for _, _, t in find("fine_grained")().terms()}["imitate"] == 0.01


def maps_of(cast, role):
    """The deepest map that is tapped, by a hook of torch's own."""
    found = []
    handle = cast[role].layer3.register_forward_hook(lambda m, i, o: found.append(o))
    cast.feed(role, INPUTS)
    handle.remove()
    return found[0]


def test_bounded_regression_is_only_for_those_worse_than_the_teacher():
    s, t = torch.tensor([[1.0, 0.0], [0.1, 0.0]]), torch.tensor([[0.5, 0.0], [0.5, 0.0]])
    found = losses.bounded_regression(s, t, torch.zeros(2, 2))
    assert found.tolist() == [1.0, 0.0]
