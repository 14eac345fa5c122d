"""Numbers: figures against scikit-learn and by hand, the terms in scaled units, whole runs from Python and from a table."""

import csv
import json

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torch import nn
from typer.testing import CliRunner

import limbeck
from limbeck import data, losses, methods, models
from limbeck.cli.app import app
from limbeck.deploy.student import load_student
from limbeck.engine.step import evaluate_term
from limbeck.errors import UserError
from limbeck.metrics import numbers as metrics
from limbeck.plan import Cast, observe
from limbeck.plan.roles import Adapter
from limbeck.report.page import render
from limbeck.report.read import read_run
from limbeck.tasks import registry
from limbeck.tasks.bind import bind
from limbeck.tasks.numbers import Numbers, Unscaled
from limbeck.tasks.predictions import Predictions, predict

RANDOM = torch.Generator().manual_seed(0)
LABELS = torch.randn(60, 2, generator=RANDOM) * torch.tensor([3.0, 100.0]) + torch.tensor([10.0, -500.0])
ANSWERS = LABELS + torch.randn(60, 2, generator=RANDOM) * torch.tensor([1.0, 60.0])
SEEN = Predictions(ANSWERS, LABELS, torch.arange(60))


def test_figures_are_those_of_scikit_learn():
    found = Numbers().measure(SEEN, ["a", "b"], SEEN)
    assert found.score == pytest.approx(r2_score(LABELS, ANSWERS))
    assert found.per_class == pytest.approx(r2_score(LABELS, ANSWERS, multioutput="raw_values").tolist())
    assert found.figures["rmse"] == pytest.approx(root_mean_squared_error(LABELS, ANSWERS))
    assert found.figures["mae"] == pytest.approx(mean_absolute_error(LABELS, ANSWERS))
    assert found.worst.name == ("a", "b")[int(np.argmin(found.per_class))]
    for key in ("rmse", "mae"):
        assert found.intervals[key][0] < found.figures[key] < found.intervals[key][1]
    assert found.interval[0] < found.score < found.interval[1]


def test_r2_by_hand_and_where_it_has_no_meaning():
    labels, answers = torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[3.0], [2.0], [1.0]])
    assert metrics.r2(answers, labels).item() == pytest.approx(1 - 8 / 2)
    same = Numbers().measure(Predictions(answers, torch.ones(3, 1), torch.arange(3)), ["a"])
    assert same.score is None and same.per_class == [None] and same.worst is None and same.interval is None
    assert "NaN" not in json.dumps(same.entry()) and Numbers().near_chance(
        Predictions(labels * 0 + 2, labels, torch.arange(3)), 1
    )
    large = labels + 1e6  # float32 holds eight digits: what is left of them must do
    assert metrics.r2(large + torch.tensor([[0.0], [1.0], [0.0]]), large).item() == pytest.approx(0.5)


def test_the_interval_is_a_bootstrap_over_samples():
    draws = torch.Generator().manual_seed(1)
    found = [metrics.r2(ANSWERS[rows], LABELS[rows]).mean().item() for rows in torch.randint(60, (4000, 60), generator=draws)]
    low, high = np.quantile(found, [0.025, 0.975])
    assert metrics.r2_interval(ANSWERS, LABELS) == pytest.approx((low, high), abs=0.02)  # 1,000 draws against 4,000


def test_terms_compare_in_scaled_units():
    about = Numbers(mean=(10.0,), std=(2.0,))
    nets = {who: nn.Linear(3, 1) for who in ("student", "teacher")}
    cast = Cast(nets, {who: Adapter(logits=about.finder(1, (3,))) for who in nets})
    inputs = torch.randn(5, 3, generator=RANDOM)
    labels = torch.tensor([[10.0], [12.0], [8.0], [torch.nan], [11.0]])
    batch = {"inputs": inputs, "labels": labels, "index": torch.arange(5)}
    s, t = (nets[who](inputs) for who in ("student", "teacher"))
    y, known = (labels - 10) / 2, torch.tensor([0, 1, 2, 4])

    def values(method):
        terms = [term for _, _, term in bind(method, about).terms()]
        scene = observe(cast, batch, [source for term in terms for source in term.sources], learns=["student"])
        return {term.name: (lambda total, count: total / count)(*evaluate_term(term, scene)) for term in terms}

    found = values(methods.kd(temperature=7.0))
    torch.testing.assert_close(found["task"], (s - y)[known].square().mean())
    torch.testing.assert_close(found["soft"], (s - t).square().mean())
    bounded = torch.where((s - y).square() > (t - y).square(), (s - y).square(), 0.0)[known].mean()
    found = values(methods.teacher_bounded(weight=0.5))
    torch.testing.assert_close(found["bounded"], bounded)
    found["bounded"].backward()
    assert torch.isfinite(nets["student"].weight.grad).all() and nets["teacher"].weight.grad is None
    torch.testing.assert_close(values(methods.logit_regression())["logits"], losses.logit_regression(s, t).mean())


