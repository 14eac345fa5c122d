"""Lessons are weighed by their pull: by which factor, where it is kept, and that a run repeats it without measuring."""

import json
from pathlib import Path

import pytest

from limbeck import methods
from limbeck.face.run import run
from limbeck.runs import deciding
from limbeck.runs.decided import Decided
from limbeck.runs.recipes import load, make

RESULTS = Path(__file__).parents[2] / "bench" / "results" / "pulls.json"


def settings(**method):
    return {
        "data": {"name": "digits", "limit": 60},
        "teacher": {"model": "cnn", "arguments": {"width": 4}},
        "student": {"model": "cnn", "arguments": {"width": 2}},
        "method": {"name": "attention", **method},
        "train": {"epochs": 1},
        "store": {"use": False},
        "baseline": False,
        "onnx": False,
        "device": "cpu",
    }


@pytest.mark.parametrize(
    ("pull", "wanted", "factor"),
    [
        (1000.0, None, 0.01),
        (5.0, None, None),
        (0.15, None, 2.0),
        (0.00001, None, 1000.0),
        (1000.0, False, None),
        (1000.0, True, 0.01),
    ],
)
def test_a_pull_is_brought_into_its_bounds(pull, wanted, factor):
    method = methods.find("attention")()  # states 0.3
    assert deciding.scales_of(method, {"0": pull}, wanted) == ({} if factor is None else {"0": factor})


def test_weights_of_the_users_own_and_methods_that_state_no_pull_stay_unless_it_is_asked_for():
    own, kd = methods.find("attention")(beta=5.0), methods.find("kd")()
    assert deciding.own_weights(own) == ["beta"] and deciding.own_weights(methods.find("attention")(at=("stem",))) == []
    assert deciding.own_weights(methods.find("dkd")(beta=1.0)) == []  # it follows the number of classes
    for method in (own, kd):
        assert deciding.scales_of(method, {"0": 100.0}, None) == {}
        assert deciding.scales_of(method, {"0": 100.0}, True) == {"0": 0.1}


def test_a_run_keeps_what_it_measured_and_its_recipe_repeats_it(tmp_path, monkeypatch):
    card = run(make(settings()), tmp_path / "first")
    (pull,) = card["pull"]
    kept = load(tmp_path / "first" / "recipe.toml")
    factor = kept["decided"]["scales"]["0"]
    assert pull["stated"] == 0.3 and pull["declared"] > 10 and pull["trained"] == pytest.approx(10, rel=0.01)
    assert any("train.balance = false" in note for note in card["notes"]) and f"{1000 * factor:g}" in card["method"]["text"]
    monkeypatch.setattr(deciding, "balance", lambda *_, **__: pytest.fail("it is known"))
    again = run(make(kept), tmp_path / "again")
    weights = [(tmp_path / one / "weights" / "student.safetensors").read_bytes() for one in ("first", "again")]
    assert weights[0] == weights[1] and again["pull"] == card["pull"]


def test_what_was_found_out_holds_for_its_own_settings_only(tmp_path):
    recipe = make(settings())
    decided = Decided(of=deciding.of(recipe), pulls={"0": 40.0}, scales={"0": 0.25})
    assert deciding.known(recipe.model_copy(update={"decided": decided}), tmp_path) == decided
    other = recipe.model_copy(update={"seed": 1, "decided": decided})
    assert deciding.known(other, tmp_path) == Decided(of=deciding.of(other))


def test_stated_pulls_are_those_that_were_measured():
    table = json.loads(RESULTS.read_text())
    stated = {name: pull for name in methods.CATALOGUE if (pull := methods.find(name)().pull) is not None}
    assert {name: row["median"] for name, row in table.items()} == stated
