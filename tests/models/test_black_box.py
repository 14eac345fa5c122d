"""Teachers that are asked and never opened: the same answers as from their own library, and clear words where they cannot serve."""

import json
import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.datasets import load_digits
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from torch import nn

import limbeck
from limbeck import data, methods, models
from limbeck.__main__ import run
from limbeck.deploy.onnx_file import export_onnx
from limbeck.errors import UserError
from limbeck.models.black_box import BlackBox, asked

PLAIN = {"epochs": 2, "lr": 0.05, "onnx": False}


@pytest.fixture(autouse=True)
def own_store(tmp_path, monkeypatch):
    monkeypatch.setenv("LIMBECK_STORE", str(tmp_path / "store"))


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[:300].astype(np.float32), y[:300], x[300:500].astype(np.float32), y[300:500]


def mlp(classes=10, features=64, seed=0):
    torch.manual_seed(seed)
    return models.build("mlp", classes=classes, shape=(features,), arguments={"width": 8})


def export(module, path, batch=None, shape=(64,)):
    """A file with a free number of samples, or one that takes `batch` at a time."""
    if batch is None:
        export_onnx(module, torch.zeros(2, *shape), path, metadata={})
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter's own
            torch.onnx.export(module.eval(), (torch.zeros(batch, *shape),), path, dynamo=True, verbose=False)
    return path


def test_a_forest_teaches_and_is_scored_as_by_its_own_library(tmp_path, digits):
    x, y, far, told = digits
    forest = RandomForestClassifier(20, random_state=0).fit(x, y)
    result = limbeck.distill(forest, mlp(), (x, y), test=(far, told), out=tmp_path / "r", **PLAIN)
    teacher = result.card["models"]["teacher"]
    assert teacher["score"] == pytest.approx(forest.score(far, told), abs=1e-12)
    assert teacher["parameters"] is None and result.card["size_cut_percent"] is None
    assert any("RandomForestClassifier is asked as a black box and answers with probabilities" in n for n in result.card["notes"])


def test_regression_in_the_labels_own_units(tmp_path):
    torch.manual_seed(0)
    x = torch.rand(400, 4)
    y = 100 + 30 * x[:, 0] - 10 * x[:, 1] ** 2
    model = GradientBoostingRegressor(random_state=0).fit(x[:300].numpy(), y[:300].numpy())
    result = limbeck.distill(model, mlp(1, 4), (x[:300], y[:300]), test=(x[300:], y[300:]), out=tmp_path / "r", **PLAIN)
    assert result.card["models"]["teacher"]["score"] == pytest.approx(model.score(x[300:].numpy(), y[300:].numpy()), abs=1e-5)


def test_classes_are_matched_by_name_whatever_their_order():
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    model = DecisionTreeClassifier().fit(x, ["cat", "dog", "cat", "dog", "cat", "dog"])
    box = asked(model, ("dog", "bird", "cat"), "classify")
    assert box(torch.from_numpy(x)).argmax(1).tolist() == [2, 0, 2, 0, 2, 0]
    with pytest.raises(UserError, match="fitted to classes that the data lacks: dog"):
        asked(model, ("cat", "bird"), "classify")


def test_what_names_classes_alone_is_sure_of_them():
    class Votes:
        def predict(self, rows):
            return (rows[:, 0] > 0).astype(int)

    z = asked(Votes(), ("0", "1", "2"), "classify")(torch.tensor([[1.0], [-1.0]]))
    assert torch.allclose(z.softmax(1), torch.tensor([[0.0005, 0.999, 0.0005], [0.999, 0.0005, 0.0005]]), atol=1e-6)


def test_logits_stay_and_probabilities_become_their_logarithms():
    logits = np.array([[1.0, -2.0], [0.5, 0.25]])
    assert BlackBox(lambda rows: logits, "f", 2)(torch.zeros(2, 3)).tolist() == logits.tolist()
    shares = np.array([[0.25, 0.75], [1.0, 0.0]])
    box = BlackBox(lambda rows: shares, "f", 2)
    found = box(torch.zeros(2, 3))
    assert (
        torch.allclose(found[0].exp(), torch.tensor([0.25, 0.75]))
        and torch.isfinite(found).all()
        and box.outputs == "probabilities"
    )
    box.ask = lambda rows: logits
    with pytest.raises(UserError, match="which are no probabilities; set outputs"):
        box(torch.zeros(2, 3))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (lambda rows: np.full((len(rows), 3), np.nan), "NaN or infinity"),
        (lambda rows: np.zeros((len(rows), 4)), r"must answer 2 samples with \(2, 3\), got \(2, 4\)"),
        (lambda rows: np.zeros((1, 3)), r"got \(1, 3\)"),
        (lambda rows: 1 / 0, "f cannot take inputs of shape"),
    ],
)
def test_what_cannot_be_an_answer_is_one_sentence(answers, expected):
    with pytest.raises(UserError, match=expected):
        BlackBox(answers, "f", 3)(torch.zeros(2, 5))