@pytest.mark.parametrize("name", ["dkd", "dist", "ctkd", "teachers_voted"])
def test_methods_that_read_classes_say_what_works(name):
    with pytest.raises(UserError, match=f"method '{name}': .*reads class probabilities.*teacher_bounded"):
        bind(methods.find(name)(), Numbers())


def test_answers_are_found_and_come_in_their_own_units():
    find = Unscaled((1.0, 2.0), (10.0, 100.0))
    assert find(torch.tensor([[1.0, 1.0]])).tolist() == [[11.0, 102.0]]
    assert torch.equal(find({"logits": torch.zeros(1, 2)}), torch.tensor([[1.0, 2.0]]))
    assert Numbers().finder(1, (3,)) is None and Numbers((0.0,), (1.0,)).finder(4, (3,)) is None
    with pytest.raises(UserError, match="must return numbers .n, 2., got str"):
        find("x")


def curve(rows=300):
    x = torch.randn(rows, 6, generator=torch.Generator().manual_seed(3))
    clean = 1000 + 40 * (x[:, 0] * x[:, 1]) + 60 * x[:, 2].relu() - 30 * x[:, 3]
    return x, clean + 5 * torch.randn(rows, generator=torch.Generator().manual_seed(4))


def test_floats_are_numbers_and_the_task_knows_their_scale():
    x, y = curve()
    found = data.from_datasets((x, y), validation=0.2)
    train = found["train"].labels
    assert found.task.mean == pytest.approx((float(train.mean()),)) and found.task.std == pytest.approx(
        (float(train.std()),), rel=0.01
    )
    assert found.classes == ("0",) and train.shape == (240, 1)
    quarters = torch.quantile(y, torch.tensor([0.25, 0.5, 0.75]))
    for edge in quarters:  # every split has its share of small and of large ones
        shares = [float((found[part].labels[:, 0] < edge).float().mean()) for part in ("train", "validation")]
        assert shares[0] == pytest.approx(shares[1], abs=0.04)
    two = data.from_datasets((x, torch.stack([y, -y], 1)), validation=0.2, classes=["up", "down"])
    assert two.classes == ("up", "down") and len(two.task.mean) == 2
    whole = data.from_datasets((x, y.round().long()), validation=0.2, task=Numbers())
    assert whole["train"].labels.dtype == torch.float32
    assert registry.task_of("numbers", json.loads(json.dumps(two.task.settings()))) == two.task
    y[7] = float("nan")
    with pytest.raises(UserError, match="labels that are not finite, the first in sample 7"):
        data.from_datasets((x, y), validation=0.2)


@pytest.mark.parametrize("name", ["kd", "teacher_bounded", "fitnets", "similarity", "rkd"])
def test_a_student_of_numbers_learns(tmp_path, name):
    x, y = curve()
    found = data.from_datasets((x, y), validation=0.2)
    torch.manual_seed(0)
    teacher, student = (models.build("mlp", classes=1, shape=(6,), arguments={"width": w}) for w in (32, 8))
    plain = {"onnx": False, "epochs": 25, "lr": 0.03, "batch": 32}
    limbeck.distill(None, teacher, found, method=methods.alone(), baseline=False, out=tmp_path / "t", **plain)
    scaled = {"distance": 1.0, "angle": 2.0} if name == "rkd" else {}  # 25 and 50, for pictures, drown the labels of this mlp
    result = limbeck.distill(teacher, student, found, method=methods.find(name)(**scaled), out=tmp_path / "s", **plain)
    entries = result.card["models"]
    assert entries["teacher"]["score"] > 0.8 and entries["student"]["score"] > 0.5
    assert entries["student"]["figures"]["rmse"] < 1.1 * float(y.std())  # in the labels' own units
    assert result.card["task"]["settings"] == {"mean": list(found.task.mean), "std": list(found.task.std)}


