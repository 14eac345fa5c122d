"""A whole run on pictures with boxes: trained, judged by mAP@0.5, exported, drawn, loaded again."""

import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from limbeck import data
from limbeck.cli.app import app
from limbeck.deploy.student import load_student
from limbeck.tasks.predictions import predict


def pictures(root, count=40):
    """Noise of 32 x 32 with one or two squares, light or dark, of 8 to 12 pixels."""
    rng = np.random.default_rng(0)
    for k in range(count):
        picture, objects = rng.integers(90, 120, (32, 32, 3)), ""
        for number in range(1 + k % 2):
            side, left = int(rng.integers(8, 13)), int(rng.integers(0, 4)) + 16 * number
            top, name = int(rng.integers(0, 20)), ("light", "dark")[int(rng.integers(0, 2))]
            picture[top : top + side, left : left + side] += 100 if name == "light" else -80
            box = f"<xmin>{left}</xmin><ymin>{top}</ymin><xmax>{left + side}</xmax><ymax>{top + side}</ymax>"
            objects += f"<object><name>{name}</name><bndbox>{box}</bndbox></object>"
        (root / "all").mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(root / f"all/{k}.png")
        (root / f"all/{k}.xml").write_text(f"<annotation>{objects}</annotation>", encoding="utf-8")
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("detection")
    words = ["distill", "--data", str(pictures(root / "squares")), "--teacher", "detector", "--student", "detector"]
    settings = ("teacher.arguments.width=16", "student.arguments.width=6", "train.batch=8", "teacher.arguments.stride=4")
    for setting in (*settings, "student.arguments.stride=4", "student.arguments.blocks=1", "teacher.arguments.blocks=1"):
        words += ["--set", setting]
    words += ["--method", "detection", "--augment", "flip,crop:2", "--epochs", "25", "--out", str(root / "run"), "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMBECK_STORE", str(root / "store"))
        result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return root / "run"


def test_the_card_is_judged_by_mean_average_precision(run):
    card = json.loads((run / "card.json").read_text(encoding="utf-8"))
    assert card["task"]["name"] == "detect" and card["task"]["figures"][0]["title"] == "mAP@0.5"
    models = card["models"]
    assert models["teacher"]["score"] > 0.3 and 0 <= models["student"]["score"] <= 1
    assert models["student"]["interval"][0] <= models["student"]["score"] <= models["student"]["interval"][1]
    assert card["export"]["onnx"]["same_predictions"] > 0.99


def test_the_student_comes_back_and_the_page_shows_boxes(run):
    card = json.loads((run / "card.json").read_text(encoding="utf-8"))
    student, info = load_student(run)
    found = data.load(str(run.parent / "squares"))
    batches = data.Batches(found["test"], found, size=64, seed=0).ordered()
    again = found.task.measure(predict(student, batches, found.task), found.classes)
    assert info["task"] == {"name": "detect", "settings": {"size": [32, 32]}} and again.score == pytest.approx(
        card["models"]["student"]["score"]
    )
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "test mAP@0.5" in page and "MAP@0.5 on validation" not in page and page.count('alt="Prediction for sample') == 6 * 4


def test_a_comparison_has_the_detectors_own_baseline(tmp_path):
    from limbeck.comparison.comparison import Comparison
    from limbeck.comparison.entries import parse_entries
    from limbeck.runs.recipes import make

    nets = {who: {"model": "detector", "arguments": {"width": w, "stride": 4}} for who, w in (("teacher", 4), ("student", 2))}
    settings = {"data": {"name": str(pictures(tmp_path / "squares"))}, "train": {"epochs": 1, "batch": 8}, "onnx": False, **nets}
    board = Comparison(make(settings), parse_entries("fine_grained"), [0], tmp_path / "board").go()
    assert {row["name"]: row["errors"] for row in board["rows"]} == {"baseline": [], "fine_grained": []}
    assert board["task"]["figures"][0]["title"] == "mAP@0.5"
    assert "Test mAP@0.5: each seed" in (tmp_path / "board" / "report.html").read_text(encoding="utf-8")
