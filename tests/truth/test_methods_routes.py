"""What happens when: anchors and snapshots along a training (rows 11, 12), stages one after another (17, 20)."""

from dataclasses import replace

import pytest
import torch
from digits import make_cast, states, train

from limbeck.methods import find
from limbeck.plan import Progress, each_epoch
from limbeck.roles import Cast, Snapshot


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
        Snapshot("a", "b", at=(0.0, 0.26, 1.0))(cast, seed=0, step=step, steps=10)
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
