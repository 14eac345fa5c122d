"""The parts of the gain where it is known what they are."""

import pytest
import torch
from synthetic import all_in_the_confidence, all_in_the_relations
from torch import nn

from limbeck.engine.step import evaluate_term
from limbeck.errors import UserError
from limbeck.explanation import removed
from limbeck.explanation.gain import ARMS, PARTS, parts, take_apart
from limbeck.explanation.words import gain_words
from limbeck.methods import kd
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast
from limbeck.runs.events import StageBegins

SEEDS = range(3)


def silence(event):
    pass


@pytest.fixture(scope="module")
def relations(tmp_path_factory):
    return take_apart(all_in_the_relations(tmp_path_factory.mktemp("relations")), SEEDS, silence)


@pytest.fixture(scope="module")
def doubt(tmp_path_factory):
    return take_apart(all_in_the_confidence(tmp_path_factory.mktemp("doubt")), SEEDS, silence)


def test_a_teacher_whose_knowledge_is_in_the_relations(relations):
    found = {name: part["difference"] for name, part in relations["parts"].items()}
    assert found["relations between classes"] > 90
    assert abs(found["label smoothing"]) < 5 and abs(found["re-weighting of examples"]) < 5
    assert relations["against_shuffled"]["difference"] > 80  # the control takes the relations away as well


def test_a_teacher_without_relations_whose_doubt_is_knowledge(doubt):
    found = {name: part["difference"] for name, part in doubt["parts"].items()}
    assert abs(found["relations between classes"]) < 1e-9  # the very same targets
    assert found["re-weighting of examples"] > 15  # one class of four is lost to the wrong labels
    assert abs(doubt["against_shuffled"]["difference"]) < 1e-9
    said = gain_words({"gain": doubt, "method": {}})
    assert any(
        "beyond chance: re-weighting of examples" in s and "relations between classes" in s.split("not significant:")[1]
        for s in said
    )


def test_the_smoothing_is_the_teachers_mean(doubt):
    share = 39 / 256  # doubted samples: of 64 of kind 1, those with k % 5 < 3
    assert doubt["amount"] == pytest.approx(share * 0.75 + (1 - share) * 0.1, abs=1e-5)


def test_the_parts_add_up(relations, doubt):
    for found in (relations, doubt):
        total = sum(part["difference"] for part in found["parts"].values())
        assert total == pytest.approx(found["gain"]["difference"], abs=1e-9)
        gap = found["arms"]["full"]["mean"] - found["arms"]["labels"]["mean"]
        assert total == pytest.approx(100 * gap, abs=1e-9)


def test_nothing_is_trained_twice_and_other_settings_are_refused(tmp_path):
    from dataclasses import replace

    case = all_in_the_relations(tmp_path)
    heard = []
    once = take_apart(case, [0], lambda event: heard.append(type(event)))
    assert heard.count(StageBegins) == len(ARMS)
    heard.clear()
    assert take_apart(case, [0], lambda event: heard.append(type(event))) == once and StageBegins not in heard
    (tmp_path / "full-seed0" / "answered.json").unlink()  # killed between training and asking
    assert take_apart(case, [0], lambda event: heard.append(type(event))) == once and StageBegins not in heard
    with pytest.raises(UserError, match="has other settings"):
        take_apart(replace(case, temperature=2.0), [0], silence)


def test_by_hand_over_two_seeds():
    scores = {
        "labels": [0.5, 0.6],
        "smoothing": [0.55, 0.63],
        "confidence": [0.55, 0.63],
        "shuffled": [0.5, 0.5],
        "full": [0.6, 0.7],
    }
    found = parts(scores)
    assert [found["parts"][n]["difference"] for n in PARTS] == pytest.approx([4.0, 0.0, 6.0])
    half = 12.706205 * 1.0  # t(1 degree of freedom) times sd sqrt(2) over sqrt(2)
    smoothing = found["parts"]["label smoothing"]
    assert (smoothing["low"], smoothing["high"]) == pytest.approx((4 - half, 4 + half), abs=1e-4)
    assert found["parts"]["re-weighting of examples"]["low"] == 0.0
    assert found["gain"]["difference"] == pytest.approx(10.0)


def test_one_seed_is_said_to_settle_nothing():
    found = parts({name: [0.5] for name in ARMS}) | {"seeds": [0]}
    assert "one seed shows no significance" in gain_words({"gain": found, "method": {}})[0]


