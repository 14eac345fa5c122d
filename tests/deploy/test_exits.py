"""Leaving early: shares and accuracy by a loop, and what a run's card and page say of them."""

import pytest
import torch

from limbeck import methods
from limbeck.comparison.pages import page_of
from limbeck.deploy.exits import _time, leave
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.face.run import conclude, run
from limbeck.runs.recipes import make
from limbeck.runs.session import Session
from limbeck.runs.sources import open_sources


@pytest.mark.parametrize("threshold", [0.0, 0.35, 0.5, 0.8, 1.0])
def test_by_a_loop(threshold):
    generator = torch.Generator().manual_seed(0)
    logits = [2 * torch.randn(60, 5, generator=generator) for _ in range(3)]
    labels = torch.randint(0, 5, (60,), generator=generator)
    right, counts = 0, [0, 0, 0]
    for n in range(60):
        for k in range(3):
            p = logits[k][n].softmax(0)
            if k == 2 or p.max() >= threshold:
                counts[k] += 1
                right += int(p.argmax() == labels[n])
                break
    accuracy, shares = leave(logits, labels, threshold)
    assert accuracy == pytest.approx(right / 60) and shares == pytest.approx([c / 60 for c in counts])


def test_a_threshold_out_of_range_is_refused():
    with pytest.raises(UserError, match="threshold from 0 to 1, got 1 and 1.5"):
        leave([torch.zeros(2, 2)], torch.zeros(2, dtype=torch.int64), 1.5)


def test_the_card_and_the_page_have_the_table(tmp_path):
    settings = {"onnx": False, "baseline": False, "device": "cpu", "data": {"limit": 400}, "train": {"epochs": 3}}
    settings |= {"student": {"model": "cnn", "arguments": {"width": 4}}, "method": {"name": "own_teacher"}}
    sources = open_sources(make(settings))
    card = conclude(last(Session(sources, tmp_path).steps()))
    found = card["exits"]
    assert [each["name"] for each in found["exits"]] == ["layer1", "layer2", "layer3"]
    assert found["exits"][-1]["accuracy"] == pytest.approx(card["models"]["student"]["score"])
    sizes = [each["parameters"] for each in found["exits"]]
    assert sizes[2] == card["models"]["student"]["parameters"] and sizes[0] < 1000
    ran = []
    for layer in ("layer1", "layer2", "layer3"):
        sources.cast.find(f"student.{layer}").register_forward_hook(lambda *_, name=layer: ran.append(name))
    _time(sources.cast, [methods.own_teacher().exits["layer2"]], torch.rand(1, 1, 8, 8))
    assert set(ran) == {"layer1", "layer2"}  # it stops there, and does not run on
    for row in found["thresholds"]:
        assert sum(row["shares"]) == pytest.approx(1)
        by_hand = sum(s * e["latency_ms"] for s, e in zip(row["shares"], found["exits"], strict=True))
        assert row["latency_ms"] == pytest.approx(by_hand)
    first = [row["shares"][0] for row in found["thresholds"]]
    assert first == sorted(first, reverse=True)
    page = page_of(tmp_path)
    assert "Leaving early" in page and "leave at layer2" in page


def test_without_exits_there_is_no_table(tmp_path):
    settings = {"onnx": False, "baseline": False, "device": "cpu", "data": {"limit": 100}, "train": {"epochs": 1}}
    settings |= {"student": {"model": "cnn", "arguments": {"width": 2}}, "method": {"name": "alone"}}
    card = run(make(settings), tmp_path)
    assert "exits" not in card and "Leaving early" not in page_of(tmp_path)
