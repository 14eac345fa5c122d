"""A student that starts from its teacher: both baselines, what is said, what is refused, and that a stopped run goes on."""

import json

import pytest
import torch

import limbeck
from limbeck.cards.schema import read_card
from limbeck.cards.table import card_table
from limbeck.comparison.comparison import Comparison
from limbeck.comparison.entries import parse_entries
from limbeck.data import load
from limbeck.engine.turns import last
from limbeck.errors import UserError
from limbeck.face.run import run
from limbeck.models import build, save_weights
from limbeck.plan.roles import Adapter, Normalise
from limbeck.runs.recipes import make
from limbeck.runs.session import Session
from limbeck.runs.sources import open_sources

DIGITS = load("digits")


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A wide network that knows the digits."""
    torch.manual_seed(0)
    teacher = build("cnn", classes=10, shape=(1, 8, 8), arguments={"width": 8})
    adapter = Adapter(prepare=Normalise(DIGITS.mean, DIGITS.std))
    limbeck.train(teacher, DIGITS, epochs=6, adapter=adapter, out=tmp_path_factory.mktemp("t") / "run")
    path = tmp_path_factory.mktemp("w") / "teacher.safetensors"
    save_weights(teacher, path)
    return str(path)


def recipe(weights, **more):
    settings = {
        "teacher": {"model": "cnn", "arguments": {"width": 8}, "weights": weights},
        "student": {"model": "cnn", "arguments": {"width": 4}, "start": "teacher"},
        "train": {"epochs": 1},
        "onnx": False,
    }
    return make(settings | more, "test")


def test_both_baselines_on_card_terminal_and_page(weights, tmp_path):
    heard = []
    card = run(recipe(weights), tmp_path / "run", lambda event: heard.append(str(event)), data=DIGITS)
    assert list(card["models"]) == ["teacher", "baseline", "baseline-started", "student"]
    plain, started, student = (card["models"][who] for who in ("baseline", "baseline-started", "student"))
    assert started["score"] > plain["score"] + 0.1 and started["steps"] == plain["steps"] == student["steps"]
    assert card["lesson_percent"] == pytest.approx(100 * (student["score"] / started["score"] - 1))
    assert card["gain_percent"] == pytest.approx(100 * (student["score"] / plain["score"] - 1))
    rows = {row["layer"]: row for row in card["start"]}
    assert rows["layer2.0.0"] == {"layer": "layer2.0.0", "of": "layer2.0.0", "how": "8 of 16 outputs, 4 of 8 inputs"}
    said = (
        "the student starts from its teacher: 7 of 7 layers, 100 % of its parameters, 7 of them with channels at equal distances"
    )
    assert said in card["notes"] and any("flatters a student" in note for note in card["notes"])
    assert any(said in event for event in heard)
    columns = [column.header.plain.split("\n")[0] for column in card_table(card).columns[1:]]
    assert columns == ["teacher", "baseline", "baseline started", "student"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "baseline-started" in page and "the baseline that starts from the teacher, too" in page and "h-start" in page
    assert "baseline-started" in (tmp_path / "run" / "MODEL_CARD.md").read_text()
    again = run(recipe(weights), tmp_path / "again", data=DIGITS)
    assert again["models"]["student"]["score"] == student["score"]


def test_a_stopped_run_goes_on_to_the_same_bits(weights, tmp_path):
    whole = last(Session(open_sources(recipe(weights), data=DIGITS), tmp_path / "whole").steps())
    eager = recipe(weights, checkpoint_seconds=0.0)
    steps = Session(open_sources(eager, data=DIGITS), tmp_path / "cut").steps()
    for _ in range(45):  # inside the student's own steps: each baseline has 17
        next(steps)
    steps.close()
    assert not (tmp_path / "cut" / "weights" / "student.json").exists()
    assert (tmp_path / "cut" / "weights" / "baseline-started.json").exists()
    rest = last(Session(open_sources(eager, data=DIGITS), tmp_path / "cut").steps())
    for who in ("student", "baseline-started"):
        ours, theirs = (found.entries[who].state_dict() for found in (whole, rest))
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def test_from_python_with_the_teachers_scale(weights, tmp_path):
    teacher, student = (build("cnn", classes=10, shape=(1, 8, 8), arguments={"width": w}) for w in (8, 4))
    limbeck.models.load_weights(teacher, weights)
    adapters = {"teacher": Adapter(prepare=Normalise((0.3,), (0.4,)))}
    found = limbeck.distill(
        teacher, student, DIGITS, start="teacher", adapters=adapters, epochs=0.1, onnx=False, out=tmp_path / "run"
    )
    assert found.card["models"]["baseline-started"] and read_card(tmp_path / "run")["start"][0]["layer"] == "layer1.0.0"
    sources = json.loads((tmp_path / "run" / "student.json").read_text())
    assert sources["roles"]["student"]["mean"] == [0.3]


def test_comparisons_have_both_baselines(weights, tmp_path):
    board = Comparison(recipe(weights), parse_entries("kd"), [0], tmp_path / "c", on="together").go()
    scores = {row["name"]: row["scores"]["0"] for row in board["rows"]}
    assert set(scores) == {"baseline", "baseline-started", "kd"} and scores["baseline-started"] > scores["baseline"]
    alone = run(recipe(weights), tmp_path / "alone", data=DIGITS)["models"]
    assert {name: scores[name] for name in ("baseline", "baseline-started")} == {
        name: pytest.approx(100 * alone[name]["score"]) for name in ("baseline", "baseline-started")
    }


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"student": {"model": "mlp", "start": "teacher"}},
            "no layer of the student has the name and place of one of its teacher",
        ),
        ({"teacher": {"model": "cnn", "start": "teacher"}}, "start = 'teacher' is for the student, not for the teacher"),
        ({"teacher": {"model": "tree"}}, "this one shows no layers"),
        ({"method": {"name": "gradual"}}, "trains its teacher beside the student"),
    ],
)
def test_what_cannot_start_is_refused(more, said, weights):
    with pytest.raises(UserError, match=said) as caught:
        open_sources(recipe(weights, **more), data=DIGITS)
    assert len(str(caught.value)) <= 300
