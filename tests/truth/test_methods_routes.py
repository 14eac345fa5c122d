"""What happens when: anchors and snapshots along a training (rows 11, 12), stages one after another (17, 20)."""

from dataclasses import replace

import pytest
import torch
from digits import DIGITS, make_cast, states, train

from limbeck.connectors.route import farthest
from limbeck.face.run import run
from limbeck.methods import find
from limbeck.plan.actions import Snapshot
from limbeck.plan.roles import Cast
from limbeck.plan.schedules import Progress, each_epoch, each_part
from limbeck.runs.recipes import make


def watched(method, steps=12):
    """(cast, the teacher's state after every step of the first stage)."""
    cast_seen, seen = {}, {}

    def listen(kind, facts):
        if kind == "step" and facts["stage"] == method.stages[0].name and any("teacher" in name for name in facts["terms"]):
            seen[facts["step"]] = {k: v.clone() for k, v in cast_seen["cast"]["teacher"].state_dict().items()}

    cast_seen["cast"] = make_cast(method)
    cast, _ = train(method, cast_seen["cast"], steps=steps, listen=listen)
    return cast, seen


def same(one, other):
    return all(torch.equal(value, other[key]) for key, value in one.items())


def test_anchors_are_the_teacher_at_equal_intervals():
    cast, seen = watched(find("rco")(anchors=4))
    for k in (1, 2, 3):
        assert same(cast[f"anchor_{k}"].state_dict(), seen[3 * k])
        assert not same(cast[f"anchor_{k}"].state_dict(), seen[3 * k + 1])
    assert same(cast["teacher"].state_dict(), seen[12])


def test_anchors_teach_in_order_for_equal_shares():
    method = find("rco")(anchors=3)
    assert [stage.name for stage in method.stages] == ["route", "follow anchor_1", "follow anchor_2", "follow teacher"]
    assert [stage.share for stage in method.stages] == [1.0, *[pytest.approx(1 / 3)] * 3]
    _, trained = train(method, steps=12)
    assert trained.steps == 24
    losses = {record["stage"]: record["terms"] for record in trained.history}
    assert "soft student from anchor_1" in losses["follow anchor_1"] and "soft" in losses["follow teacher"]


def test_the_follower_learns_from_a_snapshot_that_lags():
    cast, seen = watched(find("gradual")(snapshots=5), steps=12)  # renewed after steps 2, 5, 7, 10, 12
    assert same(cast["snapshot"].state_dict(), seen[12])
    short = find("gradual")(snapshots=5)
    renew = Snapshot("snapshot", "teacher", at=(0.2, 0.4, 0.6))
    stage = short.stages[0]
    cast, seen = watched(short.but(stages=(replace(stage, after_step=(renew,)),)), steps=12)
    assert same(cast["snapshot"].state_dict(), seen[7]) and not same(cast["snapshot"].state_dict(), seen[12])


def test_snapshot_fires_at_the_rounded_step_only():
    cast = Cast({"a": torch.nn.Linear(1, 1), "b": torch.nn.Linear(1, 1)})
    fired = []
    for step in range(10):
        torch.nn.init.constant_(cast["b"].weight, step)
        Snapshot("a", "b", at=(0.0, 0.26, 1.0))(cast, Progress("any", step, 10))
        if cast["a"].weight.item() == step:
            fired.append(step + 1)
    assert fired == [1, 3, 10]


def test_each_epoch_is_the_first_step_of_it():
    weights = [each_epoch(2.0)(Progress("s", k, 9, k / 3)) for k in range(9)]
    assert weights == [2.0, 0.0, 0.0] * 3


def test_only_the_head_sees_labels_stage_by_stage():
    method = find("stage_by_stage")()
    uses = [{leaf for term in u.terms for leaf in map(str, term.inputs.values())} for _, u in method.updates()]
    assert ["labels" in use for use in uses] == [False, False, False, True]
    two, _ = train(method.but(stages=method.stages[:2]))
    three, _ = train(method.but(stages=method.stages[:3]))
    moved = {k for k, v in states(two).items() if not torch.equal(v, states(three)[k])}
    assert {".".join(key.split(".")[:2]) for key in moved if key.startswith("student")} == {"student.layer3"}


