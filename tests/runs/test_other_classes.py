"""A teacher that was made for other classes: its layers teach, its answers are neither compared nor judged."""

import pytest
import torch

import limbeck
from limbeck import methods, models
from limbeck.__main__ import run
from limbeck.data import load

SMALL = [
    "--set",
    "student.width=2",
    "--set",
    "data.limit=120",
    "--set",
    "onnx=false",
    "--epochs",
    "1",
    "--quiet",
    "--no-baseline",
]
TEACHER = ["--teacher", "cnn", "--set", "teacher.width=4"]


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        torch.save(models.build("cnn", classes=7, shape=(1, 8, 8), arguments={"width": 4}).state_dict(), "seven.pt")
    return ["--teacher-weights", "seven.pt", "--set", "teacher.classes=7"]


def test_its_layers_teach(weights, capsys, tmp_path):
    assert run(["distill", *TEACHER, *weights, *SMALL, "--method", "cross_task", "--out", "r"]) == 0, capsys.readouterr().err
    assert "teacher" not in capsys.readouterr().out.split("student")[0]
    assert run(["evaluate", "r", "--json"]) == 0
    assert (tmp_path / "r" / "report.html").exists()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--method", "kd"], "method 'kd' reads its logits; use one that reads only layers"),
        (["--method", "cross_task", "--set", "teacher.classes=9"], "(7,) where (9,) is needed"),
    ],
)
def test_its_answers_are_refused(weights, capsys, more, why):
    assert run(["distill", *TEACHER, *weights, *SMALL, *more]) == 2
    assert why in capsys.readouterr().err


def test_without_weights_it_could_not_be_trained(weights, capsys):
    assert run(["distill", *TEACHER, "--set", "teacher.classes=7", *SMALL, "--method", "cross_task"]) == 2
    assert (
        "role 'teacher' has 7 classes where digits has 10, so it cannot be trained on them; use it as a teacher with weights"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("name", ["cross_task", "kd"])
def test_a_module_is_understood_by_its_answers(weights, tmp_path, name):
    data = load("digits", limit=120)
    teacher = models.build("cnn", classes=7, shape=data.shape, arguments={"width": 4})
    student = models.build("cnn", classes=10, shape=data.shape, arguments={"width": 2})
    settings = {"method": methods.find(name)(), "baseline": False, "onnx": False, "epochs": 1, "out": tmp_path / "own"}
    if name == "kd":
        with pytest.raises(limbeck.UserError, match="7"):
            limbeck.distill(teacher, student, data, **settings)
        return
    card = limbeck.distill(teacher, student, data, **settings).card
    assert "teacher" not in card["models"] and card["models"]["student"]["score"] > 0
