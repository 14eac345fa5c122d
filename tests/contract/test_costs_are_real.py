"""What is counted from a declaration is what a run does: samples that models were fed in one turn of its dearest stage."""

import pytest
from settings import cast_for, draw_for, fit_for, method_of
from toy import go

from limbeck.catalogue.costs import costs

NAMES = (
    "alone",
    "kd",
    "mutual",
    "mlkd",
    "adversarial",
    "teachers_gate",
    "okddip",
    "sskd",
    "data_distillation",
    "qkd",
    "structured",
    "gradual",
)


@pytest.mark.parametrize("name", NAMES)
def test_forwards_of_a_turn(name):
    method, cast, seen = method_of(name), cast_for(name), {}

    def listen(kind, facts):
        if kind == "step":
            seen.setdefault(facts["stage"], []).append(sum(cast.answered.values()))

    go(method, cast, draw=(draw := draw_for(name)), fit=fit_for(name), listen=listen)
    turns = {stage.name: len(stage.updates) for stage in method.stages}
    fed = {stage: counts[-1] - counts[-1 - turns[stage]] for stage, counts in seen.items() if len(counts) > turns[stage]}
    updates = {u.partitions for _, u in method.updates()}
    batch = len(draw(next(iter(updates)), 0)["labels"])
    assert max(fed.values()) / batch == costs(method).forwards
