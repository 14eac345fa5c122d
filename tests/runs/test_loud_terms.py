"""A run says which term drowns the labels, and nothing where none does."""

from limbeck.engine.balance import Balance, too_loud
from limbeck.face.run import run
from limbeck.runs.settings import make


def test_only_what_is_far_above_the_labels_is_said():
    found = [Balance("distil", {"soft": 25.0, "hint": 1212.4}), Balance("tune", {"hint": 199.0})]
    assert too_loud(found) == [
        "hint pulls 1,212 times as hard as the labels at the first step of stage distil: lower its weight if the student "
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
        said[beta] = [n for n in run(make(settings), tmp_path / f"{beta:g}")["notes"] if "times as hard" in n]
    assert said[0.1] == [] and any(note.startswith("attention layer") for note in said[1e6])
