"""Trackers of experiments: what they hear is the curve and the card; one that fails ends no run."""

import json

import pytest
import torch
from accelerate import tracking

import limbeck
from limbeck.data import from_datasets
from limbeck.errors import UserError
from limbeck.models import build

DATA = from_datasets((torch.rand(80, 4, generator=torch.Generator().manual_seed(0)), torch.arange(80) % 2), validation=0.25)


def run(folder, tracker):
    nets = [build("mlp", classes=2, shape=(4,), arguments={"width": width}) for width in (16, 4)]
    train = limbeck.Train(epochs=2, batch=16, tracker=tracker)
    return limbeck.distill(*nets, DATA, train=train, onnx=False, out=folder)


def test_tensorboard_has_the_curve_and_the_figures(tmp_path):
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    result = run(tmp_path / "run", "tensorboard")
    place = min((file.parent for file in (tmp_path / "run").rglob("events.out*")), key=lambda path: len(path.parts))
    kept = events.EventAccumulator(str(place))
    kept.Reload()
    curve = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    mine = [line for line in curve if line["who"] == "student"]
    found = kept.Scalars("student/validation score")
    assert [one.value for one in found] == pytest.approx([line["validation"]["score"] for line in mine])
    before = max(line["step"] for line in curve if line["who"] == "baseline")
    assert [one.step for one in found] == [before + line["step"] for line in mine]
    score = result.card["models"]["student"]["figures"]["accuracy"]
    assert kept.Scalars("test/student/accuracy")[0].value == pytest.approx(score)


class Heard(tracking.GeneralTracker):
    """A tracker that keeps what it hears."""

    name, requires_logging_directory, kept = "trackio", False, []
    fails_after = 10**9

    def __init__(self, run_name, **_):
        super().__init__()
        self.kept.clear()

    @property
    def tracker(self):
        return self

    def store_init_configuration(self, values):
        self.kept.append(values)

    def log(self, values, step=None, **_):
        if len(self.kept) > self.fails_after:
            raise ConnectionError("the server is gone")
        self.kept.append((step, values))

    def finish(self):
        self.kept.append("end")


@pytest.fixture
def heard(monkeypatch):
    monkeypatch.setitem(tracking.LOGGER_TYPE_TO_CLASS, "trackio", Heard)
    monkeypatch.setattr(tracking, "get_available_trackers", lambda: ["trackio"])
    return Heard


def test_settings_come_first_steps_rise_and_the_card_ends(tmp_path, heard):
    result = run(tmp_path / "run", "trackio")
    settings, *lines, last, end = heard.kept
    assert settings["train.batch"] == 16 and settings["method.name"] == "kd" and end == "end"
    steps = [step for step, _ in lines]
    assert steps == sorted(steps) and len(set(steps)) == len(steps) == 4, "two epochs of the baseline, two of the student"
    assert {name for _, values in lines for name in values} >= {"baseline/task", "student/soft", "student/validation score"}
    assert last[1]["test/baseline/accuracy"] == result.card["models"]["baseline"]["figures"]["accuracy"]


def test_one_that_fails_is_noted_and_the_run_goes_on(tmp_path, heard, monkeypatch):
    monkeypatch.setattr(heard, "fails_after", 2)
    result = run(tmp_path / "run", "trackio")
    assert [note for note in result.card["notes"] if "the server is gone" in note] == [
        "the tracker trackio failed and hears no more (the server is gone)"
    ]
    assert result.card["models"]["student"]["score"] is not None


def test_one_that_is_not_installed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tracking, "get_available_trackers", list)
    with pytest.raises(UserError, match="pip install mlflow"):
        run(tmp_path / "run", "mlflow")
    assert not (tmp_path / "run" / "recipe.toml").exists(), "before anything is begun"