def test_what_helped_beyond_chance_is_named():
    """Gaps of 20, 21 and 19 points: t = 20 / (1 / sqrt 3) = 34.6 with two degrees of freedom, p = 0.0008, times three."""
    alone = [0.50, 0.51, 0.52]
    found = parts(dict.fromkeys(ARMS, alone) | {"full": [0.70, 0.72, 0.71]}) | {"seeds": [0, 1, 2]}
    assert found["parts"]["relations between classes"]["p"] == pytest.approx(0.00083, abs=1e-5)
    said = gain_words({"gain": found, "method": {}})
    unclear = "not significant: label smoothing, re-weighting of examples"
    assert f"What helped, beyond chance: relations between classes; {unclear}." in said


def test_two_seeds_settle_nothing_however_near_they_are():
    """Differences of 10.0 and 10.1 points: t = 201 with one degree of freedom, p = 0.003; and yet chance may do that."""
    scores = {name: [0.5, 0.6] for name in ARMS} | {"full": [0.6, 0.701], "shuffled": [0.5, 0.6]}
    found = parts(scores) | {"seeds": [0, 1]}
    assert found["gain"]["p"] < 0.004
    said = " ".join(gain_words({"gain": found, "method": {}}))
    assert "no more than seeds differ by chance" in said and "No single part is significant" in said
    assert "no difference beyond chance" in said


# ------------------------------------------------------------------------------------------------- the targets


LOGITS = torch.tensor([[0.5, 0.3, 0.15, 0.05], [0.1, 0.2, 0.3, 0.4]]).log()
LABELS, INDEX = torch.tensor([0, 1]), torch.tensor([5, 9])


def test_the_targets_by_hand():
    even = removed.confidence_alone(LOGITS, LABELS)
    assert torch.allclose(even, torch.tensor([[0.5, 0.5 / 3, 0.5 / 3, 0.5 / 3], [0.8 / 3, 0.2, 0.8 / 3, 0.8 / 3]]))
    flat = removed.smoothed_alike(LABELS, LOGITS, amount=0.3)
    assert torch.allclose(flat, torch.tensor([[0.7, 0.1, 0.1, 0.1], [0.1, 0.7, 0.1, 0.1]]))
    warm = removed.confidence_alone(LOGITS, LABELS, temperature=2.0)
    assert float(warm[0, 0]) == pytest.approx(0.5**0.5 / (0.5**0.5 + 0.3**0.5 + 0.15**0.5 + 0.05**0.5))


def test_shuffling_keeps_the_label_and_the_sizes_and_belongs_to_the_sample():
    many, labels = torch.randn(200, 6, generator=torch.Generator().manual_seed(0)), torch.arange(200) % 6
    index = torch.arange(200)
    soft, mixed = many.softmax(1), removed.shuffled_rest(many, labels, index)
    at = labels[:, None]
    assert torch.equal(mixed.gather(1, at), soft.gather(1, at))
    assert torch.equal(mixed.sort(1).values, soft.sort(1).values)
    assert (mixed != soft).any(1).float().mean() > 0.9
    assert torch.equal(removed.shuffled_rest(many[50:60], labels[50:60], index[50:60]), mixed[50:60])
    away = torch.zeros(6)  # where the largest of the others goes: everywhere alike
    for row, label in zip(mixed, labels, strict=True):
        away += nn.functional.one_hot(row.index_fill(0, label, -1.0).argmax(), 6)
    assert away.min() > 15
    assert not torch.equal(removed.shuffled_rest(many, labels, index, seed=1), mixed)


def test_the_whole_answer_teaches_as_kd_does():
    torch.manual_seed(0)
    cast = Cast({"student": nn.Linear(4, 3), "teacher": nn.Linear(4, 3)})
    batch = {"inputs": torch.randn(8, 4), "labels": torch.arange(8) % 3, "index": torch.arange(8)}
    gradients = []
    for method in (kd(temperature=3.0, alpha=0.7), removed.full(temperature=3.0, alpha=0.7)):
        terms = [term for _, _, term in method.terms()]
        scene = observe(cast, batch, [s for t in terms for s in t.sources], learns=("student",))
        total = sum(t.weight * (lambda s, c: s / c)(*evaluate_term(t, scene)) for t in terms)
        gradients.append(torch.autograd.grad(total, cast["student"].weight)[0])
    assert torch.allclose(*gradients, atol=1e-6)  # float32, two ways of writing the same
