"""Combinations of fields that no method has: each is a method, stands where it says, and runs."""

import json
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parents[1] / "truth"))

from digits import DIGITS, make_cast  # noqa: E402

from limbeck import data, engine, methods
from limbeck.catalogue.describe import as_row, describe
from limbeck.catalogue.unexplored import FIELDS, explored, points, strategies  # noqa: E402
from limbeck.cli.app import app  # noqa: E402
from limbeck.data.streams import Streams  # noqa: E402
from limbeck.errors import UserError  # noqa: E402
from limbeck.methods.compose import assignments  # noqa: E402

ALL = list(assignments())


def test_every_assignment_is_a_method_that_stands_where_its_fields_say():
    for fields in ALL:
        method = methods.compose(**fields)
        assert points(method) == {tuple(fields[name] for name in FIELDS)}, fields
        assert as_row(method)["transfer"]


def test_what_is_explored_is_read_from_the_declarations():
    known = explored([methods.kd(), methods.attention(), methods.mean_teacher(), methods.specialists()])
    assert known[("soft labels", "output", "divergence", "all", "offline", "same")] == "kd"
    assert known[("attention maps", "middle", "squares", "all", "offline", "same")] == "attention"
    assert known[("soft labels", "output", "squares", "all", "self", "unlabelled")] == "mean_teacher"
    assert known[("soft labels", "output", "divergence", "believed_in", "offline", "same")] == "specialists"


def test_no_strategy_is_a_published_one_and_the_nearest_come_first():
    found = strategies()
    every = set(explored(declare() for name, declare in methods.CATALOGUE.items() if name != "compose"))
    assert len(found) > 400 and not any(tuple(s.fields[name] for name in FIELDS) in every for s in found)
    assert len(found) + sum(tuple(f[name] for name in FIELDS) in every for f in ALL) == len(ALL)
    sizes = [len(s.differs) for s in found]
    assert sizes == sorted(sizes) and sizes[0] == 1
    for strategy in found[:50]:
        near = points(methods.find(strategy.nearest)())
        mine = tuple(strategy.fields[name] for name in FIELDS)
        assert min(sum(a != b for a, b in zip(p, mine, strict=True)) for p in near) == len(strategy.differs)


def test_the_printed_line_makes_the_method():
    for strategy in strategies()[::60]:
        made = eval(strategy.python, {"methods": methods})
        assert describe(made) == describe(strategy.method())
        assert describe(methods.make(**json.loads(strategy.json))) == describe(made)


@pytest.mark.parametrize(
    "fields",
    [
        {"knowledge": "relations of channels", "location": "middle", "transfer": "angle", "mask": "right", "scheme": "online"},
        {"knowledge": "attention maps", "location": "middle", "transfer": "correlation", "scheme": "self", "data": "unlabelled"},
        {"knowledge": "features", "location": "embedding", "transfer": "contrast", "data": "two views"},
    ],
    ids=lambda f: f["knowledge"],
)
def test_strategies_that_nobody_published_train(fields):
    default = methods.compose().arguments
    whole = {name: fields.get(name, default[name]) for name in FIELDS}
    assert whole in [s.fields for s in strategies()]
    method = methods.compose(**whole)
    cast = make_cast(method)
    before = {k: v.clone() for k, v in cast["student"].state_dict().items()}
    some = data.load("digits", labelled=400) if whole["data"] == "unlabelled" else DIGITS
    draw = Streams(some, size=32, seed=0, views=method.views, augment="crop:1")
    fit = engine.Fit(steps=12, steps_per_epoch=4, checkpoint_seconds=1e9)
    trained = engine.train(method, cast, draw, fit, seed=0, device="cpu")
    assert all(torch.isfinite(torch.tensor(list(e["terms"].values()))).all() for e in trained.history)
    tasks = [e["terms"]["task"] for e in trained.history]
    assert tasks[-1] < tasks[0]
    assert any(not torch.equal(before[k], v) for k, v in cast["student"].state_dict().items())


def test_fields_that_do_not_go_together_are_refused_with_those_that_do():
    with pytest.raises(UserError, match="choose middle"):
        methods.compose(knowledge="attention maps")
    with pytest.raises(UserError, match="divergence"):
        methods.compose(transfer="angle")
    with pytest.raises(UserError, match="features"):
        methods.compose(knowledge="feature")


def test_the_command_prints_a_line_that_runs_each():
    text = CliRunner().invoke(app, ["methods", "--unexplored"]).output
    assert text.count("methods.compose(") == 24 and "combinations that no method" in text
    lines = CliRunner().invoke(app, ["methods", "--unexplored", "--json"]).output.splitlines()
    assert len(lines) == len(strategies()) and json.loads(lines[-1])["name"] == "compose"
