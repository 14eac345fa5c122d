"""A metric of the user's own, by import path or as a function: beside the task's figures, refused early where it fails."""

import json
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import limbeck
from limbeck.cli.app import app
from limbeck.data import from_datasets
from limbeck.errors import UserError
from limbeck.tasks import Predictions, task_of, with_metric

TEXT = '''
def top_two(predictions, labels):
    """Share of samples whose label is among the two largest logits."""
    return (predictions.argsort(1)[:, -2:] == labels[:, None]).any(1).mean()

def cost(predictions, labels):
    return float((predictions.argmax(1) != labels).sum()) * 2.5
cost.greater_is_better = False

def fails(predictions, labels):
    return predictions["no"]
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_metrics.py").write_text(TEXT)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("my_metrics", None)


def call(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert (done.exit_code == 0) == (code == 0), done.output
    return done


def test_it_stands_behind_the_score_and_the_score_stays():
    logits, labels = torch.randn(30, 4, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 4
    seen, plain = Predictions(logits, labels, torch.arange(30)), task_of("classify")

    def half(predictions, labels):
        """Half of them."""
        return len(labels) / 2

    found = with_metric(plain, half)
    assert [figure.key for figure in found.figures[:2]] == ["accuracy", "half"] and found.name == "classify"
    measured, before = found.measure(seen, "abcd"), plain.measure(seen, "abcd")
    assert measured.figures == {**before.figures, "half": 15.0} and measured.score == before.score
    assert measured.interval == before.interval and "half" not in [figure.key for figure in plain.figures]
    assert found.facts()["figures"][1]["words"] == "Half of them."
    with pytest.raises(UserError, match="has a figure 'half' already"):
        with_metric(found, half)
    with pytest.raises(UserError, match="is a list"):
        with_metric(plain, [])


def test_a_run_from_the_command_line(module):
    words = ["distill", "--data", "digits", "--epochs", 1, "--no-onnx", "--set", "teacher.width=8"]
    call(*words, "--set", "data.metric=my_metrics:top_two", "--out", module / "run")
    card = json.loads((module / "run" / "card.json").read_text())
    figures = card["models"]["student"]["figures"]
    data, student = limbeck.data.load("digits")["test"], limbeck.load(module / "run")
    with torch.no_grad():
        largest = student(data.inputs).numpy().argsort(1)[:, -2:]
    assert figures["top_two"] == pytest.approx((largest == data.labels.numpy()[:, None]).any(1).mean())
    assert figures["top_two"] > figures["accuracy"] == card["models"]["student"]["score"]
    assert "top two" in call("evaluate", module / "run", "--trust").output.replace("_", " ")
    said = str(call("distill", "--recipe", module / "run" / "recipe.toml", code=2).exception)
    assert "my_metrics:top_two" in said and "to the metric" in said and "add --trust" in said, (
        "what a file names runs only where it is trusted"
    )
    call(*words, "--set", "data.metric=my_metrics:cost", "--out", module / "cost")
    card = json.loads((module / "cost" / "card.json").read_text())
    (about,) = [figure for figure in card["task"]["figures"] if figure["key"] == "cost"]
    assert about["better"] == "lower"


def test_one_that_fails_is_refused_before_training(module):
    words = ["distill", "--data", "digits", "--no-onnx", "--set", "data.metric=my_metrics:fails", "--out", module / "run"]
    assert "the metric fails fails" in str(call(*words, code=2).exception) and not (module / "run" / "recipe.toml").exists()
    with pytest.raises(UserError, match="no Python module"):
        with_metric(task_of("classify"), "nowhere:nothing")


def test_from_python_it_goes_into_the_data():
    from dataclasses import replace

    data = from_datasets((torch.rand(60, 4), torch.arange(60) % 2), validation=0.3)
    data = replace(data, task=with_metric(data.task, lambda predictions, labels: np.abs(predictions).mean()))
    nets = [limbeck.models.build("mlp", classes=2, shape=(4,), arguments={"width": 4}) for _ in range(2)]
    result = limbeck.distill(*nets, data, epochs=1, onnx=False, baseline=False)
    assert result.card["models"]["student"]["figures"]["<lambda>"] > 0
