"""The rate probe: which rate is taken, what counts as clear, what it costs, and that a run repeats it."""

import json
import math

import pytest
import torch

from limbeck.comparison.asked import asked
from limbeck.face.run import run
from limbeck.runs import rates
from limbeck.runs.rates import Tried, best_of, rates_of
from limbeck.runs.recipes import load, make
from limbeck.tasks import Numbers
from limbeck.tasks.classify import CLASSIFY
from limbeck.tasks.predictions import Predictions


def tried(mean, *, spread=1.0, score=0.5):
    """100 samples whose gauge has this mean and standard deviation, so that its standard error is a tenth of the latter."""
    values = torch.tensor([1.0, -1.0] * 50)
    return Tried(score, mean + spread * values / values.std(), -3.0)


@pytest.mark.parametrize(
    ("third", "given", "three", "chosen"),
    [
        (tried(-2.0), tried(-1.0), tried(-0.5, spread=0.9), 0.3),  # the difference has a spread of 0.1: it is clear
        (tried(-2.0), tried(-1.0), tried(-0.99, spread=2.0), 0.1),  # better by 0.01 with a standard error of 0.1
        (tried(-0.1), tried(-1.0), tried(-2.0), 0.1),  # a smaller rate is not taken because it starts faster
        (tried(-0.1), tried(-3.0), tried(-3.1), 0.0333),  # but where the given one learned nothing
        (tried(-0.1), Tried(), Tried(), 0.0333),
        (Tried(), Tried(), Tried(), 0.1),
        (Tried(0.5), Tried(0.5), Tried(0.52), 0.3),  # scores alone: by more than 2 % of the given one's
        (Tried(0.5), Tried(0.5), Tried(0.505), 0.1),
    ],
)
def test_the_rate_that_is_taken(third, given, three, chosen):
    assert best_of(dict(zip(rates_of(0.1), (given, third, three), strict=True)), 0.1, 30) == chosen


def test_a_rate_that_has_learned_nothing_in_a_few_steps_has_its_time_yet():
    found = dict(zip(rates_of(0.1), (tried(-3.0), tried(-0.1), tried(-3.1)), strict=True))
    assert (best_of(found, 0.1, 29), best_of(found, 0.1, 30)) == (0.1, 0.0333)


def test_classes_are_gauged_by_what_logits_know_and_not_by_how_large_they_are():
    labels = torch.tensor([0, 1, 2, 1])
    logits = torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 0, 0.5], [1, 0, 0]])
    value, nothing = CLASSIFY.gauge(Predictions(logits, labels, torch.arange(4)))
    assert nothing == pytest.approx(0.5 * math.log(0.5) + 0.5 * math.log(0.25), rel=1e-6)  # shares 1/4, 1/2, 1/4
    scaled, _ = CLASSIFY.gauge(Predictions(50 * logits + 3, labels, torch.arange(4)))
    assert torch.allclose(value, scaled, atol=1e-5)
    best = max(float(torch.log_softmax(t * logits, 1)[range(4), labels].mean()) for t in torch.linspace(0.05, 5, 500))
    assert float(value.mean()) == pytest.approx(best, abs=2e-3)  # a grid of 41 temperatures


def test_numbers_are_gauged_by_their_squared_error_in_spreads():
    labels, answers = torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0], [4.0]])  # the spread is 2
    value, nothing = Numbers().gauge(Predictions(answers, labels, torch.arange(2)))
    assert value.tolist() == [-0.25, 0.0] and nothing == -1
    assert float(Numbers().gauge(Predictions(torch.full((2, 1), 2.0), labels, torch.arange(2)))[0].mean()) == nothing


def test_a_run_probes_keeps_and_repeats(tmp_path, monkeypatch):
    settings = {
        "data": {"name": "digits", "limit": 64},
        "student": {"model": "mlp", "arguments": {"width": 8}},
        "teacher": {"model": "mlp", "arguments": {"width": 16}, "epochs": 2},
        "train": {"epochs": 38, "batch": 7, "lr": 0.003, "probe": True},
        "store": {"use": False},
        "onnx": False,
        "device": "cpu",
    }
    monkeypatch.setattr(rates, "best_of", lambda tried, given, steps: max(tried))
    card = run(make(settings), tmp_path / "first")
    assert card["rates"] == {"baseline": 0.009, "student": 0.009} and card["models"]["student"]["steps"] == 304
    history = json.loads((tmp_path / "first" / "weights" / "student.json").read_text())["history"]
    assert 0.003 < max(record["lr"]["0"] for record in history) <= 0.009
    notes = [note for note in card["notes"] if "train.probe" in note]
    said = "learning rate 0.009 of those probed for 10 steps each, by validation (0.001 "
    assert len(notes) == 2 and all(n.startswith(f"{w}: {said}") for n, w in zip(notes, ("baseline", "student"), strict=True))
    monkeypatch.setattr(rates, "probe", lambda *_: pytest.fail("it is known"))
    again = run(make(load(tmp_path / "first" / "recipe.toml")), tmp_path / "again")
    weights = [(tmp_path / one / "weights" / "student.safetensors").read_bytes() for one in ("first", "again")]
    assert weights[0] == weights[1] and again["rates"] == card["rates"]


def test_compare_probes_unless_it_is_told_not_to_or_searches(tmp_path):
    def probes(recipe, search=0):
        return asked({}, "kd", 1, 1, None, search).over(make(recipe), tmp_path, print).recipe.train.probe

    assert probes({}) is True and probes({"train": {"probe": False}}) is False and probes({}, 2) is None
