"""The model card is made of the folder alone, says what each class lost, and escapes what is not ours."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

import json

import pytest
from synthetic_run import make_run

from limbeck.cards.model_card import write_model_card
from limbeck.errors import UserError


def student_json(folder, classes):
    facts = {
        "version": 1,
        "limbeck": "0",
        "kind": "image",
        "task": {"name": "classify", "settings": {}},
        "method": {"name": "kd", "arguments": {}},
        "roles": {"student": {"model": "cnn", "arguments": {}, "mean": [0.3], "std": [0.4]}},
        "classes": list(classes),
        "shape": [1, 8, 8],
        "inputs": "images",
        "outputs": "one logit for each of 3 classes",
        "data": "digits",
    }
    (folder / "student.json").write_text(json.dumps(facts))


def test_each_class_and_what_it_lost(tmp_path):
    classes = ("a|b", "<i>c</i>", "d")
    folder = make_run(tmp_path / "run", classes=classes)
    student_json(folder, classes)
    text = write_model_card(folder).read_text()
    card = json.loads((folder / "card.json").read_text())["models"]
    lost = [100 * (t - s) for t, s in zip(card["teacher"]["per_class"], card["student"]["per_class"])]
    lines = [line for line in text.split("## What each class lost")[1].splitlines() if line.startswith("|")][2:]
    cells = [[cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")] for line in lines]
    assert [float(c[3]) for c in cells] == sorted((round(v, 1) for v in lost), reverse=True)
    assert {c[0] for c in cells} <= {"a/b", "&lt;i&gt;c&lt;/i&gt;", "d"} and len(cells) == 3
    assert (
        "<i>" not in text and "inside every file" in text and "- Output: one logit for each of 3 classes, in this order" in text
    )


def test_a_folder_without_a_student_is_refused(tmp_path):
    with pytest.raises(UserError, match="no student.json"):
        write_model_card(tmp_path)


TIMES = {"median": 1.25, "low": 1.0, "high": 1.5, "p95": 2.5, "repeats": 9}


def test_what_was_measured_is_a_table_and_another_version_one_sentence(tmp_path):
    folder = make_run(tmp_path / "run")
    student_json(folder, tuple("0123456789"))
    row = {"file": "student.onnx", "format": "onnx", "bytes": 10, "threads": 1, "on": "this machine", "runtime": "onnxruntime 1"}
    row |= {"machine": {"system": "Linux", "cores": 2, "python": "3.11"}, "latency_ms": {"16": TIMES}, "peak_bytes": 2_000_000}
    lost = {"file": "student.pt", "error": "no runtime"}
    (folder / "measured.json").write_text(json.dumps({"version": 1, "rows": [row, lost]}))
    lines = write_model_card(folder).read_text().split("## Cost")[1].splitlines()
    assert [line for line in lines if "student." in line] == [
        "| student.onnx | 16 | 1 | 1.25 | 2.5 | 2 MB | this machine: Linux, onnxruntime 1 |"
    ]
    (folder / "measured.json").write_text(json.dumps({"version": 2, "rows": []}))
    with pytest.raises(UserError, match="measured.json has version '2', and this limbeck reads version 1"):
        write_model_card(folder)