@pytest.mark.parametrize("batch", [None, 4])
def test_an_onnx_file_answers_as_the_module_that_it_was_made_of(tmp_path, batch):
    module, x = mlp(), torch.randn(10, 64)
    box = models.build(str(export(module, tmp_path / "t.onnx", batch)), classes=10, shape=(64,))
    with torch.no_grad():
        assert torch.allclose(box(x), module(x), atol=1e-5)
    assert box.parameters_outside >= sum(p.numel() for p in module.parameters()) - 64 and box.bytes_outside > 0


def test_students_of_a_file_and_of_its_module_are_the_same(tmp_path, digits):
    x, y, far, told = digits
    module, found = mlp(seed=1), []
    box = models.build(str(export(module, tmp_path / "t.onnx")), classes=10, shape=(64,))
    for name, teacher in (("file", box), ("module", module)):
        result = limbeck.distill(teacher, mlp(seed=2), (x, y), test=(far, told), out=tmp_path / name, **PLAIN)
        found.append((load_file(tmp_path / name / "student.safetensors"), result.card["models"]["teacher"]["score"]))
    (first, score), (second, same) = found
    assert score == same and all(torch.allclose(first[key].float(), second[key].float(), atol=1e-4) for key in first)


def test_the_command_line_takes_a_file_in_every_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    torch.manual_seed(0)
    export(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), "t.onnx", shape=(1, 8, 8))
    small = ["--student", "mlp", "--set", "student.width=4", "--epochs", "1", "--set", "data.limit=200", "--quiet"]
    one = ["--teacher", "t.onnx", *small]
    assert run(["distill", *one, "--set", "onnx=false", "--out", "one"]) == 0
    notes = json.loads((tmp_path / "one" / "card.json").read_text())["notes"]
    assert any("teacher: t.onnx is asked as a black box and answers with logits" in note for note in notes)
    assert run(["compare", *one, "--methods", "kd", "--seeds", "1", "--set", "onnx=false", "--out", "many"]) == 0
    assert not (tmp_path / "many" / "teacher").exists()  # it is not trained first
    assert run(["evaluate", "one"]) == 0
    capsys.readouterr()
    for words, expected in (
        (["--teacher", "t.onnx", "--method", "attention", *small], "reads layers of the teacher, which is t.onnx, a black box"),
        (["--teacher", "t.onnx", "--method", "mutual", "--set", "roles.peer.model=t.onnx", *small], "cannot be trained"),
        (["--teacher", "none.onnx", *small], "the model file none.onnx does not exist"),
        (["--teacher", "t.onnx", "--set", "teacher.width=3", *small], "unknown argument of t.onnx 'width'"),
    ):
        assert run(["distill", *words, "--out", "bad"]) == 2
        assert expected in capsys.readouterr().err
    (tmp_path / "bad.onnx").write_bytes(b"\x00" * 40)
    assert run(["distill", "--teacher", "bad.onnx", *small, "--out", "bad"]) == 2
    assert "bad.onnx is not an ONNX file" in capsys.readouterr().err


def test_data_of_another_shape_are_refused(tmp_path):
    path = export(mlp(), tmp_path / "t.onnx")
    with pytest.raises(UserError, match=r"takes inputs of shape \(64,\), but the data has \(5,\)"):
        models.build(str(path), classes=10, shape=(5,))
    with pytest.raises(UserError, match="expected one with 7 numbers for each sample"):
        models.build(str(path), classes=7, shape=(64,))


def test_methods_that_read_layers_are_refused_before_training(tmp_path, digits):
    x, y, _, _ = digits
    forest = RandomForestClassifier(5, random_state=0).fit(x, y)
    with pytest.raises(UserError, match="method 'attention' reads layers of the teacher"):
        limbeck.distill(
            forest, mlp(), data.from_datasets((x, y), validation=0.2), method=methods.attention(), out=tmp_path / "r", **PLAIN
        )
    with pytest.raises(UserError, match="expected a network, a function"):
        limbeck.distill("resnet20", mlp(), data.from_datasets((x, y), validation=0.2), out=tmp_path / "r", **PLAIN)
