"""A whole run on images with masks: trained, judged by mean IoU, exported, drawn, evaluated again."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import limbeck
from limbeck import data, methods, models
from limbeck.cli.app import app
from limbeck.deploy.student import load_student
from limbeck.methods._terms import task
from limbeck.plan.observe import observe
from limbeck.plan.roles import Cast
from limbeck.tasks.predictions import predict
from limbeck.tasks.segment import Segment


def squares(root, count=24, side=16):
    """Grey noise with one bright and one dark square; a border row that is not counted."""
    rng = np.random.default_rng(0)
    for k in range(count):
        image, mask = rng.integers(90, 130, (side, side)), np.zeros((side, side), np.uint8)
        for number, shift in ((1, 80), (2, -80)):
            top, left = rng.integers(0, side - 6, 2)
            image[top : top + 6, left : left + 6] += shift
            mask[top : top + 6, left : left + 6] = number
        mask[0] = 255
        for name, values in (("image", image), ("label", mask)):
            (root / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(values.clip(0, 255).astype(np.uint8)).save(root / name / f"{k}.png")
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """`limbeck distill` on a folder of pairs; teacher and student are small U-Nets."""
    root = tmp_path_factory.mktemp("segmentation")
    words = [
        "distill",
        "--data",
        str(squares(root / "squares")),
        "--teacher",
        "unet",
        "--student",
        "unet",
        "--epochs",
        "8",
        "--method",
        "kd",
    ]
    for setting in ("teacher.arguments.width=8", "student.arguments.width=2", "student.arguments.depth=2", "train.batch=4"):
        words += ["--set", setting]
    words += ["--augment", "crop:2,flip", "--set", "data.views=2", "--out", str(root / "run"), "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMBECK_STORE", str(root / "store"))
        result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return root / "run"


def test_the_card_is_judged_by_mean_iou(run):
    card = json.loads((run / "card.json").read_text(encoding="utf-8"))
    assert card["task"]["name"] == "segment" and card["task"]["figures"][0]["within"] == "IoU"
    student, teacher = card["models"]["student"], card["models"]["teacher"]
    assert len(student["per_class"]) == 3
    assert teacher["score"] > 0.5  # the background alone gives 0.25
    assert card["export"]["onnx"]["same_predictions"] > 0.99
    assert card["export"]["onnx"]["score"] == pytest.approx(student["score"], abs=0.01)
    assert any("mask value 255" in note for note in card["data"]["notes"])


def test_the_student_comes_back_and_scores_the_same(run):
    card = json.loads((run / "card.json").read_text(encoding="utf-8"))
    student, info = load_student(run)
    found = data.load(str(run.parent / "squares"))
    batches = data.Batches(found["test"], found, size=256, seed=0).ordered()
    again = found.task.measure(predict(student, batches, found.task), found.classes)
    assert info["task"]["name"] == "segment" and again.score == card["models"]["student"]["score"]
    said = CliRunner().invoke(app, ["evaluate", str(run), "--json"], catch_exceptions=False)
    assert json.loads(said.output)["score"] == pytest.approx(again.score)


def test_the_page_speaks_of_mean_iou_and_shows_masks(run):
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "test mean IoU" in page and "Mean IoU on validation" in page and "test accuracy" not in page
    assert page.count('alt="Prediction for sample') == 5 * 4  # 5 test images; label, teacher, baseline, student
    assert "Confusion matrix" in page and "pixels on the diagonal" in page
    card = (run / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "| mean IoU " in card and "| accuracy " not in card and "test mean IoU" not in card.split("## Files")[0]


def test_pixels_that_are_not_counted_teach_nothing():
    from limbeck.engine.step import evaluate_term

    net = models.build("fcn", classes=3, shape=(1, 16, 16), arguments={"width": 4, "stride": 4}).eval()
    found = Segment().finder(3, (1, 16, 16))
    cast = Cast({"student": net}, {"student": limbeck.Adapter(logits=found)})
    labels = torch.randint(0, 3, (2, 16, 16), generator=torch.Generator().manual_seed(0))
    labels[:, :5] = -100
    batch = {"inputs": torch.rand(2, 1, 16, 16), "labels": labels}
    with torch.no_grad():
        total, count = evaluate_term(task(), observe(cast, batch, task().sources))
        expected = torch.nn.functional.cross_entropy(net(batch["inputs"]), labels, ignore_index=-100)
    assert int(count) == 2 * 11 * 16 and torch.allclose(total / count, expected, rtol=1e-5)  # sums in another order


def test_methods_written_for_classes_run_on_masks_as_they_are(tmp_path):
    found = data.load(str(squares(tmp_path / "squares")), labelled=6)
    nets = [models.build("unet", classes=3, shape=found.shape, arguments={"width": w, "depth": 3}) for w in (4, 2, 2)]
    plain = {"onnx": False, "baseline": False, "epochs": 1, "batch": 4}
    card = limbeck.distill(None, nets[1], found, method=methods.mean_teacher(), out=tmp_path / "a", **plain).card
    assert 0 <= card["models"]["student"]["score"] <= 1
    card = limbeck.distill(nets[0], nets[2], found, method=methods.attention(), out=tmp_path / "b", **plain).card
    assert card["models"]["student"]["figures"]["agreement_with_teacher"] is not None