def test_relative_figures_are_left_out_where_they_make_no_sense(tmp_path):
    x, y = curve(60)
    found = data.from_datasets((x, torch.randn(60)), validation=0.3)
    nets = [models.build("mlp", classes=1, shape=(6,), arguments={"width": 4}) for _ in "ts"]
    card = limbeck.distill(nets[0], nets[1], found, epochs=1, lr=1e-6, batch=8, onnx=False, out=tmp_path / "r").card
    assert card["models"]["teacher"]["score"] <= 0.01
    assert card["drop_percent"] is None and card["gain_percent"] is None and card["distillation_score"] is None
    assert any("not standardised by the training labels" in note for note in card["notes"])
    text = render(read_run(tmp_path / "r"))
    assert "test R2" in text and "Answers against labels" in text and "Target by target" in text and "points" not in text


def table(path, rows=300):
    x, y = curve(rows)
    with path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow([*(f"f{k}" for k in range(6)), "weight", "height"])
        out.writerows(np.concatenate([x.numpy(), y[:, None].numpy(), (2 - y / 1000)[:, None].numpy()], 1).tolist())
    return path


def run(*words):
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_whole_way_from_a_table(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))
    words = [
        "--data",
        str(table(tmp_path / "sizes.csv")),
        "--teacher",
        "mlp",
        "--student",
        "mlp",
        "--epochs",
        "25",
        "--lr",
        "0.03",
    ]
    for setting in ("data.task=numbers", 'data.label=["weight","height"]', "student.arguments.width=8", "train.batch=32"):
        words += ["--set", setting]
    shown = run("distill", *words, "--quiet", "--out", str(tmp_path / "run"))
    assert "test R2" in shown and "RMSE" in shown
    card = json.loads((tmp_path / "run/card.json").read_text())
    student = card["models"]["student"]
    assert card["data"]["classes"] == ["weight", "height"] and student["score"] > 0.5 and student["intervals"]["rmse"]
    assert card["export"]["onnx"]["same_predictions"] == 1.0
    loaded, info = load_student(tmp_path / "run")
    assert info["outputs"] == "2 numbers, in the targets' units" and info["task"]["settings"]["mean"][0] == pytest.approx(
        1020, abs=30
    )
    found = data.load(str(tmp_path / "sizes.csv"), task="numbers", label=["weight", "height"])
    batches = data.Batches(found["test"], found, size=50, seed=0).ordered()
    seen = predict(loaded, batches, found.task)
    assert found.task.score(seen) == pytest.approx(student["score"]) and 900 < float(seen.answers[:, 0].mean()) < 1100
    text = (tmp_path / "run/MODEL_CARD.md").read_text(encoding="utf-8")
    assert "- Output: 2 numbers, in the targets' units, in this order: weight, height" in text and "What each target lost" in text
    assert "| R2" in text and "accuracy" not in text
    run("export", str(tmp_path / "run"), "--format", "onnx")
    board = tmp_path / "board"
    shown = run("compare", *words, "--methods", "kd,teacher_bounded", "--seeds", "2", "--quiet", "--out", str(board))
    assert "teacher_bounded" in shown and "points" not in shown and "R2" in shown
    assert "mean R2" in (board / "report.html").read_text(encoding="utf-8")


def test_floats_in_a_table_are_not_taken_for_classes(tmp_path):
    path = table(tmp_path / "sizes.csv", 40)
    with pytest.raises(UserError, match="label column 'height' has .* where classes are expected; set data.task = 'numbers'"):
        data.load(str(path))
    with pytest.raises(UserError, match="unknown task 'number'.*did you mean 'numbers'"):
        data.load(str(path), task="number")
    path.write_text(path.read_text().replace("weight", "weight", 1).rstrip() + "\n1,2,3,4,5,6,seven,8\n")
    with pytest.raises(UserError, match="column 'weight' holds 'seven', which is not a number"):
        data.load(str(path), task="numbers", label="weight")
    with pytest.raises(UserError, match="name columns of a table, but digits is not a table"):
        data.load("digits", task="numbers")


def test_a_tree_of_numbers_is_refused(tmp_path):
    x, y = curve(60)
    found = data.from_datasets((x, y), validation=0.3)
    tree = models.build("tree", classes=1, shape=(6,), arguments={})
    with pytest.raises(UserError, match="student has no parameters to train"):
        limbeck.distill(None, tree, found, method=methods.alone(), baseline=False, epochs=1, out=tmp_path / "r")