# ------------------------------------------------------------------------------------------ greedy anchors, given teachers


def test_each_part_is_the_first_step_of_every_part_but_the_first():
    assert [k for k in range(12) if each_part(4)(Progress("s", k, 12))] == [3, 6, 9]
    assert [k for k in range(10) if each_part(3, 2.0)(Progress("s", k, 10)) == 2.0] == [4, 7]


@pytest.mark.parametrize(
    ("hardness", "current", "expected"),
    [([1.0, 1.4, 1.6, 1.5, 9.0], 0, 3), ([1.0, 1.6, 1.7], 0, 1), ([9.0, 1.0, 1.6], 1, 2), ([1.0, 1.0], 1, 1), ([2.0, 3.0], 0, 1)],
)
def test_the_farthest_anchor_under_the_threshold(hardness, current, expected):
    assert farthest(hardness, current, 1.5) == expected


def test_greedy_anchors_are_chosen_by_hardness_on_the_whole_validation_part():
    """The first choice, rebuilt: hardness of every anchor for the student as it stands then."""
    method, seen = find("rco_greedy")(candidates=4, stops=3, threshold=1.2), {}
    cast = make_cast(method)
    images = DIGITS["validation"].inputs.float() / 255

    def listen(kind, facts):
        if kind == "step" and "soft student from mentor" in facts["terms"]:
            seen[facts["step"]] = {k: v.clone() for k, v in cast["student"].state_dict().items()}

    train(method, cast, steps=12, listen=listen)  # choices before steps 5 and 9 of the second stage
    anchors = ["anchor_1", "anchor_2", "anchor_3", "teacher"]
    chosen, student = 0, make_cast(method)["student"]
    for step in (4, 8):
        student.load_state_dict(seen[step])
        student.eval()
        with torch.no_grad():
            prepare = cast.adapter_of("student").prepare
            log_q = student(prepare(images)).log_softmax(1)
            hardness = []
            for name in anchors:
                log_p = cast[name].eval()(prepare(images)).log_softmax(1)
                hardness.append((log_p.exp() * (log_p - log_q)).sum(1).mean().item())
        chosen = farthest(hardness, chosen, 1.2)
    assert int(cast["choice"].index) == int(cast["choice"].taken) == chosen > 0
    assert same(cast["mentor"].state_dict(), cast[anchors[chosen]].state_dict())


@pytest.mark.parametrize("name", ["rco", "rco_greedy", "gradual"])
def test_a_given_teacher_stays_and_a_fresh_twin_walks(name):
    method = find(name)(given=True)
    assert set(method.roles()) == {"teacher", "student"}
    cast = make_cast(method)
    before = {k: v.clone() for k, v in cast["teacher"].state_dict().items()}
    train(method, cast)
    assert same(before, cast["teacher"].state_dict())
    assert not torch.equal(cast["walker"].linear.weight, before["linear.weight"])
    if name == "gradual":
        terms = {term.name for _, _, term in method.terms()}
        assert "soft walker from teacher" in terms
        assert same(cast["snapshot"].state_dict(), cast["walker"].state_dict())
    else:
        assert method.stages[0].trains == ("walker",)


@pytest.mark.parametrize("name", ["rco", "gradual"])
def test_the_card_has_their_teacher_and_a_score(name, tmp_path):
    small = {"model": "cnn", "arguments": {"width": 2}}
    settings = {
        "onnx": False,
        "baseline": False,
        "device": "cpu",
        "data": {"limit": 200},
        "student": small,
        "method": {"name": name},
    }
    settings |= {"teacher": {"model": "cnn", "arguments": {"width": 4}}, "train": {"epochs": 1}, "store": {"use": False}}
    card = run(make(settings), tmp_path)
    teacher, student = card["models"]["teacher"], card["models"]["student"]
    expected = 0.5 * student["parameters"] / teacher["parameters"] + 0.5 * (1 - student["score"] / teacher["score"])
    assert card["distillation_score"] == pytest.approx(expected) and card["drop_percent"] is not None
