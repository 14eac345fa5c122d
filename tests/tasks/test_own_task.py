"""A task that no file of ours knows of: one class, registered, and a whole run of it with card, page and a student that comes back."""

import json
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

import limbeck
from limbeck import data, losses, models
from limbeck.cards.model_card import write_model_card
from limbeck.plan import Field, Tap, Term
from limbeck.report.page import render
from limbeck.report.read import read_run
from limbeck.tasks import Figure, PerClass, Task, registry
from limbeck.tasks.keeping import Kept, pick, read_predictions
from limbeck.tasks.predictions import Predictions
from limbeck.tasks.section import Section, Texts


def _near(judged):
    return float((judged.predictions.answers.round() == judged.predictions.labels).double().mean())


def _each(judged):
    right = (judged.predictions.answers.round() == judged.predictions.labels)[:, 0].double()
    steps = [right[judged.predictions.labels[:, 0] == k] for k in range(len(judged.classes))]
    return [float(found.mean()) if len(found) else None for found in steps]


@dataclass(frozen=True)
class Grade(Task):
    """A step of a ladder: one number, right where it rounds to the step. steps: of the ladder."""

    steps: int = 3
    name: ClassVar[str] = "grade"
    item: ClassVar[str] = "step"
    whole: ClassVar[bool] = False
    instead: ClassVar[str] = "fitnets"
    figures: ClassVar[tuple[Figure, ...]] = (
        Figure(
            "exact", "exact grades", _near, "Share of grades that round to the right step.", per_class=PerClass("exact", _each)
        ),
    )

    def prepared(self, labels):
        return labels.float().reshape(-1, 1)

    def width(self, labels):
        return self.steps

    def check_labels(self, who, labels, inputs, classes):
        assert labels.shape[1:] == (1,)

    def check_output(self, who, said, labels, data, classes):
        assert said.shape == labels.shape

    def keep(self, said, labels):
        return said, labels

    def gives(self, classes):
        return "one number, a step of the ladder when it is rounded"

    def finder(self, classes, shape):
        return First()

    def label_terms(self, labels):
        return (Term(labels.name, losses.mse, weight=labels.weight, student=Tap(labels.role), teacher=Field("labels")),)

    def soft_terms(self, soft):
        return (Term(soft.name, losses.mse, weight=soft.weight, student=Tap(soft.learner), teacher=Tap(soft.mentor).detach()),)

    def agreement(self, first, second):
        return float((first.answers.round() == second.answers.round()).double().mean())

    def near_chance(self, predictions, classes):
        return self.score(predictions) < 1.2 / classes

    def interval(self, judged):
        return None

    def record(self, seen, inputs):
        first = seen["student"]
        return {"labels": first.labels, "index": first.index} | {who: p.answers for who, p in seen.items()}

    def recall(self, tensors):
        return Kept({who: Predictions(z, tensors["labels"], tensors["index"]) for who, z in pick(tensors).items()})

    def sections(self, kept, names):
        row = ("first", f"{float(kept.predictions['student'].answers[0]):.1f}")
        return (Section("ladder", "The ladder", (Texts(("sample", "student"), (row,)),)),)


@dataclass(frozen=True)
class First:
    """Of a network's outputs the first is the number."""

    def __call__(self, output):
        return output[:, :1]


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(registry, "TASKS", dict(registry.TASKS))
    registry.register(Grade)


@pytest.mark.parametrize("name", ["kd", "fitnets"])
def test_a_task_of_ones_own_goes_the_whole_way(tmp_path, name):
    torch.manual_seed(0)
    x = torch.randn(240, 5)
    found = data.from_datasets(
        (x, (x[:, 0] > 0).long() + (x[:, 1] > 0.5)), validation=0.2, task=Grade(), classes=["low", "mid", "top"]
    )
    nets: list[nn.Module] = [models.build("mlp", classes=3, shape=(5,), arguments={"width": w}) for w in (32, 8)]
    plain = {"epochs": 12, "lr": 0.02, "batch": 32, "out": tmp_path / "run"}
    card = limbeck.distill(nets[0], nets[1], found, method=limbeck.methods.find(name)(), **plain).card
    student = card["models"]["student"]
    assert (
        student["score"] == student["figures"]["exact"]
        and student["interval"] is None
        and set(student["worst"]) == {"name", "value"}
    )
    assert card["task"]["settings"] == {"steps": 3} and card["export"]["onnx"]["same_predictions"] > 0.95
    page = render(read_run(tmp_path / "run"))
    assert "test exact grades" in page and "Step by step" in page and "The ladder" in page
    text = write_model_card(tmp_path / "run").read_text(encoding="utf-8")
    assert "one number, a step of the ladder when it is rounded" in text and "What each step lost" in text
    task, kept = read_predictions(tmp_path / "run")
    assert task == Grade() and task.score(kept.predictions["student"]) == student["score"]
    assert json.loads((tmp_path / "run/student.json").read_text())["task"] == {"name": "grade", "settings": {"steps": 3}}
