"""A run warns of a term whose gradient overwhelms that of the labels, and only then."""

from limbeck.engine.balance import Balance, too_large
from limbeck.face.run import run
from limbeck.runs.recipes import make


def test_only_terms_far_above_the_labels_are_reported():
    found = [Balance("distil", {"soft": 25.0, "hint": 1212.4}), Balance("tune", {"hint": 199.0})]
    assert too_large(found) == [
        "hint has 1,212 times the gradient of the labels at the first step of stage distil: lower its weight if the student "
        "learns little"
    ]


def test_the_card_keeps_it(tmp_path):
    said = {}
    for beta in (0.1, 1e6):
        settings = {
            "data": {"name": "digits", "limit": 60},
            "teacher": {"model": "cnn", "arguments": {"width": 4}},
            "student": {"model": "cnn", "arguments": {"width": 2}},
            "method": {"name": "attention", "arguments": {"beta": beta}},
            "train": {"epochs": 1},
            "store": {"use": False},
            "baseline": False,
            "onnx": False,
            "device": "cpu",
        }
        said[beta] = [n for n in run(make(settings), tmp_path / f"{beta:g}")["notes"] if "times the gradient" in n]
    assert said[0.1] == [] and any(note.startswith("attention layer") for note in said[1e6])
