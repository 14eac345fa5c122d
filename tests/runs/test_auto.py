"""The rule of `auto`, each branch on networks that fall under it; what it decides stays in the recipe."""

import pytest
import torch
from torch import nn

from limbeck.__main__ import run
from limbeck.cards.schema import read_card
from limbeck.data import from_datasets, load
from limbeck.errors import UserError
from limbeck.plan.roles import Adapter, Cast
from limbeck.runs import auto
from limbeck.runs.recipes import make, read
from limbeck.runs.sources import Given

DIGITS = load("digits", limit=300)
CNN = {"model": "cnn", "arguments": {"width": 8}}
SMALL = {"model": "cnn", "arguments": {"width": 4}}


def _mlp(width):
    return {"model": "mlp", "arguments": {"width": width}}


def decided(teacher=CNN, student=SMALL, data=DIGITS, given=None, **more):
    return auto.decided(make({"teacher": teacher, "student": student} | more), data, given)


def test_pictures_with_maps_of_equal_size():
    found = decided(train={"epochs": 300})
    assert (found.method.name, found.method.arguments) == ("kd_attention", {"at": ["layer1", "layer2", "layer3"]})
    assert found.student.start == "teacher" and "100 % of its parameters" in found.method.why
    assert "both networks have maps of equal size there" in found.method.why and "few" not in found.method.why
    assert found.method.make().name == "kd_attention"
    short = decided(train={"epochs": 5}).method
    assert short.arguments == {"at": ["layer1", "layer2", "layer3"], "weight": 1.0, "labels": 1.0, "looks": 1.0}
    assert "all with the weight of the labels, for 20 steps are few" in short.why


@pytest.mark.parametrize(
    ("settings", "start", "why"),
    [
        ({"student": {**SMALL, "start": "random"}}, "random", "starts at random, as asked"),
        ({"teacher": {"model": "cnn", "arguments": {"width": 32}}}, "teacher", "starts from its teacher's layers"),
        ({"teacher": {"model": "cnn", "arguments": {"width": 40}}}, None, "it is less than an eighth as wide"),
        ({"teacher": _mlp(40), "student": _mlp(8)}, None, "it is less than a quarter as wide"),
        ({"student": {"model": "resnet8"}}, None, "only 0 % of its parameters match"),
        ({"teacher": {"model": "tree"}}, None, "its teacher shows no layers"),
        (
            {"teacher": {"model": "resnet14"}, "student": {"model": "pieces:layers=1"}},
            "teacher",
            "starts from its teacher's layers",
        ),
    ],
)
def test_where_the_student_starts(settings, start, why):
    found = decided(**settings)
    assert found.student.start == start and why in found.method.why


@pytest.mark.parametrize(
    ("settings", "name", "why"),
    [
        (
            {"teacher": {"model": "mlp"}, "student": {"model": "mlp", "arguments": {"width": 8}}},
            "kd_standardised",
            "share no maps",
        ),
        ({"train": {"optimizer": "adamw"}}, "kd", "standardised ones pull too hard on what adamw trains"),
        ({"teacher": {"model": "tree"}}, "kd", "the teacher shows nothing else"),
    ],
)
def test_how_it_is_taught(settings, name, why):
    found = decided(**{"train": {"epochs": 300}} | settings)
    assert found.method.name == name and why in found.method.why and not found.method.arguments


def test_two_classes_are_not_standardised():
    x = torch.rand(60, 5, generator=torch.Generator().manual_seed(0))
    two = from_datasets((x, (x[:, 0] > 0.5).long()), validation=0.2)
    found = decided(_mlp(8), _mlp(4), two, train={"epochs": 2000})
    assert found.method.name == "kd" and not found.method.arguments and "of two classes" in found.method.why


def test_a_teacher_that_only_answers_is_not_asked():
    found = decided(teacher={"model": "http://127.0.0.1:1/answer"})
    assert found.method.name == "kd" and found.student.start is None and "shows nothing else" in found.method.why


def test_other_tasks_are_taught_in_their_form():
    x = torch.rand(60, 5, generator=torch.Generator().manual_seed(0))
    numbers = from_datasets((x, 3 + x[:, 0]), validation=0.2)
    mlp = {"model": "mlp", "arguments": {"width": 8}}
    found = decided(mlp, {"model": "mlp", "arguments": {"width": 4}}, numbers)
    assert found.method.name == "kd" and "soft labels in the form of the task, numbers" in found.method.why


class Steps(nn.Module):
    """Maps of 8 and 4 pixels; `again` runs twice."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Conv2d(1, width, 3, padding=1), nn.Conv2d(width, width, 3, 2, 1)
        self.again, self.head = nn.Conv2d(width, width, 3, 2, 1), nn.Linear(width, 10)

    def forward(self, x):
        x = self.second(self.first(x))
        return self.head(self.again(self.again(x)).mean((2, 3)))


def test_maps_are_found_in_any_network():
    wrapped = nn.Sequential(Steps(3))
    cast = Cast({"student": Steps(2), "teacher": wrapped}, {role: Adapter() for role in ("student", "teacher")})
    cast.train()
    assert auto.looks(cast, DIGITS) == [auto.Looks("first", "0.first"), auto.Looks("second", "0.second")]
    assert cast["teacher"].training
    given = Given({"teacher": wrapped, "student": Steps(2)})
    names = {role: {"model": "python object of class Steps"} for role in ("teacher", "student")}
    found = decided(names["teacher"], names["student"], given=given, train={"epochs": 300})
    assert found.method.arguments == {"at": ["first", "second"], "teacher_at": ["0.first", "0.second"]}


def test_the_rule_is_asked_where_no_method_is_named():
    assert auto.wanted(make({})) and auto.wanted(make({"method": {"name": "auto"}}))
    assert not auto.wanted(make({"method": {"name": "kd"}})) and not auto.wanted(make({"method": {"arguments": {"alpha": 0.5}}}))
    with pytest.raises(UserError, match="auto chooses a method for limbeck distill and limbeck plan; name one here"):
        make({"method": {"name": "auto"}}).method.make()


def test_a_run_says_why_and_its_recipe_is_the_decision(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["--set", "teacher.width=8", "--set", "student.width=4", "--set", "data.limit=300", "--set", "teacher.epochs=1"]
    words = ["distill", *words, "--epochs", "1", "--quiet", "--no-onnx", "--out", "run"]
    assert run(words) == 0
    capsys.readouterr()
    recipe, card = read(tmp_path / "run"), read_card(tmp_path / "run")
    assert recipe.method.name == card["method"]["name"] == "kd_attention" and recipe.student.start == "teacher"
    assert f"auto: {recipe.method.why}" in card["notes"] and "baseline-started" in card["models"]
    monkeypatch.setattr(auto, "decided", lambda *_: pytest.fail("a run that is continued is not decided anew"))
    assert run([*words, "--resume"]) == 0
    assert run(["plan", "--recipe", "run/recipe.toml"]) == 0
    assert f"auto: {recipe.method.why}" in capsys.readouterr().out
